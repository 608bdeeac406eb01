import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFeatures } from '../examples/payments/features/batch.ts';
import { FEATURES } from '../examples/payments/features/row.ts';
import { DAY_MS, divide, type Sample } from '../examples/payments/model/protocol.ts';
import { generated, recorded, type Source } from '../examples/payments/traffic/source.ts';
import { auc, averagePrecision, type Dataset, trainModel } from '../src/models/training/index.ts';
import { findPython, runPython } from '../tests/support/python.ts';
import { scratchFolder } from './lib/calibration.ts';
import { bench, median, type Reading } from './lib/harness.ts';

/** What all three are told, each in its own words. */
const SETTINGS = {
  rounds: 100,
  learningRate: 0.1,
  maxLeaves: 31,
  minDataInLeaf: 1,
  minChildWeight: 1,
  lambdaL2: 1,
};

/** Trains each peer on one thread, and writes its scores of the test rows. */
const PEERS = `
import json, sys, time
import lightgbm, numpy, xgboost
folder, width = sys.argv[1], int(sys.argv[2])
def read(name, kind): return numpy.fromfile(folder + '/' + name, dtype=kind)
x, y, test = read('train.x', 'f4').reshape(-1, width), read('train.y', 'f8'), read('test.x', 'f4').reshape(-1, width)
def light():
    settings = dict(objective='binary', learning_rate=0.1, num_leaves=31, min_data_in_leaf=1, min_sum_hessian_in_leaf=1, lambda_l2=1, max_bin=255, num_threads=1, verbose=-1)
    model = lightgbm.train(settings, lightgbm.Dataset(x, y), 100)
    return lambda rows: model.predict(rows)
def extreme():
    settings = dict(objective='binary:logistic', eta=0.1, tree_method='hist', grow_policy='lossguide', max_leaves=31, max_depth=0, min_child_weight=1, reg_lambda=1, max_bin=255, nthread=1)
    model = xgboost.train(settings, xgboost.DMatrix(x, y, nthread=1), 100)
    return lambda rows: model.predict(xgboost.DMatrix(rows))
times = {}
for name, fit in (('lightgbm', light), ('xgboost', extreme)):
    begin = time.perf_counter()
    model = fit()
    times[name] = (time.perf_counter() - begin) * 1000
    numpy.asarray(model(test), dtype='f8').tofile(folder + '/' + name + '.scores')
print(json.dumps(times))
`;

await bench({
  name: 'boosted-trees',
  question:
    'Do boosted trees learn the payments as well as LightGBM and XGBoost, and how much longer do they take?',
  leavesOut:
    'Several threads, which the peers have and a worker here has not; tables much wider or longer than a week of payments.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const python = findPython(['lightgbm', 'xgboost', 'numpy']);
    if ('skip' in python) say(`no comparison: ${python.skip}`);
    const own: Measured[] = [];
    const peers: { readonly lightgbm: Measured[]; readonly xgboost: Measured[] } = {
      lightgbm: [],
      xgboost: [],
    };
    for (const { train, test, name } of await weeks(short)) {
      const [learnt, asked] = [datasetOf(train), datasetOf(test)];
      say(`${name}: ${train.length} to train on, ${test.length} to test on, ${FEATURES.length} columns`);
      own.push(measureOwn(learnt, asked));
      if ('skip' in python) continue;
      writeMatrix(join(folder.path, 'train'), learnt);
      writeMatrix(join(folder.path, 'test'), asked);
      const words = [folder.path, String(FEATURES.length)];
      const times = JSON.parse(runPython(python.path, PEERS, words)) as { lightgbm: number; xgboost: number };
      for (const peer of ['lightgbm', 'xgboost'] as const) {
        const bytes = new Uint8Array(readFileSync(join(folder.path, `${peer}.scores`)));
        const scores = new Float64Array(bytes.buffer);
        peers[peer].push({ ms: times[peer], ...qualityOf(asked.label!, scores) });
      }
    }
    const readings = [...readingsOf('', own)];
    if ('skip' in python) return readings;
    return [
      ...readings,
      ...readingsOf('lightgbm: ', peers.lightgbm),
      ...readingsOf('xgboost: ', peers.xgboost),
      ...compare(own, peers),
    ];
  },
});

interface Measured {
  readonly ms: number;
  readonly averagePrecision: number;
  readonly auc: number;
}

function measureOwn(learnt: Dataset, asked: Dataset): Measured {
  const begin = performance.now();
  const model = trainModel({ algorithm: 'boosted-trees', holdout: 0, settings: SETTINGS }, learnt);
  const ms = performance.now() - begin;
  const answers = model.predict(asked);
  return {
    ms,
    ...qualityOf(
      asked.label!,
      Float64Array.from({ length: asked.rows }, (_, row) => answers[2 * row + 1]!),
    ),
  };
}

function qualityOf(label: Float64Array, scores: Float64Array): Omit<Measured, 'ms'> {
  return { averagePrecision: averagePrecision(label, scores), auc: auc(label, scores) };
}

function mean(measured: readonly Measured[], name: 'averagePrecision' | 'auc'): number {
  return measured.reduce((sum, each) => sum + each[name], 0) / measured.length;
}

function readingsOf(who: string, measured: readonly Measured[]): Reading[] {
  return [
    {
      what: `${who}average precision, mean over the weeks`,
      value: mean(measured, 'averagePrecision'),
      unit: '',
    },
    { what: `${who}area under the curve, mean over the weeks`, value: mean(measured, 'auc'), unit: '' },
    { what: `${who}training on one thread, median`, value: median(measured.map(({ ms }) => ms)), unit: 'ms' },
  ];
}

function compare(
  own: readonly Measured[],
  { lightgbm, xgboost }: { readonly lightgbm: readonly Measured[]; readonly xgboost: readonly Measured[] },
): Reading[] {
  const ahead = (name: 'averagePrecision' | 'auc'): number =>
    mean(own, name) - (mean(lightgbm, name) + mean(xgboost, name)) / 2;
  const ratios = own.map(({ ms }, week) => ms / lightgbm[week]!.ms);
  const reach = { atLeast: -0.005 };
  return [
    { what: 'average precision above their mean', value: ahead('averagePrecision'), unit: '', reach },
    { what: 'area under the curve above their mean', value: ahead('auc'), unit: '', reach },
    { what: 'training, over that of LightGBM', value: median(ratios), unit: 'ratio', reach: { atMost: 3 } },
  ];
}

interface Week {
  readonly name: string;
  readonly train: readonly Sample[];
  readonly test: readonly Sample[];
}

/**
 * Weeks to train on, each with the week after next to test on, with all features: of recorded payments
 * (`MILLRACE_BENCH_PAYMENTS`), else of made-up ones.
 */
async function weeks(short: boolean): Promise<readonly Week[]> {
  const path = process.env.MILLRACE_BENCH_PAYMENTS;
  const source: Source = path === undefined ? generated({ seed: 1 }, 2000) : recorded(path);
  const begins = short ? [30] : [45, 59, 73, 87, 101];
  const [first, last] = [begins[0]!, begins.at(-1)! + 21];
  const features = createFeatures();
  const samples: Sample[] = [];
  let firstDayMs: number | undefined;
  collect: for await (const payments of source) {
    for (const payment of payments) {
      firstDayMs ??= Math.floor(payment.atMs / DAY_MS) * DAY_MS;
      const day = Math.floor((payment.atMs - firstDayMs) / DAY_MS);
      if (day >= last) break collect;
      const row = features(payment);
      if (day < first) continue;
      const { atMs, card, fraud } = payment;
      samples.push({ atMs, card, fraud, values: Float32Array.from(FEATURES, (each) => row[each]) });
    }
  }
  return begins.map((day) => ({
    name: path === undefined ? 'made-up payments' : 'recorded payments',
    ...divide(samples, { trainFromMs: firstDayMs! + day * DAY_MS }),
  }));
}

function datasetOf(samples: readonly Sample[]): Dataset {
  return {
    rows: samples.length,
    columns: FEATURES.map((name, place) => ({
      name,
      kind: 'number',
      values: Float32Array.from(samples, ({ values }) => values[place]!),
    })),
    label: Float64Array.from(samples, ({ fraud }) => (fraud ? 1 : 0)),
    classes: ['genuine', 'fraud'],
  };
}

function writeMatrix(path: string, { rows, columns, label }: Dataset): void {
  const matrix = new Float32Array(rows * columns.length);
  for (let cell = 0; cell < matrix.length; cell++) {
    matrix[cell] = columns[cell % columns.length]!.values[Math.floor(cell / columns.length)]!;
  }
  writeFileSync(`${path}.x`, matrix);
  writeFileSync(`${path}.y`, label!);
}
