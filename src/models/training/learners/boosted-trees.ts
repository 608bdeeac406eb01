import { boost, probabilitiesOf } from '../boosting/booster.ts';
import { CategoryParts } from '../boosting/many-categories.ts';
import type { BoostingSettings } from '../boosting/settings.ts';
import type { Dataset } from '../dataset.ts';
import { treeAttributes } from '../export/trees.ts';
import type { Fitted, OnProgress } from '../fitted.ts';
import { rawScores, type TreeEnsemble } from '../trees.ts';

export function fitBoostedTrees(
  dataset: Dataset & { readonly label: Float64Array },
  settings: BoostingSettings,
  seed: number,
  validation: Dataset | undefined,
  onProgress?: OnProgress,
): Fitted {
  const { classes } = dataset;
  const parts = new CategoryParts(dataset.columns, settings.maxBins);
  const { ensemble, rounds } = parts.needed
    ? boostParts(parts, dataset, settings, seed, validation, onProgress)
    : boost(dataset, settings, seed, validation, onProgress);
  return {
    outputs: classes?.length ?? 1,
    predict({ columns, rows }) {
      const values = columns.map((column) => column.values);
      const scores = rawScores(ensemble, values, rows);
      return classes ? probabilitiesOf(scores, classes.length) : scores;
    },
    build(graph, columns) {
      const raw = classes ? 'raw' : 'value';
      graph.ml('TreeEnsembleRegressor', [columns], raw, treeAttributes(ensemble));
      if (classes) graph.classes('raw', classes, ensemble.base.length);
      else graph.output('value', 'float32', 1);
    },
    importance: gains(ensemble, dataset.columns.length),
    facts: { rounds },
  };
}

function boostParts(
  parts: CategoryParts,
  dataset: Dataset & { readonly label: Float64Array },
  settings: BoostingSettings,
  seed: number,
  validation: Dataset | undefined,
  onProgress: OnProgress | undefined,
): ReturnType<typeof boost> {
  const held = validation && parts.apart(validation);
  const boosted = boost(parts.apart(dataset), settings, seed, held, onProgress);
  return { ...boosted, ensemble: parts.together(boosted.ensemble) };
}

/** Each column's part of what all splits gained. */
function gains({ trees }: TreeEnsemble, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  let total = 0;
  for (const tree of trees) {
    for (let node = 0; node < tree.left.length; node++) {
      if (tree.left[node]! < 0) continue;
      sums[tree.feature[node]!]! += tree.gain[node]!;
      total += tree.gain[node]!;
    }
  }
  return total > 0 ? sums.map((sum) => sum / total) : sums;
}
