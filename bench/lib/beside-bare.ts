import type { Reading } from './harness.ts';
import { type LoadPlan, type LoadResult, runLoad, startBareServer } from './http-load.ts';

/**
 * What a door answers beside bare node:http under the same clients, at full load and at 70 % of that. Bare is measured
 * before and after, and the better of the two counts.
 */
export async function besideBare(
  plan: Plan,
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
  say('bare node:http at 70 % of our rate');
  const calmBare = await runBare(plan, rate * 0.7);
  say('millrace at 70 % of that');
  const calm = checked(await runLoad(plan(port, rate * 0.7)));
  const bare = Math.max(before, after);
  return [
    { what: 'calibration: bare node:http, the same clients', value: bare, unit: 'requests/s' },
    { what: 'invocations a second', value: rate, unit: 'requests/s' },
    { what: 'of bare node:http', value: rate / bare, unit: 'ratio', reach: { atLeast: 0.6 } },
    { what: 'p50 at full load', value: ours.p50Ms, unit: 'ms' },
    { what: 'load of the calm run', value: calm.requests / calm.seconds, unit: 'requests/s' },
    { what: 'calibration: bare node:http at that load, p99', value: calmBare.p99Ms, unit: 'ms' },
    { what: 'p99 at 70 % load', value: calm.p99Ms, unit: 'ms', reach: { atMost: 5 } },
  ];
}

type Plan = (port: number, ratePerSecond?: number) => LoadPlan;

async function measureBare(plan: Plan): Promise<number> {
  const result = await runBare(plan);
  return result.requests / result.seconds;
}

async function runBare(plan: Plan, ratePerSecond?: number): Promise<LoadResult> {
  await using server = await startBareServer();
  return await runLoad(plan(server.port, ratePerSecond));
}

function checked(result: LoadResult): LoadResult {
  if (result.failures > 0) throw new Error(`${result.failures} requests failed.`);
  return result;
}
