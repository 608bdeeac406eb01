import { join } from 'node:path';
import { scratchFolder } from './lib/calibration.ts';
import { deployApp } from './lib/deploy.ts';
import { bench } from './lib/harness.ts';
import { type LoadPlan, type LoadResult, runLoad, startBareServer, startPlatform } from './lib/http-load.ts';

const CLIENTS = 64;

const SOURCE = `import { fn, http } from 'millrace';
const rateLimit = { requests: 1_000_000_000, per: '1h', by: 'ip' };
export const noop = fn('noop', { on: http.post('/noop', { rateLimit }) }, () => ({ body: { records: 1 } }));
`;

await bench({
  name: 'edge-warm',
  question:
    'What does a route with a body, a rate limit and tracing cost over bare node:http, with 64 clients and a warm instance?',
  leavesOut: 'networks, TLS, tokens, work inside the function; client, platform and worker share the cores',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const plan = (port: number, ratePerSecond?: number): LoadPlan => ({
      port,
      connections: CLIENTS,
      path: '/noop',
      contentType: 'application/json',
      bodyBase64: Buffer.from('{"a":1}').toString('base64'),
      warmupMs: short ? 500 : 3000,
      durationMs: short ? 1500 : 8000,
      ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
    });
    say('bare node:http');
    const before = await measureBare(plan);
    await using platform = await startPlatform(join(scratch.path, 'data'));
    await deployApp(join(scratch.path, 'app'), platform.api, SOURCE);
    const edgePort = Number(new URL(platform.edge).port);
    say('millrace');
    const ours = checked(await runLoad(plan(edgePort)));
    say('bare node:http again');
    const after = await measureBare(plan);
    const rate = ours.requests / ours.seconds;
    say('millrace at 70 % of that');
    const calm = checked(await runLoad(plan(edgePort, rate * 0.7)));
    const bare = Math.max(before, after);
    return [
      { what: 'calibration: bare node:http, the same clients', value: bare, unit: 'requests/s' },
      { what: 'invocations a second', value: rate, unit: 'requests/s' },
      { what: 'of bare node:http', value: rate / bare, unit: 'ratio', reach: { atLeast: 0.6 } },
      { what: 'p50 at full load', value: ours.p50Ms, unit: 'ms' },
      { what: 'load of the calm run', value: calm.requests / calm.seconds, unit: 'requests/s' },
      { what: 'p99 at 70 % load', value: calm.p99Ms, unit: 'ms', reach: { atMost: 5 } },
    ];
  },
});

async function measureBare(plan: (port: number) => LoadPlan): Promise<number> {
  await using server = await startBareServer();
  const result = await runLoad(plan(server.port));
  return result.requests / result.seconds;
}

function checked(result: LoadResult): LoadResult {
  if (result.failures > 0) throw new Error(`${result.failures} requests failed.`);
  return result;
}
