import type { TaskContext } from '../../kernel/index.ts';
import type { Dataset } from './dataset.ts';
import type { TrainingSpec } from './spec.ts';
import { readFile, readRows } from './table/read-file.ts';
import { type Training, trainModel } from './train.ts';
import type { TrainInput, TrainingSource } from './trainer.ts';

/** Runs in a worker. */
export async function train(
  { spec, source, progress }: TrainInput,
  { transfer }: TaskContext,
): Promise<Training> {
  try {
    const { predict: _, ...training } = trainModel(spec, await datasetOf(spec, source), (each) =>
      progress.postMessage(each),
    );
    transfer.push(training.onnx.buffer as ArrayBuffer);
    return training;
  } finally {
    progress.close();
  }
}

async function datasetOf(spec: TrainingSpec, source: TrainingSource): Promise<Dataset> {
  if (source.kind === 'dataset') return source.dataset;
  return source.kind === 'file' ? readFile(source.path, spec) : readRows(source.rows, spec);
}
