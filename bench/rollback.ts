import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBuilder } from '../src/build/index.ts';
import { createPlatform, loadConfig } from '../src/main.ts';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench, median, percentile } from './lib/harness.ts';

const FUNCTIONS = 20;

const app = (version: number): string => `import { fn, http, stream } from 'millrace';
export const events = stream('events', { partitions: 4 });
${Array.from(
  { length: FUNCTIONS },
  (_, index) =>
    `export const f${index} = fn('f${index}', { on: http.get('/f${index}') }, () => ({ body: ${version} }));`,
).join('\n')}
`;

await bench({
  name: 'rollback',
  question: `How long does it take to go back to the version before, of an app with ${FUNCTIONS} functions?`,
  leavesOut: 'a platform far away: the time of the command line and of the network',
  async run({ short }) {
    using scratch = scratchFolder();
    const fsync = await fsyncLatency(scratch.path);
    const folder = join(scratch.path, 'shop');
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{"name":"shop","type":"module"}');
    const flags = {
      data: join(scratch.path, 'data'),
      'api-port': 'off',
      'edge-port': 'off',
      'kafka-port': 'off',
    };
    const platform = createPlatform(await loadConfig({ flags, env: {}, folder }));
    const builder = createBuilder();
    await platform.start();
    try {
      for (const version of [1, 2]) {
        writeFileSync(join(folder, 'app.ts'), app(version));
        await platform.delivery.deploy(await builder.build(join(folder, 'app.ts')), 'bench');
      }
      const tookMs: number[] = [];
      for (let round = 0; round < (short ? 5 : 50); round++) {
        const begin = performance.now();
        await platform.delivery.rollback('shop', 'bench');
        tookMs.push(performance.now() - begin);
      }
      return [
        ...fsyncReadings(fsync),
        { what: 'rollback, p50', value: median(tookMs), unit: 'ms' },
        { what: 'rollback, p95', value: percentile(tookMs, 0.95), unit: 'ms', reach: { atMost: 1000 } },
      ];
    } finally {
      await builder.close();
      await platform.stop();
    }
  },
});
