export type { Column, Dataset } from './dataset.ts';
export type { OnProgress, Progress } from './fitted.ts';
export { accuracy, auc, averagePrecision, logLoss, rootMeanSquaredError, rSquared } from './metrics.ts';
export type { Algorithm, TrainingSpec } from './spec.ts';
export { type TrainedModel, type Training, trainModel } from './train.ts';
