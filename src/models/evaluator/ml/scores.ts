import type { NodeFacts } from '../operator.ts';
import { misfit } from '../shapes.ts';

export const POST_TRANSFORMS = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'] as const;
export type PostTransform = (typeof POST_TRANSFORMS)[number];

/** Scores of one row, changed in place. */
export type Finish = (scores: Float64Array) => void;

export function postTransformOf(node: NodeFacts): PostTransform {
  const name = node.string('post_transform', 'NONE');
  const known = POST_TRANSFORMS.find((each) => each === name);
  if (!known) throw misfit(`a post transform ${JSON.stringify(name)}`);
  return known;
}

export function logistic(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/** As many digits as ONNX Runtime writes there. */
const PI = Number('3.14159');

/**
 * Inverse of the normal distribution by Winitzki's approximation of the inverse error function, with the constants of
 * ONNX Runtime (core/providers/cpu/ml/ml_common.h): closer ones would give other answers than it gives, and so would float64.
 */
export function probit(value: number): number {
  const float = Math.fround;
  const x = float(2 * float(value) - 1);
  const log = float(Math.log(float(float(1 - x) * float(1 + x))));
  const v = float(float(2 / float(float(PI) * float(0.147))) + float(0.5 * log));
  const rest = float(float(1 / float(0.147)) * log);
  return float(
    Math.SQRT2 * (x < 0 ? -1 : 1) * Math.sqrt(float(-v + float(Math.sqrt(float(float(v * v) - rest))))),
  );
}

function softmax(scores: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < scores.length; index += 1) largest = Math.max(largest, scores[index]!);
  let sum = 0;
  for (let index = 0; index < scores.length; index += 1)
    sum += scores[index] = Math.exp(scores[index]! - largest);
  for (let index = 0; index < scores.length; index += 1) scores[index]! /= sum;
}

/** Softmax of what is not zero; zeros stay. */
function softmaxZero(scores: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < scores.length; index += 1) largest = Math.max(largest, scores[index]!);
  let sum = 0;
  for (let index = 0; index < scores.length; index += 1) {
    const value = scores[index]!;
    const weight = Math.abs(value) > 1e-7 ? Math.exp(value - largest) : value * Math.exp(-largest);
    sum += scores[index] = weight;
  }
  for (let index = 0; index < scores.length; index += 1) scores[index]! /= sum;
}

const FINISHERS: { readonly [name in PostTransform]: Finish } = {
  NONE: () => {},
  SOFTMAX: softmax,
  SOFTMAX_ZERO: softmaxZero,
  LOGISTIC: (scores) => {
    for (let index = 0; index < scores.length; index += 1) scores[index] = logistic(scores[index]!);
  },
  PROBIT: (scores) => {
    for (let index = 0; index < scores.length; index += 1) scores[index] = probit(scores[index]!);
  },
};

export function finisher(transform: PostTransform): Finish {
  return FINISHERS[transform];
}

export function largestOf(scores: Float64Array): number {
  let best = 0;
  for (let index = 1; index < scores.length; index += 1) if (scores[index]! > scores[best]!) best = index;
  return best;
}
