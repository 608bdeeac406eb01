import { refuse } from '../problems.ts';
import type { Ranges } from '../spec.ts';

/**
 * How trees are boosted. The names follow LightGBM and XGBoost (in their order: `num_iterations`/`n_estimators`,
 * `learning_rate`/`eta`, `grow_policy`, `num_leaves`/`max_leaves`, `max_depth`, `min_data_in_leaf`, `min_child_weight`,
 * `lambda_l2`/`reg_lambda`, `min_gain_to_split`/`gamma`, `bagging_fraction`/`subsample`,
 * `feature_fraction`/`colsample_bytree`, `max_bin`).
 */
export interface BoostingSettings {
  /** Trees, or trees for each class. */
  readonly rounds: number;
  readonly learningRate: number;
  /** 'leaf': always the leaf with the largest gain next; 'depth': level by level. */
  readonly grow: 'leaf' | 'depth';
  readonly maxLeaves: number;
  /** 0: no limit. */
  readonly maxDepth: number;
  readonly minDataInLeaf: number;
  /** Least sum of hessians in a leaf. */
  readonly minChildWeight: number;
  readonly lambdaL2: number;
  readonly minSplitGain: number;
  /** Part of the rows that each round sees. */
  readonly subsample: number;
  /** Part of the columns that each tree sees. */
  readonly columnSample: number;
  readonly maxBins: number;
  /** By column name: 1, the answer never falls as the column grows; -1, it never rises. */
  readonly monotone: { readonly [column: string]: 1 | -1 };
  /** How much rows of a class count, by its name; 1 for others. `'balanced'`: all classes count the same in sum. */
  readonly classWeights: 'balanced' | { readonly [label: string]: number };
  /** Stops when the loss on a tenth of the rows has not got better for so many rounds, and keeps the best; 0: never. */
  readonly earlyStoppingRounds: number;
}

export const BOOSTING_DEFAULTS: BoostingSettings = {
  rounds: 100,
  learningRate: 0.1,
  grow: 'leaf',
  maxLeaves: 31,
  maxDepth: 0,
  minDataInLeaf: 20,
  minChildWeight: 1e-3,
  lambdaL2: 0,
  minSplitGain: 0,
  subsample: 1,
  columnSample: 1,
  maxBins: 255,
  monotone: {},
  classWeights: {},
  earlyStoppingRounds: 0,
};

export const BOOSTING_RANGES: Ranges<BoostingSettings> = {
  rounds: [1, 10_000, true],
  learningRate: [1e-6, 10, false],
  maxLeaves: [2, 65_536, true],
  maxDepth: [0, 64, true],
  minDataInLeaf: [1, 1e9, true],
  minChildWeight: [0, 1e12, false],
  lambdaL2: [0, 1e12, false],
  minSplitGain: [0, 1e12, false],
  subsample: [0.001, 1, false],
  columnSample: [0.001, 1, false],
  maxBins: [2, 255, true],
  earlyStoppingRounds: [0, 10_000, true],
};

/** What ranges cannot say. Throws INVALID_INPUT that names columns and classes that do not exist, and words that mean nothing. */
export function checkBoostingSettings(
  { monotone, classWeights, grow }: BoostingSettings,
  columns: readonly string[],
  classes: readonly string[],
): void {
  const problems: { path: string; message: string }[] = [];
  if (grow !== 'leaf' && grow !== 'depth') {
    problems.push({ path: '/settings/grow', message: "must be 'leaf' or 'depth'" });
  }
  for (const [column, direction] of Object.entries(monotone)) {
    const path = `/settings/monotone/${column}`;
    if (!columns.includes(column)) problems.push({ path, message: 'is not a column of the rows' });
    if (direction !== 1 && direction !== -1) problems.push({ path, message: 'must be 1 or -1' });
  }
  for (const [name, weight] of classWeights === 'balanced' ? [] : Object.entries(classWeights)) {
    const path = `/settings/classWeights/${name}`;
    if (!classes.includes(name)) problems.push({ path, message: 'is not a class of the rows' });
    if (!(weight >= 0 && weight < Infinity)) problems.push({ path, message: 'must be a number from 0 up' });
  }
  refuse('The settings of the trees do not fit', problems);
}
