import { createPlatform, loadConfig } from '../src/main.ts';
import { encodeModel, named, node } from '../src/models/index.ts';
import { createMonitor, DEFAULT_DRIFT } from '../src/models/watch/monitor.ts';
import { buildReference } from '../src/models/watch/reference.ts';
import * as tasks from '../src/models/watch/tasks.ts';
import { bench, median, type Reading } from './lib/harness.ts';
import { runLoad } from './lib/http-load.ts';

const ROWS = 356_000;
const COLUMNS = 100;
const BATCH = 1000;
const FEATURES = 30;

const normal = (): number =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

/** All of it on this thread: what the workers would do is called as it is. */
const here = {
  run: async (name: { task: string }, input: unknown) =>
    (tasks as unknown as { [task: string]: (input: unknown) => unknown })[name.task]!(input),
};

/** A table of normal values, in batches as a model is given them, against a reference of 10,000 rows. */
async function table(rows: number): Promise<{ seconds: number; windows: number; sumSeconds: number }> {
  const names = Array.from({ length: COLUMNS }, (_, at) => `c${at}`);
  const inputs = names.map((name) => ({ name, values: Float32Array.from({ length: 10_000 }, normal) }));
  let windows = 0;
  const monitor = createMonitor({
    workers: here as never,
    reference: buildReference(inputs, []),
    features: names,
    options: { ...DEFAULT_DRIFT, windows: { rows: 10_000, everyMs: null, leastRows: 500 } },
    judged: async () => void windows++,
    learned: async () => {},
    failed: (error) => {
      throw error;
    },
  });
  const batches = Array.from({ length: 20 }, () => Float32Array.from({ length: BATCH * COLUMNS }, normal));
  const dims = [BATCH, COLUMNS];
  const begin = process.cpuUsage();
  for (let batch = 0; batch * BATCH < rows; batch++) {
    const data = batches[batch % batches.length]!;
    monitor.observe({ x: { type: 'float32', dims, data } }, {}, BATCH, batch);
    if (batch % 5 === 4) await monitor.settled();
  }
  await monitor.settled();
  const { user, system } = process.cpuUsage(begin);
  const beginSum = process.cpuUsage();
  let sum = 0;
  for (let batch = 0; batch * BATCH < rows; batch++) {
    for (const value of batches[batch % batches.length]!) sum += value;
  }
  const added = process.cpuUsage(beginSum);
  if (Number.isNaN(sum)) throw new Error('The values were no numbers.');
  return { seconds: (user + system) / 1e6, windows, sumSeconds: (added.user + added.system) / 1e6 };
}

function logistic(): Uint8Array {
  const matrix = (name: string, columns: number) =>
    ({ name, type: { kind: 'tensor', type: 'float32', dims: ['rows', columns] } }) as const;
  const names = Array.from({ length: FEATURES }, (_, at) => `c${at}`);
  const columns = names.map((name) => ({ name, values: Float32Array.from({ length: 5000 }, normal) }));
  const reference = buildReference(columns, [
    { name: 'risk', values: Float32Array.from({ length: 5000 }, Math.random) },
  ]);
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    metadata: [
      { key: 'millrace.features', value: JSON.stringify(names) },
      { key: 'millrace.reference', value: JSON.stringify(reference) },
    ],
    graph: {
      name: 'risk',
      nodes: [node('Gemm', ['x', 'weights', 'bias'], ['raw']), node('Sigmoid', ['raw'], ['risk'])],
      initializers: [
        named('weights', {
          type: 'float32',
          dims: [FEATURES, 1],
          data: Float32Array.from({ length: FEATURES }, normal),
        }),
        named('bias', { type: 'float32', dims: [1], data: Float32Array.of(0) }),
      ],
      inputs: [matrix('x', FEATURES)],
      outputs: [matrix('risk', 1)],
    },
  });
}

/** A platform with the model; without watching nobody listens to its predictions. */
async function serving(watched: boolean) {
  const flags = { 'api-port': '0', 'edge-port': 'off', 'kafka-port': 'off' };
  const config = await loadConfig({ flags, env: {}, folder: process.cwd() });
  const platform = createPlatform(config, { memory: true });
  await platform.start();
  const serving = { missing: false, batch: { size: 256, waitMs: 0 }, cache: null };
  await platform.models.register('risk', { bytes: logistic(), serving, by: 'bench' });
  if (!watched) await platform.models.operations.stop();
  return platform;
}

/** CPU of the platform's process for one request, in µs; the load comes from another process. */
async function cpuPerRequest(api: string, rows: number, durationMs: number): Promise<number> {
  const row = Array.from({ length: FEATURES }, () => Number(normal().toFixed(4)));
  const body = JSON.stringify(Array.from({ length: rows }, () => row));
  const begin = process.cpuUsage();
  const result = await runLoad({
    port: Number(new URL(api).port),
    connections: 64,
    path: '/models/risk/predict',
    contentType: 'application/json',
    bodyBase64: Buffer.from(body).toString('base64'),
    warmupMs: 0,
    durationMs,
  });
  const { user, system } = process.cpuUsage(begin);
  if (result.failures > 0 || result.requests === 0) throw new Error(`${result.failures} requests failed.`);
  return (user + system) / result.requests;
}

/** The cost of a watched request over that of an unwatched one, both measured in turns. */
async function live(
  rows: number,
  rounds: number,
  durationMs: number,
): Promise<{ ratio: number; micros: number }> {
  await using watched = await serving(true);
  await using bare = await serving(false);
  const ratios: number[] = [];
  const micros: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const order = round % 2 === 0 ? [bare, watched] : [watched, bare];
    const costs = new Map<object, number>();
    for (const each of order) {
      costs.set(each, await cpuPerRequest(each.addresses.api!, rows, durationMs));
    }
    const [plain, cost] = [costs.get(bare)!, costs.get(watched)!];
    // The first round warms both up.
    if (round === 0) continue;
    ratios.push(cost / plain);
    micros.push(plain);
  }
  return { ratio: median(ratios), micros: median(micros) };
}

await bench({
  name: 'model-drift',
  question: 'What does it cost to watch what models are given?',
  leavesOut:
    'categories, tensors by column, labels; the CPU of the worker that counts is in the figures, a second core that it may run on is not',
  async run({ short, say }): Promise<readonly Reading[]> {
    const rows = short ? ROWS / 10 : ROWS;
    const { seconds, windows, sumSeconds } = await table(rows);
    say(`${windows} windows of 10,000 rows judged`);
    const single = await live(1, short ? 2 : 6, short ? 1500 : 4000);
    const many = await live(100, short ? 2 : 6, short ? 1500 : 4000);
    return [
      {
        what: `drift of ${rows} × ${COLUMNS} values`,
        value: seconds,
        unit: 's of one core',
        reach: { atMost: short ? 0.5 : 5 },
      },
      { what: 'calibration: adding the same values up', value: sumSeconds, unit: 's of one core' },
      {
        what: 'CPU of a request of one row, watched over not watched',
        value: single.ratio,
        unit: 'ratio',
        reach: { atMost: 1.05 },
      },
      {
        what: 'CPU of a request of 100 rows, watched over not watched',
        value: many.ratio,
        unit: 'ratio',
        reach: { atMost: 1.05 },
      },
      { what: 'CPU of a request of one row, not watched', value: single.micros, unit: 'µs' },
      { what: 'CPU of a request of 100 rows, not watched', value: many.micros, unit: 'µs' },
    ];
  },
});
