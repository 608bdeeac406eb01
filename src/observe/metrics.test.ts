import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { signal } from '../kernel/index.ts';
import { createMetrics } from './metrics.ts';
import { createRegistry } from './registry.ts';

const usage = () => ({ residentBytes: 1024, cpuSeconds: 0.5, uptimeSeconds: 2 });
const textOf = (pieces: Iterable<string>): string => [...pieces].join('');

describe('metrics', () => {
  it('count what signals tell, from the moment they listen until they stop', () => {
    const metrics = createMetrics(usage);
    const request = { door: 'api', route: '/streams', method: 'GET', durationMs: 3, bytes: 100 } as const;
    signal('http.served', { ...request, status: 200 });
    signal('http.served', { ...request, status: 200 });
    signal('http.served', { ...request, status: 404 });
    signal('stream.appended', { stream: 'payments', partition: 0, records: 5, bytes: 500 });
    signal('kafka.served', { api: 'Fetch', durationMs: 3, bytes: 700 });
    metrics[Symbol.dispose]();
    signal('stream.appended', { stream: 'payments', partition: 0, records: 5, bytes: 500 });

    const text = textOf(metrics.render());
    assert.match(
      text,
      /millrace_http_requests_total\{door="api",route="\/streams",method="GET",status="200"\} 2\n/,
    );
    assert.match(text, /status="404"\} 1\n/);
    assert.match(text, /millrace_stream_appended_records_total\{stream="payments"\} 5\n/);
    assert.match(text, /millrace_http_request_duration_seconds_count\{door="api",route="\/streams"\} 3\n/);
    assert.match(text, /millrace_kafka_sent_bytes_total\{api="Fetch"\} 700\n/);
    assert.match(text, /process_resident_memory_bytes 1024\n/);
  });

  it('give cumulative buckets, a sum and a count', () => {
    const registry = createRegistry();
    const histogram = registry.histogram('wait_seconds', 'Wait.', ['room'], [1, 2]);
    for (const value of [0.5, 1, 1.5, 9]) histogram.observe(['log'], value);
    assert.equal(
      textOf(registry.render()),
      '# HELP wait_seconds Wait.\n# TYPE wait_seconds histogram\n' +
        'wait_seconds_bucket{room="log",le="1"} 2\nwait_seconds_bucket{room="log",le="2"} 3\n' +
        'wait_seconds_bucket{room="log",le="+Inf"} 4\nwait_seconds_sum{room="log"} 12\nwait_seconds_count{room="log"} 4\n',
    );
  });

  it('escape label values', () => {
    const registry = createRegistry();
    registry.counter('odd_total', 'Odd.', ['name']).add(['a"b\\c\nd'], 1);
    assert.match(textOf(registry.render()), /odd_total\{name="a\\"b\\\\c\\nd"\} 1\n/);
  });

  it('hold a bounded number of series and come in small pieces', () => {
    const registry = createRegistry();
    const counter = registry.counter('wild_total', 'Wild.', ['name']);
    for (let index = 0; index < 12_000; index++) counter.add([`name-${index}`], 1);
    const pieces = [...registry.render()];
    assert.ok(pieces.every((piece) => piece.length < 20_000));
    assert.equal(pieces.join('').split('\n').length, 2 + 10_001 + 1);
    assert.match(pieces.join(''), /wild_total\{name="other"\} 2000\n/);
  });
});
