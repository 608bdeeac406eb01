/**
 * `npm run payments:ship`: trains the model that `npm start` begins with, on made-up payments, and writes
 * `scoring/fraud.onnx`. The same seed gives the same bytes.
 */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { trainModel } from 'millrace/training';
import { createFeatures } from '../features/batch.ts';
import { freshCard, observeCard } from '../features/card.ts';
import { modelValues } from '../features/row.ts';
import { generatePayments } from '../traffic/generator.ts';
import { datasetOf } from './measure.ts';
import { DAY_MS, type Sample } from './protocol.ts';
import { FRAUD_TREES } from './settings.ts';

/** Long enough that terminals have a history of a month with labels before the first payment that is learnt from. */
const FIRST_DAY = 40;
const LAST_DAY = 75;
/** One payment in so many is learnt from as if its card were new: by then no card is, but the next `curl` brings one. */
const AS_IF_NEW = 4;

export function trainOnMadeUp(): Uint8Array {
  const features = createFeatures();
  const samples: Sample[] = [];
  // Another seed than the traffic's: the model has not seen what it will score.
  for (const payment of generatePayments({ seed: 2026, startMs: 0 })) {
    const day = payment.atMs / DAY_MS;
    if (day >= LAST_DAY) break;
    const row = features(payment);
    if (day < FIRST_DAY) continue;
    const { atMs, card, fraud, id } = payment;
    const seen = id % AS_IF_NEW === 0 ? { ...row, ...observeCard(freshCard(), payment) } : row;
    samples.push({ atMs, card, fraud, values: Float32Array.from(modelValues(seen)) });
  }
  const spec = { algorithm: 'boosted-trees', holdout: 0, settings: FRAUD_TREES } as const;
  return trainModel(spec, datasetOf(samples)).onnx;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const onnx = trainOnMadeUp();
  writeFileSync(new URL('../scoring/fraud.onnx', import.meta.url), onnx);
  process.stderr.write(`scoring/fraud.onnx: ${onnx.length} bytes\n`);
}
