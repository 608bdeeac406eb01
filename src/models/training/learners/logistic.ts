import { softmax } from '../boosting/objective.ts';
import type { OnProgress } from '../fitted.ts';
import { minimise } from './minimise.ts';
import type { NumberRows } from './rows.ts';

export const LOGISTIC_DEFAULTS = {
  /** Weight of the squared coefficients against the summed loss; scikit-learn's `1 / C`. */
  l2: 1,
  iterations: 200,
};

export type LogisticSettings = typeof LOGISTIC_DEFAULTS;

/** Coefficients by output, each row's followed by its intercept: `[output × (width + 1) + column]`. */
export type Coefficients = Float64Array;

/**
 * Multinomial logistic regression, or plain for two classes (one output: the log-odds of the second). Intercepts are
 * not held small.
 */
export function fitLogistic(
  rows: NumberRows,
  label: Float64Array,
  classes: number,
  weights: Float64Array | undefined,
  { l2, iterations }: LogisticSettings,
  onProgress?: OnProgress,
): Coefficients {
  const outputs = classes === 2 ? 1 : classes;
  const stride = rows.width + 1;
  const point = new Float64Array(outputs * stride);
  const scores = new Float64Array(outputs);
  const objective = (at: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    let loss = 0;
    for (let row = 0; row < rows.count; row++) {
      const weight = weights ? weights[row]! : 1;
      for (let output = 0; output < outputs; output++) {
        scores[output] = rows.dot(row, at, output * stride) + at[output * stride + rows.width]!;
      }
      loss += weight * lossOf(scores, label[row]!);
      for (let output = 0; output < outputs; output++) {
        rows.addTo(row, weight * scores[output]!, gradient, output * stride);
        gradient[output * stride + rows.width]! += weight * scores[output]!;
      }
    }
    return loss + penalise(at, gradient, stride, l2);
  };
  const onStep =
    onProgress &&
    ((done: number, loss: number) => onProgress({ done, of: iterations, loss: loss / rows.count }));
  minimise(objective, point, {
    iterations,
    tolerance: 1e-5 * Math.max(1, Math.sqrt(rows.count)),
    ...(onStep ? { onStep } : {}),
  });
  return point;
}

/** The loss of one row; its scores become the derivatives by each score. */
function lossOf(scores: Float64Array, label: number): number {
  if (scores.length === 1) {
    const score = scores[0]!;
    const probability = 1 / (1 + Math.exp(-score));
    scores[0] = probability - label;
    // log(1 + e^s) - label × s, without overflow.
    return Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - label * score;
  }
  softmax(scores, 0, scores.length);
  const loss = -Math.log(Math.max(1e-300, scores[label]!));
  scores[label]! -= 1;
  return loss;
}

function penalise(at: Float64Array, gradient: Float64Array, stride: number, l2: number): number {
  let sum = 0;
  for (let place = 0; place < at.length; place++) {
    if (place % stride === stride - 1) continue;
    sum += (l2 / 2) * at[place]! ** 2;
    gradient[place]! += l2 * at[place]!;
  }
  return sum;
}
