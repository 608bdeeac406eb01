import { MillraceError } from '../../kernel/index.ts';
import { BOOSTING_DEFAULTS, BOOSTING_RANGES } from './boosting/settings.ts';
import type { Dataset } from './dataset.ts';
import type { Fitted, OnProgress } from './fitted.ts';
import { fitBoostedTrees } from './learners/boosted-trees.ts';
import { fitIsolationForest, ISOLATION_DEFAULTS } from './learners/isolation-forest.ts';
import { fitKMeans, K_MEANS_DEFAULTS } from './learners/k-means.ts';
import { LEAST_SQUARES_DEFAULTS } from './learners/least-squares.ts';
import { fitLinearRegression, fitLogisticRegression } from './learners/linear.ts';
import { LOGISTIC_DEFAULTS } from './learners/logistic.ts';
import { fitMlp } from './learners/mlp.ts';
import { NETWORK_DEFAULTS } from './learners/network.ts';
import { fitText, TEXT_DEFAULTS } from './learners/text.ts';
import { DEFAULT_SEED, LABEL_KINDS, settingsOf, type TrainingSpec } from './spec.ts';
import { holdBack } from './split.ts';

const L2 = [0, 1e12, false] as const;
const ITERATIONS = [1, 10_000, true] as const;

/** Learns by the algorithm that the spec names. Throws INVALID_INPUT for settings or a label that do not fit it. */
export function learn(spec: TrainingSpec, dataset: Dataset, onProgress?: OnProgress): Fitted {
  const seed = spec.seed ?? DEFAULT_SEED;
  switch (spec.algorithm) {
    case 'boosted-trees': {
      const settings = settingsOf(spec, BOOSTING_DEFAULTS, BOOSTING_RANGES);
      const stopsEarly = settings.earlyStoppingRounds > 0;
      const { train, held } = stopsEarly ? holdBack(dataset, 0.1, spec) : { train: dataset, held: undefined };
      return fitBoostedTrees(labelled(spec, train), settings, seed, held, onProgress);
    }
    case 'logistic-regression': {
      const settings = settingsOf(spec, LOGISTIC_DEFAULTS, { l2: L2, iterations: ITERATIONS });
      return fitLogisticRegression(classified(spec, dataset), settings, onProgress);
    }
    case 'linear-regression':
      return fitLinearRegression(
        labelled(spec, dataset),
        settingsOf(spec, LEAST_SQUARES_DEFAULTS, { l2: L2 }),
      );
    case 'isolation-forest': {
      const ranges = { trees: [1, 10_000, true], sample: [2, 65_536, true] } as const;
      return fitIsolationForest(dataset, settingsOf(spec, ISOLATION_DEFAULTS, ranges), seed, onProgress);
    }
    case 'k-means': {
      const ranges = { clusters: [1, 10_000, true], iterations: ITERATIONS } as const;
      return fitKMeans(dataset, settingsOf(spec, K_MEANS_DEFAULTS, ranges), seed, onProgress);
    }
    case 'mlp': {
      const settings = settingsOf(spec, NETWORK_DEFAULTS, {
        epochs: ITERATIONS,
        batch: [1, 65_536, true],
        learningRate: [1e-6, 10, false],
        weightDecay: [0, 10, false],
      });
      return fitMlp(labelled(spec, dataset), settings, seed, onProgress);
    }
    case 'text-classifier': {
      const settings = settingsOf(spec, TEXT_DEFAULTS, {
        l2: L2,
        iterations: ITERATIONS,
        size: [16, 1_048_576, true],
      });
      return fitText(classified(spec, dataset), dataset.texts ?? [], settings, onProgress);
    }
  }
}

type Labelled = Dataset & { readonly label: Float64Array };

function labelled(spec: TrainingSpec, dataset: Dataset): Labelled {
  const { label, classes } = dataset;
  if (!label) throw wrongLabel(`${spec.algorithm} learns to predict a column: name it as the label.`);
  if (classes && classes.length < 2) {
    throw wrongLabel(`All rows are of the class '${classes[0]}': there is nothing to tell apart.`);
  }
  if (classes && LABEL_KINDS[spec.algorithm] === 'number') {
    throw wrongLabel(
      `${spec.algorithm} predicts a number, and the label is one of ${classes.length} classes.`,
    );
  }
  return { ...dataset, label };
}

function classified(
  spec: TrainingSpec,
  dataset: Dataset,
): Labelled & { readonly classes: readonly string[] } {
  const { label, classes } = labelled(spec, dataset);
  if (classes) return { ...dataset, label, classes };
  throw wrongLabel(`${spec.algorithm} predicts classes, and the label is a number.`);
}

function wrongLabel(message: string): MillraceError {
  return new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/label', message }] });
}
