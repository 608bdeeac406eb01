import { join } from 'node:path';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench } from './lib/harness.ts';
import { createStream, type LoadPlan, runLoad, startBareServer, startPlatform } from './lib/http-load.ts';

const CONNECTIONS = 256;

await bench({
  name: 'publish-http-single',
  question: 'How many records a second can 256 clients publish over HTTP, one record a request, durably?',
  leavesOut: 'networks, TLS, tokens, schemas; client and server share the cores of one machine',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const fsync = await fsyncLatency(scratch.path);
    const plan = (port: number): LoadPlan => ({
      port,
      connections: CONNECTIONS,
      path: '/streams/single/records',
      contentType: 'application/json',
      bodyBase64: Buffer.from(
        JSON.stringify({ card: 'card-0017', amount: 19.99, at: 'x'.repeat(60) }),
      ).toString('base64'),
      warmupMs: short ? 300 : 2000,
      durationMs: short ? 1000 : 8000,
    });
    say('bare node:http');
    const bare = await measureBare(plan);
    say('millrace');
    await using platform = await startPlatform(join(scratch.path, 'data'));
    await createStream(platform.api, { name: 'single', partitions: 4 });
    const ours = await runLoad(plan(platform.port));
    if (ours.failures > 0) throw new Error(`${ours.failures} requests failed.`);
    say('bare node:http again');
    const again = await measureBare(plan);
    const bareRate = Math.max(bare.requests / bare.seconds, again.requests / again.seconds);
    const rate = ours.requests / ours.seconds;
    return [
      ...fsyncReadings(fsync),
      { what: 'calibration: bare node:http, the same clients', value: bareRate, unit: 'requests/s' },
      { what: 'records a second', value: rate, unit: 'records/s' },
      { what: 'of bare node:http', value: rate / bareRate, unit: 'ratio', reach: { atLeast: 0.3 } },
      { what: 'p50', value: ours.p50Ms, unit: 'ms' },
      { what: 'p99', value: ours.p99Ms, unit: 'ms' },
    ];
  },
});

async function measureBare(plan: (port: number) => LoadPlan) {
  await using server = await startBareServer();
  return await runLoad(plan(server.port));
}
