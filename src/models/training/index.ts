export type { Column, Dataset, Rows } from './dataset.ts';
export type { OnProgress, Progress } from './fitted.ts';
export { accuracy, auc, averagePrecision, logLoss, rootMeanSquaredError, rSquared } from './metrics.ts';
export { ALGORITHMS, type Algorithm, type TrainingSpec } from './spec.ts';
export { readFile, readRows } from './table/read-file.ts';
export { type TrainedModel, type Training, trainModel } from './train.ts';
export { createTrainer, type Trainer, type TrainingSource, type TrainOptions } from './trainer.ts';
