import type { Stream } from './stream.ts';

/** What every way of learning is told. */
export interface CommonTrainingOptions {
  /** Where the rows are: a stream's history, or the path of a CSV or NDJSON file, from the app's folder. */
  readonly from?: Stream | string;
  /** Columns to learn from; left out: all but label and weight. */
  readonly features?: readonly string[];
  /** Column that says how much a row counts. */
  readonly weight?: string;
  /** Part of the rows that the model is measured on and does not see; default 0.2. */
  readonly holdout?: number;
  /** Which rows those are: `'random'` (default) or the `'last'`, as it would be in time. */
  readonly split?: 'random' | 'last';
  /** The same seed gives the same model; default 1. */
  readonly seed?: number;
}

export interface LabelledTrainingOptions extends CommonTrainingOptions {
  /** Column to predict. */
  readonly label: string;
}

export interface EitherTrainingOptions extends LabelledTrainingOptions {
  /** Left out: classes for a label of texts or of 0 and 1, else a number. */
  readonly task?: 'classes' | 'number';
}

/** A model to be trained, as plain data: what `model(…, { train })` and `retrain: { spec }` take. */
export interface TrainingDeclaration {
  readonly algorithm: string;
  readonly label?: string;
  readonly from?: { readonly stream: Stream } | { readonly file: string };
  readonly settings: { readonly [name: string]: unknown };
  readonly [option: string]: unknown;
}

/** Names as in LightGBM and XGBoost, in camel case. */
export interface BoostedTreesOptions extends EitherTrainingOptions {
  /** Trees, or trees for each class; default 100. */
  readonly rounds?: number;
  /** Default 0.1. */
  readonly learningRate?: number;
  /** `'leaf'` (default): the leaf with the largest gain next; `'depth'`: level by level. */
  readonly grow?: 'leaf' | 'depth';
  /** Default 31. */
  readonly maxLeaves?: number;
  /** Default 0: no limit. */
  readonly maxDepth?: number;
  /** Default 20. */
  readonly minDataInLeaf?: number;
  /** Least sum of hessians in a leaf; default 0.001. */
  readonly minChildWeight?: number;
  /** Default 0. */
  readonly lambdaL2?: number;
  /** Default 0. */
  readonly minSplitGain?: number;
  /** Part of the rows that each round sees; default 1. */
  readonly subsample?: number;
  /** Part of the columns that each tree sees; default 1. */
  readonly columnSample?: number;
  /** At most 255, the default. */
  readonly maxBins?: number;
  /** 1: the answer never falls as the column grows; -1: it never rises. */
  readonly monotone?: { readonly [column: string]: 1 | -1 };
  /** How much rows of a class count; `'balanced'`: all classes the same in sum. */
  readonly classWeights?: 'balanced' | { readonly [label: string]: number };
  /** Stops when the loss on a tenth of the rows has not got better for so many rounds; default 0: never. */
  readonly earlyStoppingRounds?: number;
}

export interface LogisticRegressionOptions extends LabelledTrainingOptions {
  /** Weight of the squared coefficients, default 1. */
  readonly l2?: number;
  /** Default 200. */
  readonly iterations?: number;
}

export interface LinearRegressionOptions extends LabelledTrainingOptions {
  /** Default 0. */
  readonly l2?: number;
}

export interface IsolationForestOptions extends CommonTrainingOptions {
  /** Default 100. */
  readonly trees?: number;
  /** Rows that each tree sees; default 256. */
  readonly sample?: number;
}

export interface KMeansOptions extends CommonTrainingOptions {
  /** Default 8. */
  readonly clusters?: number;
  /** Default 100. */
  readonly iterations?: number;
}

export interface MlpOptions extends EitherTrainingOptions {
  /** Units of each hidden layer; default `[32]`. */
  readonly hidden?: readonly number[];
  /** Default 50. */
  readonly epochs?: number;
  /** Default 64. */
  readonly batch?: number;
  /** Default 0.003. */
  readonly learningRate?: number;
  /** Default 0.0001. */
  readonly weightDecay?: number;
}

export interface TextClassifierOptions extends Omit<LabelledTrainingOptions, 'features'> {
  /** Column with the text. */
  readonly text: string;
  /** Columns that n-grams are hashed into; default 4,096. */
  readonly size?: number;
  /** Shortest and longest n-gram, in words; default `[1, 2]`. */
  readonly words?: readonly [shortest: number, longest: number];
  /** Default true. */
  readonly lowercase?: boolean;
  /** Default 0.1. */
  readonly l2?: number;
  /** Default 200. */
  readonly iterations?: number;
}

/** Gradient-boosted trees: classes or a number from a table, missing values and categories included. */
export function boostedTrees(options: BoostedTreesOptions): TrainingDeclaration {
  return declare('boosted-trees', options);
}

/** The odds of classes as a weighted sum of the columns. */
export function logisticRegression(options: LogisticRegressionOptions): TrainingDeclaration {
  return declare('logistic-regression', options);
}

/** A number as a weighted sum of the columns. */
export function linearRegression(options: LinearRegressionOptions): TrainingDeclaration {
  return declare('linear-regression', options);
}

/** How unlike the others a row is, from 0 to 1; nothing needs to be labelled. */
export function isolationForest(options: IsolationForestOptions = {}): TrainingDeclaration {
  return declare('isolation-forest', options);
}

/** Groups of rows that are alike. */
export function kMeans(options: KMeansOptions = {}): TrainingDeclaration {
  return declare('k-means', options);
}

/** A small neural network: classes or a number. */
export function mlp(options: MlpOptions): TrainingDeclaration {
  return declare('mlp', options);
}

/** Classes of texts, by hashed n-grams of their words. */
export function textClassifier({ text, ...options }: TextClassifierOptions): TrainingDeclaration {
  return declare('text-classifier', { ...options, features: [text] });
}

const COMMON = new Set(['label', 'features', 'weight', 'task', 'holdout', 'split', 'seed']);

function declare(algorithm: string, { from, ...options }: CommonTrainingOptions): TrainingDeclaration {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  const source = typeof from === 'string' ? { file: from } : from && { stream: from };
  return {
    algorithm,
    ...Object.fromEntries(entries.filter(([name]) => COMMON.has(name))),
    ...(source ? { from: source } : {}),
    settings: Object.fromEntries(entries.filter(([name]) => !COMMON.has(name))),
  };
}
