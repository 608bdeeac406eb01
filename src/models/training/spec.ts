import { MillraceError } from '../../kernel/index.ts';
import { BOOSTING_DEFAULTS, type BoostingSettings } from './boosting/settings.ts';

/** What is learnt, from what, and how. Plain JSON: the SDK's helpers make it, and it travels in manifests and to workers. */
export interface TrainingSpec {
  readonly algorithm: Algorithm;
  /** Column to predict; algorithms that group or find outliers have none. */
  readonly label?: string;
  /** Columns to learn from; left out, all but label and weight. */
  readonly features?: readonly string[];
  /** Column that says how much a row counts. */
  readonly weight?: string;
  /** Part of the rows that is held back to measure the model on. */
  readonly holdout?: number;
  /** Which rows are held back: drawn by seed, or the last ones, as it would be in time. */
  readonly split?: 'random' | 'last';
  readonly seed?: number;
  readonly settings?: { readonly [name: string]: unknown };
}

export type Algorithm = 'boosted-trees';

export const DEFAULT_HOLDOUT = 0.2;

/** Fills in the defaults. Throws INVALID_INPUT for a setting that the algorithm does not have, or of another type. */
export function boostingSettings(spec: TrainingSpec): Omit<BoostingSettings, 'objective'> {
  return { ...withDefaults(spec, BOOSTING_DEFAULTS), seed: spec.seed ?? BOOSTING_DEFAULTS.seed };
}

/** The settings of a spec over an algorithm's defaults, which tell the names and types. */
export function withDefaults<Settings extends object>(spec: TrainingSpec, defaults: Settings): Settings {
  const given = spec.settings ?? {};
  const problems = Object.entries(given).flatMap(([name, value]) => {
    if (!Object.hasOwn(defaults, name)) {
      const known = Object.keys(defaults).join(', ');
      return [{ path: `/settings/${name}`, message: `is no setting of ${spec.algorithm}; it has ${known}` }];
    }
    const wanted = typeof defaults[name as keyof Settings];
    const fits = typeof value === wanted || (name === 'classWeights' && value === 'balanced');
    return fits ? [] : [{ path: `/settings/${name}`, message: `must be a ${wanted}` }];
  });
  if (problems.length === 0) return { ...defaults, ...given };
  throw new MillraceError('INVALID_INPUT', 'The settings do not fit the algorithm: see the problems.', {
    errors: problems,
  });
}
