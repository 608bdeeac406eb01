import { invalid } from '../../onnx/index.ts';
import type { NodeFacts, Operators } from '../operator.ts';
import {
  classifierOperator,
  labelsOf,
  type RowClassifier,
  type RowRegressor,
  regressorOperator,
} from './classes.ts';
import { finisher, largestOf, logistic, postTransformOf, probit } from './scores.ts';

/** Weighted sums of a row: `coefficients` is [targets, width]. */
interface Sums {
  readonly width: number;
  readonly targets: number;
  readonly sums: Float64Array;
  evaluate(x: Float64Array, at: number): void;
}

function sumsOf(node: NodeFacts, targets: number, interceptName: string): Sums {
  const coefficients = Float64Array.from(node.floats('coefficients') ?? []);
  const intercepts = node.floats(interceptName) ?? [];
  const width = coefficients.length / targets;
  if (!Number.isInteger(width) || width === 0 || !(targets > 0)) {
    throw invalid(`${node.node.type} has ${coefficients.length} coefficients for ${targets} targets`);
  }
  if (intercepts.length > 0 && intercepts.length !== targets)
    throw invalid(`${node.node.type} has ${intercepts.length} intercepts`);
  const starts = Float64Array.from({ length: targets }, (_, target) => intercepts[target] ?? 0);
  const sums = new Float64Array(targets);
  return {
    ...{ width, targets, sums },
    evaluate(x, at) {
      for (let target = 0, from = 0; target < targets; target += 1, from += width) {
        sums[target] = starts[target]! + dot(coefficients, from, x, at, width);
      }
    },
  };
}

/** Four sums side by side: one alone would wait for each addition before the next. */
function dot(a: Float64Array, aAt: number, x: Float64Array, at: number, width: number): number {
  let [first, second, third, fourth] = [0, 0, 0, 0];
  let index = 0;
  for (; index + 3 < width; index += 4) {
    first += a[aAt + index]! * x[at + index]!;
    second += a[aAt + index + 1]! * x[at + index + 1]!;
    third += a[aAt + index + 2]! * x[at + index + 2]!;
    fourth += a[aAt + index + 3]! * x[at + index + 3]!;
  }
  for (; index < width; index += 1) first += a[aAt + index]! * x[at + index]!;
  return first + second + (third + fourth);
}

export function linearRegressor(node: NodeFacts): RowRegressor {
  const linear = sumsOf(node, node.int('targets', 1), 'intercepts');
  const transform = postTransformOf(node);
  // Of a single target ONNX Runtime transforms only the probit.
  const finish = finisher(linear.targets === 1 && transform !== 'PROBIT' ? 'NONE' : transform);
  return {
    ...{ width: linear.width, scoreCount: linear.targets },
    score(x, at, scores, scoresAt) {
      linear.evaluate(x, at);
      finish(linear.sums);
      for (let target = 0; target < linear.targets; target += 1)
        scores[scoresAt + target] = linear.sums[target]!;
    },
  };
}

/** One row of coefficients for two labels gives the score of the second, as in ONNX Runtime (linearclassifier.cc). */
export function linearClassifier(node: NodeFacts): RowClassifier {
  const labels = labelsOf(node, 'classlabels_ints', 'classlabels_strings');
  const intercepts = node.floats('intercepts')?.length ?? 0;
  const targets = intercepts > 0 ? intercepts : Math.max(1, labels.count);
  const linear = sumsOf(node, targets, 'intercepts');
  const transform = postTransformOf(node);
  const { sums } = linear;
  if (targets > 1) {
    const finish = finisher(transform);
    return {
      ...{ labels, width: linear.width, scoreCount: targets },
      classify(x, at, scores, scoresAt) {
        linear.evaluate(x, at);
        const best = largestOf(sums);
        finish(sums);
        for (let target = 0; target < targets; target += 1) scores[scoresAt + target] = sums[target]!;
        return best;
      },
    };
  }
  const two = labels.count === 2;
  const value =
    transform === 'LOGISTIC' ? logistic : transform === 'PROBIT' ? probit : (score: number): number => score;
  return {
    ...{ labels, width: linear.width, scoreCount: two ? 2 : 1 },
    classify(x, at, scores, scoresAt) {
      linear.evaluate(x, at);
      const score = value(sums[0]!);
      if (two) scores[scoresAt] = 1 - score;
      scores[scoresAt + (two ? 1 : 0)] = score;
      return sums[0]! > 0 ? 1 : 0;
    },
  };
}

/** Names and meanings: https://onnx.ai/onnx/operators/ (ai.onnx.ml). */
export const linear: Operators = {
  LinearClassifier: classifierOperator(linearClassifier),
  LinearRegressor: regressorOperator(linearRegressor),
};
