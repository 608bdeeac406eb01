import { join } from 'node:path';
import { resolveConfig } from '../src/kernel/index.ts';
import { createPlatform, SECTIONS } from '../src/main.ts';
import { DEFAULT_SERVING } from '../src/models/index.ts';
import { scratchFolder } from './lib/calibration.ts';
import { bench } from './lib/harness.ts';
import { treesModel } from './lib/onnx-models.ts';

const COLUMNS = 30;
const MODELS = 1000;

await bench({
  name: 'many-models',
  question:
    'What memory do a thousand registered models take that are all asked, and does a first request ever fail?',
  leavesOut: 'models of other sizes than 50 trees of depth 6 (188 KB each); HTTP; functions beside them',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const count = short ? 100 : MODELS;
    const flags = { data: join(scratch.path, 'data'), 'edge-port': 'off', 'api-port': 'off' };
    await using platform = createPlatform(resolveConfig(SECTIONS, { flags }));
    await platform.start();
    const { models } = platform;
    say(`${count} models`);
    for (let index = 0; index < count; index++) {
      const bytes = treesModel(50, COLUMNS, index);
      await models.register(`m${index}`, { bytes, serving: DEFAULT_SERVING, by: 'bench' });
    }
    const row = new Array(COLUMNS).fill(0.5);
    const times: number[] = [];
    let failed = 0;
    say('each asked twice, sixteen at a time');
    for (let round = 0; round < 2; round++) {
      for (let start = 0; start < count; start += 16) {
        const names = Array.from({ length: Math.min(16, count - start) }, (_, at) => `m${start + at}`);
        const results = await Promise.allSettled(
          names.map(async (name) => {
            const startMs = performance.now();
            await models.predict(name, [row]);
            times.push(performance.now() - startMs);
          }),
        );
        failed += results.filter(({ status }) => status === 'rejected').length;
      }
    }
    times.sort((a, b) => a - b);
    return [
      { what: 'models', value: count, unit: 'models' },
      { what: 'loaded at the end', value: models.loaded.models, unit: 'models' },
      {
        what: 'memory of the process',
        value: process.memoryUsage.rss() / 1024 ** 2,
        unit: 'MB',
        reach: { atMost: 1024 },
      },
      { what: 'requests that failed', value: failed, unit: 'requests', reach: { atMost: 0 } },
      {
        what: 'median of a request, most of them first ones, sixteen at once',
        value: times[times.length >> 1]!,
        unit: 'ms',
      },
    ];
  },
});
