import { join } from 'node:path';
import { scratchFolder } from './lib/calibration.ts';
import { deployApp } from './lib/deploy.ts';
import { bench, type Reading } from './lib/harness.ts';
import { runLoad, startPlatform } from './lib/http-load.ts';

const CLIENTS = [10, 64, 250, 1000];

await bench({
  name: 'goodput',
  question: 'Does a function go on answering as much when far more clients call it than it can serve?',
  leavesOut: 'open loops (clients that do not wait for an answer before they ask again), networks, TLS',
  async run({ short, say }) {
    using scratch = scratchFolder();
    await using platform = await startPlatform(join(scratch.path, 'data'));
    const source = `import { fn } from 'millrace';
export const work = fn('work', { instances: { max: 2 }, perInstance: 80 }, async () => ({ done: true }));\n`;
    await deployApp(join(scratch.path, 'app'), platform.api, source);
    const readings: Reading[] = [];
    const rates: number[] = [];
    for (const connections of CLIENTS) {
      say(`${connections} clients`);
      const result = await runLoad({
        port: platform.port,
        connections,
        path: '/functions/work',
        contentType: 'application/json',
        bodyBase64: Buffer.from('{}').toString('base64'),
        warmupMs: short ? 500 : 3000,
        durationMs: short ? 1500 : 8000,
      });
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
    const kept = rates.at(-1)! / Math.max(...rates);
    return [
      ...readings,
      { what: '1,000 clients, of the peak', value: kept, unit: 'ratio', reach: { atLeast: 0.9 } },
    ];
  },
});
