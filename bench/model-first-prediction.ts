import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resolveConfig } from '../src/kernel/index.ts';
import { createPlatform, type Platform, SECTIONS } from '../src/main.ts';
import { DEFAULT_SERVING } from '../src/models/index.ts';
import { scratchFolder } from './lib/calibration.ts';
import { bench, type Reading } from './lib/harness.ts';
import { denseModel, treesModel } from './lib/onnx-models.ts';

const COLUMNS = 30;
const SIZE = 2400;

await bench({
  name: 'model-first-prediction',
  question: 'How long does the first prediction of a model take that lies in the registry and is not loaded?',
  leavesOut:
    'a disk that has not got the file in its cache; several models at once; the very first load of a process is told apart',
  async run({ short, say }) {
    const beside = join(import.meta.dirname, '../.conformance/onnxruntime');
    const runtime = process.env.MILLRACE_BENCH_ONNXRUNTIME ?? beside;
    const rounds = short ? 3 : 15;
    say('100 trees of depth 6, 30 columns');
    const columns = new Array(COLUMNS).fill(0.5);
    const small = await measured(undefined, (index) => treesModel(100, COLUMNS, index), columns, rounds);
    const readings: Reading[] = [
      { what: '100 trees, the first of the process', value: small.first, unit: 'ms' },
      { what: '100 trees, median', value: small.median, unit: 'ms', reach: { atMost: 20 } },
    ];
    const wide = new Array(SIZE).fill(0.5);
    const large = (index: number): Uint8Array => denseModel(SIZE, index);
    say('23 MB in the evaluator, in a worker');
    const evaluated = await measured(undefined, large, wide, rounds);
    readings.push({ what: '23 MB in the evaluator, median', value: evaluated.median, unit: 'ms' });
    if (!existsSync(join(runtime, 'node_modules/onnxruntime-node'))) {
      say(`no native runtime: there is no onnxruntime-node in ${runtime}`);
      return readings;
    }
    say('23 MB where there is ONNX Runtime');
    const native = await measured(runtime, large, wide, rounds);
    return [
      ...readings,
      {
        what: `23 MB with ONNX Runtime (${native.engine} chosen), the first of the process`,
        value: native.first,
        unit: 'ms',
      },
      { what: '23 MB with ONNX Runtime, median', value: native.median, unit: 'ms', reach: { atMost: 200 } },
    ];
  },
});

interface Loads {
  readonly first: number;
  readonly median: number;
  readonly engine: string;
}

/**
 * One platform registers models, another on the same folder answers: so nothing of them is in its memory, while its threads
 * are up, as they are on a platform that serves.
 */
async function measured(
  runtime: string | undefined,
  make: (index: number) => Uint8Array,
  row: readonly number[],
  rounds: number,
): Promise<Loads> {
  using scratch = scratchFolder();
  const flags = {
    data: join(scratch.path, 'data'),
    'edge-port': 'off',
    'api-port': 'off',
    ...(runtime === undefined ? {} : { 'model-runtime': runtime }),
  };
  const open = async (): Promise<Platform> => {
    const platform = createPlatform(resolveConfig(SECTIONS, { flags }));
    await platform.start();
    return platform;
  };
  {
    await using before = await open();
    for (let index = 0; index < rounds; index++) {
      await before.models.register(`m${index}`, {
        bytes: make(index),
        serving: DEFAULT_SERVING,
        by: 'bench',
      });
    }
  }
  await using platform = await open();
  const times: number[] = [];
  for (let index = 0; index < rounds; index++) {
    const startMs = performance.now();
    await platform.models.predict(`m${index}`, [row]);
    times.push(performance.now() - startMs);
    const tier = platform.models.status(await platform.models.registry.version(`m${index}`)).tier;
    if (index === rounds - 1) {
      const [first, ...rest] = times;
      return { first: first!, median: rest.sort((a, b) => a - b)[rest.length >> 1]!, engine: tier!.engine };
    }
    await platform.models.unload(`m${index}`);
  }
  throw new Error('Nothing was measured.');
}
