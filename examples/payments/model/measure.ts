import { type Dataset, trainModel } from 'millrace/training';
import { createFeatures } from '../features/batch.ts';
import { MODEL_COLUMNS } from '../features/row.ts';
import { recorded, type SourcePayment } from '../traffic/source.ts';
import { divide, measure, type Quality, type Sample, testEndMs } from './protocol.ts';
import { FRAUD_TREES } from './settings.ts';

export interface WeekResult {
  /** First day of the week trained on, such as `2018-07-25`. */
  readonly from: string;
  readonly quality: Quality;
  readonly onnx: Uint8Array;
}

/**
 * Reads all payments once, in the order of the files, with features over all of them; trains on the week that begins at each
 * of `begins` (ms, midnight UTC) and measures on the week that begins 14 days later. Throws an Error that says what is
 * missing when the files do not reach far enough.
 */
export async function measureWeek(
  files: readonly string[],
  begins: readonly number[],
  say: (line: string) => void,
): Promise<readonly WeekResult[]> {
  const samples = await readSamples(
    files,
    Math.min(...begins),
    testEndMs({ trainFromMs: Math.max(...begins) }),
  );
  say(`${samples.length} payments from the first day of training on, with their features`);
  return begins.map((trainFromMs) => {
    const from = new Date(trainFromMs).toISOString().slice(0, 10);
    const { train, test } = divide(samples, { trainFromMs });
    if (!train.some(({ fraud }) => fraud) || !test.some(({ fraud }) => fraud)) {
      const counts = `${train.length} payments to train on and ${test.length} to test on`;
      throw new Error(
        `The files hold ${counts} for the week from ${from}, or none of them is fraud. Give payments of the 21 days from then on, and of the month before.`,
      );
    }
    const model = trainModel(
      { algorithm: 'boosted-trees', holdout: 0, settings: FRAUD_TREES },
      datasetOf(train),
    );
    const answers = model.predict(datasetOf(test));
    const scores = Float64Array.from(test, (_, row) => answers[2 * row + 1]!);
    return { from, quality: measure(test, scores), onnx: model.onnx };
  });
}

export function datasetOf(samples: readonly Sample[]): Dataset {
  return {
    rows: samples.length,
    columns: MODEL_COLUMNS.map((name, place) => ({
      name,
      kind: 'number',
      values: Float32Array.from(samples, ({ values }) => values[place]!),
    })),
    label: Float64Array.from(samples, ({ fraud }) => (fraud ? 1 : 0)),
    classes: ['0', '1'],
  };
}

/** Payments between two times, with features over all payments before. A payment that both files hold counts once. */
async function readSamples(files: readonly string[], fromMs: number, toMs: number): Promise<Sample[]> {
  const features = createFeatures();
  const samples: Sample[] = [];
  let [oldest, newest]: (SourcePayment | undefined)[] = [];
  for (const file of files) {
    const before = newest;
    for await (const payments of recorded(file)) {
      for (const payment of payments) {
        if (payment.atMs >= toMs) return samples;
        oldest ??= payment;
        checkOrder(file, payment, oldest);
        if (before && payment.id <= before.id && payment.atMs <= before.atMs) continue;
        checkOrder(file, payment, newest);
        newest = payment;
        const row = features(payment);
        if (payment.atMs < fromMs) continue;
        const { atMs, card, fraud } = payment;
        samples.push({ atMs, card, fraud, values: Float32Array.from(MODEL_COLUMNS, (name) => row[name]) });
      }
    }
  }
  return samples;
}

function checkOrder(file: string, payment: SourcePayment, newest: SourcePayment | undefined): void {
  if (!newest || payment.atMs >= newest.atMs) return;
  throw new Error(
    `${file}: payment ${payment.id} of ${payment.at} comes after one of ${newest.at}. Sort the payments by time, and name the earlier file first.`,
  );
}
