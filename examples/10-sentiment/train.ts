/** Trains the model of this folder: `node examples/10-sentiment/train.ts`. Its measures go to stdout. */
import { writeFileSync } from 'node:fs';
import { readRows, type TrainedModel, trainModel } from 'millrace/training';
import { makeReviews } from './corpus.ts';
import { NGRAMS } from './ngrams.ts';

const FILE = new URL('sentiment.onnx', import.meta.url);

export function train(): TrainedModel {
  const spec = { algorithm: 'text-classifier', label: 'mood', features: ['text'], settings: NGRAMS } as const;
  return trainModel(spec, readRows(makeReviews(3000, 1), spec));
}

if (import.meta.main) {
  const { onnx, metrics } = train();
  writeFileSync(FILE, onnx);
  process.stdout.write(`${JSON.stringify(metrics)}\n`);
}
