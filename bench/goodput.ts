import { join } from 'node:path';
import { scratchFolder } from './lib/calibration.ts';
import { deployApp } from './lib/deploy.ts';
import { bench, type Reading } from './lib/harness.ts';
import { type LoadPlan, runLoad, startBareServer, startPlatform } from './lib/http-load.ts';

/** The last are more than the function's places (160) and the queue (2,000) hold together. */
const CLIENTS = [10, 64, 250, 1000, 3000];

await bench({
  name: 'goodput',
  question: 'Does a function go on answering as much when far more clients call it than it can serve?',
  leavesOut: 'open loops (clients that do not wait for an answer before they ask again), networks, TLS',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const plan = (port: number, connections: number): LoadPlan => ({
      ...{ port, connections, path: '/functions/work', contentType: 'application/json' },
      bodyBase64: Buffer.from('{}').toString('base64'),
      warmupMs: short ? 500 : 3000,
      durationMs: short ? 1500 : 8000,
    });
    say('bare node:http');
    const bare = await bareRates(plan, [64, 1000, 3000]);
    await using platform = await startPlatform(join(scratch.path, 'data'));
    const source = `import { fn } from 'millrace';
export const work = fn('work', { instances: { max: 2 }, perInstance: 80 }, async () => ({ done: true }));\n`;
    await deployApp(join(scratch.path, 'app'), platform.api, source);
    const readings: Reading[] = [];
    const rates: number[] = [];
    for (const connections of CLIENTS) {
      say(`${connections} clients`);
      const result = await runLoad(plan(platform.port, connections));
      if (result.failures > 0)
        throw new Error(`${result.failures} requests failed with something else than 429.`);
      rates.push(result.requests / result.seconds);
      readings.push(
        { what: `${connections} clients: answered`, value: rates.at(-1)!, unit: 'requests/s' },
        {
          what: `${connections} clients: refused with 429`,
          value: result.throttled / result.seconds,
          unit: 'requests/s',
        },
      );
    }
    const kept = (connections: number): Reading => ({
      what: `${connections} clients, of the peak`,
      value: rates[CLIENTS.indexOf(connections)]! / Math.max(...rates),
      unit: 'ratio',
      reach: { atLeast: 0.9 },
    });
    return [
      { what: 'calibration: bare node:http, 1000 clients, of 64', value: bare[1]! / bare[0]!, unit: 'ratio' },
      { what: 'calibration: bare node:http, 3000 clients, of 64', value: bare[2]! / bare[0]!, unit: 'ratio' },
      ...readings,
      kept(1000),
      kept(3000),
    ];
  },
});

/** What the load generator and node:http lose by the number of connections alone. */
async function bareRates(
  plan: (port: number, connections: number) => LoadPlan,
  clients: readonly number[],
): Promise<readonly number[]> {
  await using server = await startBareServer();
  const rates: number[] = [];
  for (const connections of clients) {
    const { requests, seconds } = await runLoad(plan(server.port, connections));
    rates.push(requests / seconds);
  }
  return rates;
}
