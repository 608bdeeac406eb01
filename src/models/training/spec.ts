import { refuse } from './problems.ts';

/** What is learnt, from what, and how. Plain JSON: the SDK's helpers make it, and it travels in manifests and to workers. */
export interface TrainingSpec {
  readonly algorithm: Algorithm;
  /** Column to predict; algorithms that group or find outliers have none. */
  readonly label?: string;
  /** Columns to learn from; left out, all but label and weight. Of a text classifier: the one column with the text. */
  readonly features?: readonly string[];
  /** What the label is where an algorithm can do either; left out: classes for texts and for 0 and 1, else a number. */
  readonly task?: 'classes' | 'number';
  /** Column that says how much a row counts. */
  readonly weight?: string;
  /** Part of the rows that is held back to measure the model on. Default 0.2. */
  readonly holdout?: number;
  /** Which rows are held back: drawn by seed (default), or the last ones, as it would be in time. */
  readonly split?: 'random' | 'last';
  /** Default 1. */
  readonly seed?: number;
  readonly settings?: { readonly [name: string]: unknown };
}

export const ALGORITHMS = [
  'boosted-trees',
  'logistic-regression',
  'linear-regression',
  'isolation-forest',
  'k-means',
  'mlp',
  'text-classifier',
] as const;

export type Algorithm = (typeof ALGORITHMS)[number];

export type LabelKind = 'classes' | 'number' | 'either' | 'none';

/** What each algorithm predicts: classes, a number, either, or nothing that is in the rows. */
export const LABEL_KINDS: { readonly [algorithm in Algorithm]: LabelKind } = {
  'boosted-trees': 'either',
  'logistic-regression': 'classes',
  'linear-regression': 'number',
  'isolation-forest': 'none',
  'k-means': 'none',
  mlp: 'either',
  'text-classifier': 'classes',
};

export const DEFAULT_HOLDOUT = 0.2;
export const DEFAULT_SEED = 1;

/** Throws INVALID_INPUT for a spec that no algorithm can follow. */
export function checkSpec(spec: TrainingSpec): void {
  const { algorithm, task, holdout = DEFAULT_HOLDOUT, split = 'random', seed = DEFAULT_SEED } = spec;
  const problems: { path: string; message: string }[] = [];
  if (!ALGORITHMS.includes(algorithm)) {
    problems.push({ path: '/algorithm', message: `must be one of ${ALGORITHMS.join(', ')}` });
  }
  if (!(holdout >= 0 && holdout < 1)) {
    problems.push({ path: '/holdout', message: 'must be a part of the rows, from 0 to below 1' });
  }
  if (split !== 'random' && split !== 'last') {
    problems.push({ path: '/split', message: "must be 'random' or 'last'" });
  }
  if (task !== undefined && task !== 'classes' && task !== 'number') {
    problems.push({ path: '/task', message: "must be 'classes' or 'number'" });
  }
  if (!Number.isInteger(seed) || seed < 0 || seed > 4_294_967_295) {
    problems.push({ path: '/seed', message: 'must be a whole number from 0 to 4294967295' });
  }
  refuse('This cannot be trained', problems);
}

/** A setting's bounds: at least, at most, whole or not. */
export type Ranges<Settings> = {
  readonly [name in keyof Settings]?: readonly [low: number, high: number, whole: boolean];
};

/**
 * The settings of a spec over an algorithm's defaults, which tell names and types. Throws INVALID_INPUT that names every
 * setting that the algorithm does not have, or that is out of its range.
 */
export function settingsOf<Settings extends object>(
  spec: TrainingSpec,
  defaults: Settings,
  ranges: Ranges<Settings>,
): Settings {
  const problems = Object.entries(spec.settings ?? {}).flatMap(([name, value]) => {
    const message = problemOf(name as keyof Settings & string, value, spec, defaults, ranges);
    return message === undefined ? [] : [{ path: `/settings/${name}`, message }];
  });
  refuse('The settings do not fit the algorithm', problems);
  return { ...defaults, ...spec.settings };
}

function problemOf<Settings extends object>(
  name: keyof Settings & string,
  value: unknown,
  { algorithm }: TrainingSpec,
  defaults: Settings,
  ranges: Ranges<Settings>,
): string | undefined {
  if (!Object.hasOwn(defaults, name)) {
    return `is no setting of ${algorithm}; it has ${Object.keys(defaults).join(', ')}`;
  }
  const range = ranges[name];
  if (range) {
    const [low, high, whole] = range;
    const fits =
      typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value));
    return fits ? undefined : `must be a ${whole ? 'whole ' : ''}number from ${low} to ${high}`;
  }
  const wanted = typeof defaults[name];
  const isBalanced = name === 'classWeights' && value === 'balanced';
  return isBalanced || (typeof value === wanted && value !== null) ? undefined : `must be a ${wanted}`;
}
