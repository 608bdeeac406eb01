import type { Reading } from './harness.ts';
import { type LoadPlan, type LoadResult, runLoad, startBareServer } from './http-load.ts';

/**
 * What a door answers beside bare node:http under the same clients, at full load and at 70 % of that. Bare is measured
 * before and after, and the better of the two counts.
 */
export async function besideBare(
  plan: (port: number, ratePerSecond?: number) => LoadPlan,
  openDoor: () => Promise<number>,
  say: (line: string) => void,
): Promise<readonly Reading[]> {
  say('bare node:http');
  const before = await measureBare(plan);
  const port = await openDoor();
  say('millrace');
  const ours = checked(await runLoad(plan(port)));
  say('bare node:http again');
  const after = await measureBare(plan);
  const rate = ours.requests / ours.seconds;
  say('millrace at 70 % of that');
  const calm = checked(await runLoad(plan(port, rate * 0.7)));
  const bare = Math.max(before, after);
  return [
    { what: 'calibration: bare node:http, the same clients', value: bare, unit: 'requests/s' },
    { what: 'invocations a second', value: rate, unit: 'requests/s' },
    { what: 'of bare node:http', value: rate / bare, unit: 'ratio', reach: { atLeast: 0.6 } },
    { what: 'p50 at full load', value: ours.p50Ms, unit: 'ms' },
    { what: 'load of the calm run', value: calm.requests / calm.seconds, unit: 'requests/s' },
    { what: 'p99 at 70 % load', value: calm.p99Ms, unit: 'ms', reach: { atMost: 5 } },
  ];
}

async function measureBare(plan: (port: number) => LoadPlan): Promise<number> {
  await using server = await startBareServer();
  const result = await runLoad(plan(server.port));
  return result.requests / result.seconds;
}

function checked(result: LoadResult): LoadResult {
  if (result.failures > 0) throw new Error(`${result.failures} requests failed.`);
  return result;
}
