import { join } from 'node:path';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench } from './lib/harness.ts';
import { createStream, type LoadPlan, runLoad, startBareServer, startPlatform } from './lib/http-load.ts';

const RECORDS = 1000;
const RECORD_BYTES = 100;

await bench({
  name: 'publish-http-batches',
  question:
    'How many records a second can be published over HTTP in lines of 1,000 × 100 B, fsynced before the answer?',
  leavesOut: 'networks, TLS, tokens, schemas; client and server share the cores of one machine',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const fsync = await fsyncLatency(scratch.path);
    const plan = (port: number, stream: string): LoadPlan => ({
      port,
      connections: 8,
      path: `/streams/${stream}/records`,
      contentType: 'application/x-ndjson',
      bodyBase64: Buffer.from(lines()).toString('base64'),
      warmupMs: short ? 300 : 2000,
      durationMs: short ? 1000 : 8000,
    });
    say('bare node:http, the same bodies');
    const bare = await measureBare((port) => plan(port, 'plain'));
    await using platform = await startPlatform(join(scratch.path, 'data'));
    await createStream(platform.api, { name: 'plain', partitions: 4 });
    await createStream(platform.api, { name: 'keyed', partitions: 4, key: 'card' });
    say('millrace, records without a key');
    const plain = await runLoad(plan(platform.port, 'plain'));
    say('millrace, keyed by a field of the record');
    const keyed = await runLoad(plan(platform.port, 'keyed'));
    if (plain.failures + keyed.failures > 0) throw new Error('Requests failed.');
    return [
      ...fsyncReadings(fsync),
      {
        what: 'calibration: bare node:http, the same bodies',
        value: (bare.requests * RECORDS) / bare.seconds,
        unit: 'records/s',
      },
      {
        what: 'records without a key',
        value: (plain.requests * RECORDS) / plain.seconds,
        unit: 'records/s',
        reach: { atLeast: 300_000 },
      },
      { what: 'p99 of a batch', value: plain.p99Ms, unit: 'ms' },
      { what: 'keyed by a field', value: (keyed.requests * RECORDS) / keyed.seconds, unit: 'records/s' },
      { what: 'p99 of a keyed batch', value: keyed.p99Ms, unit: 'ms' },
    ];
  },
});

function lines(): string {
  return Array.from({ length: RECORDS }, (_, index) => {
    const head = `{"card":"card-${String(index % 500).padStart(4, '0')}","amount":19.99,"note":"`;
    return `${head}${'x'.repeat(RECORD_BYTES - head.length - 2)}"}`;
  }).join('\n');
}

async function measureBare(plan: (port: number) => LoadPlan) {
  await using server = await startBareServer();
  return await runLoad(plan(server.port));
}
