import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { signal } from '../kernel/index.ts';
import { createMetrics } from './metrics.ts';

interface Family {
  type: string;
  help: string;
  readonly samples: { name: string; labels: Map<string, string>; value: number }[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** The text format 0.0.4, read as strictly as its description allows; anything odd throws. */
function parse(text: string): Map<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line ends');
  const families = new Map<string, Family>();
  let current: [string, Family] | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name = '', rest = ''] = comment;
      if (kind === 'HELP') {
        assert.ok(NAME.test(name) && !families.has(name), `${name} comes once`);
        assert.doesNotMatch(rest.replaceAll(/\\[\\n]/g, ''), /\\/, 'help is escaped');
        current = [name, { type: '', help: rest, samples: [] }];
        families.set(...current);
      } else {
        assert.equal(current?.[0], name, 'TYPE follows HELP');
        assert.match(rest, /^(counter|gauge|histogram|summary|untyped)$/);
        current[1].type = rest;
      }
      continue;
    }
    const sample = parseSample(line);
    const base =
      current![1].type === 'histogram' ? sample.name.replace(/_(bucket|sum|count)$/, '') : sample.name;
    assert.equal(base, current![0], 'samples stand under their family');
    current![1].samples.push(sample);
  }
  return families;
}

function parseSample(line: string): Family['samples'][number] {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  assert.ok(match, `a sample: ${line}`);
  const labels = new Map<string, string>();
  let rest = match[2] ?? '';
  while (rest !== '') {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,(?=.)|$)/.exec(rest);
    assert.ok(label, `a label: ${rest}`);
    assert.ok(!labels.has(label[1]!), 'a label comes once');
    labels.set(label[1]!, label[2]!);
    rest = rest.slice(label[0].length);
  }
  assert.match(match[3]!, /^(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/);
  return {
    name: match[1]!,
    labels,
    value: match[3] === '+Inf' ? Number.POSITIVE_INFINITY : Number(match[3]),
  };
}

const without = (labels: ReadonlyMap<string, string>): string =>
  JSON.stringify([...labels].filter(([name]) => name !== 'le'));

/** What `promtool check metrics` complains of, and what histograms must hold. */
function checkRules(families: ReadonlyMap<string, Family>): void {
  for (const [name, { type, help, samples }] of families) {
    assert.ok(type !== '' && help !== '', `${name} has a type and help`);
    assert.equal(type === 'counter', name.endsWith('_total'), `${name}: counters alone end in _total`);
    assert.doesNotMatch(name, /_(?:ms|milliseconds|minutes|kb|kilobytes)(?:_|$)/, 'base units');
    const series = samples.map((sample) => `${sample.name}${JSON.stringify([...sample.labels])}`);
    assert.equal(new Set(series).size, series.length, `${name}: no series twice`);
    if (type === 'counter') assert.ok(samples.every(({ value }) => value >= 0));
    if (type === 'histogram') checkHistogram(name, samples);
  }
}

function checkHistogram(name: string, samples: Family['samples']): void {
  for (const { labels, value: total } of samples.filter((sample) => sample.name === `${name}_count`)) {
    const buckets = samples.filter(
      (each) => each.name === `${name}_bucket` && without(each.labels) === without(labels),
    );
    const bounds = buckets.map((bucket) => bucket.labels.get('le')!);
    assert.equal(bounds.at(-1), '+Inf');
    const numbers = bounds.slice(0, -1).map(Number);
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
    const counts = buckets.map((bucket) => bucket.value);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      'buckets are cumulative',
    );
    assert.equal(counts.at(-1), total);
  }
}

const usage = () => ({ residentBytes: 1024, cpuSeconds: 0.5, uptimeSeconds: 2 });

describe('the exposition', () => {
  it('is valid whatever names hold, with every family', () => {
    using metrics = createMetrics(usage);
    for (const name of ['plain', 'quo"te', 'back\\slash', 'new\nline', 'snow☃', '']) {
      signal('stream.appended', { stream: name, partition: 0, records: 1, bytes: 10 });
      signal('group.lag', { group: name, stream: name, partition: 0, lag: 3 });
      signal('http.served', {
        door: 'api',
        route: name,
        method: 'GET',
        status: 200,
        durationMs: 1e-7,
        bytes: 1,
      });
      for (const durationMs of [0, 0.5, 3, 99_999]) {
        signal('function.invoked', {
          ...{ app: name, fn: name, version: '1', trigger: 'http', outcome: 'ok', durationMs },
          ...{ records: 2, cold: true, invocationId: 'i', traceId: 't' },
        } as const);
      }
    }
    signal('log.synced', { bytes: 5, groups: 1, durationMs: 0.7 });
    const families = parse([...metrics.render()].join(''));
    checkRules(families);
    assert.ok(families.size >= 12, `${families.size} families`);
    const counted = families.get('millrace_stream_appended_records_total')!.samples;
    assert.deepEqual(new Set(counted.map(({ labels }) => labels.get('stream'))).size, 6);
  });

  it('comes in pieces of some kilobytes with 5,000 functions, none built before it is asked for', () => {
    using metrics = createMetrics(usage);
    for (let index = 0; index < 5000; index++) {
      signal('function.invoked', {
        ...{ app: 'a', fn: `function-${index}`, version: '1', trigger: 'http', outcome: 'ok', durationMs: 3 },
        ...{ records: 0, cold: false, invocationId: 'i', traceId: 't' },
      } as const);
    }
    const first = metrics.render()[Symbol.iterator]().next();
    assert.ok((first.value as string).length < 24_000);
    const pieces = [...metrics.render()];
    assert.ok(pieces.length > 100 && pieces.every((piece) => piece.length < 24_000));
    checkRules(new Map([...parse(pieces.join(''))].filter(([name]) => !name.includes('duration'))));
  });
});
