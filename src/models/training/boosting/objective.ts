/** What is made small: from scores (`[row × outputs + output]`) to gradients and hessians of one output. */
export interface Objective {
  readonly outputs: number;
  /** The scores to begin with: the best constant. */
  base(label: Float64Array, weights: Float64Array | undefined): Float64Array;
  /** Once per round, before the trees of the round: all outputs see the same scores. */
  begin(scores: Float64Array): void;
  derive(output: number, gradients: Float32Array, hessians: Float32Array): void;
}

/** Squared error for a label that is a number (no classes), log loss for two classes or more. */
export function objectiveOf(
  classes: number,
  label: Float64Array,
  weights: Float64Array | undefined,
): Objective {
  if (classes === 0) return squaredError(label, weights);
  return classes === 2 ? logLoss(label, weights) : softmaxLoss(label, weights, classes);
}

const weightOf = (weights: Float64Array | undefined, row: number): number => (weights ? weights[row]! : 1);

function weightedMean(
  value: (row: number) => number,
  rows: number,
  weights: Float64Array | undefined,
): number {
  let sum = 0;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    sum += value(row) * weightOf(weights, row);
    total += weightOf(weights, row);
  }
  return total > 0 ? sum / total : 0;
}

function squaredError(label: Float64Array, weights: Float64Array | undefined): Objective {
  let scores: Float64Array;
  return {
    outputs: 1,
    base: () => Float64Array.of(weightedMean((row) => label[row]!, label.length, weights)),
    begin: (current) => void (scores = current),
    derive(_output, gradients, hessians) {
      for (let row = 0; row < label.length; row++) {
        const weight = weightOf(weights, row);
        gradients[row] = (scores[row]! - label[row]!) * weight;
        hessians[row] = weight;
      }
    },
  };
}

/** Keeps the logarithm finite when all rows are of one class. */
const LEAST_PART = 1e-15;

function logLoss(label: Float64Array, weights: Float64Array | undefined): Objective {
  let scores: Float64Array;
  return {
    outputs: 1,
    base() {
      const part = weightedMean((row) => label[row]!, label.length, weights);
      const kept = Math.min(1 - LEAST_PART, Math.max(LEAST_PART, part));
      return Float64Array.of(Math.log(kept / (1 - kept)));
    },
    begin: (current) => void (scores = current),
    derive(_output, gradients, hessians) {
      for (let row = 0; row < label.length; row++) {
        const probability = 1 / (1 + Math.exp(-scores[row]!));
        const weight = weightOf(weights, row);
        gradients[row] = (probability - label[row]!) * weight;
        hessians[row] = probability * (1 - probability) * weight;
      }
    },
  };
}

function softmaxLoss(label: Float64Array, weights: Float64Array | undefined, classes: number): Objective {
  const probabilities = new Float64Array(label.length * classes);
  // The diagonal of the hessian is too small by this factor when outputs move together (Friedman 2001, algorithm 6).
  const factor = classes / (classes - 1);
  return {
    outputs: classes,
    base() {
      return Float64Array.from({ length: classes }, (_, output) => {
        const part = weightedMean((row) => (label[row] === output ? 1 : 0), label.length, weights);
        return Math.log(Math.max(LEAST_PART, part));
      });
    },
    begin(scores) {
      probabilities.set(scores);
      for (let row = 0; row < label.length; row++) softmax(probabilities, row * classes, classes);
    },
    derive(output, gradients, hessians) {
      for (let row = 0; row < label.length; row++) {
        const probability = probabilities[row * classes + output]!;
        const weight = weightOf(weights, row);
        gradients[row] = (probability - (label[row] === output ? 1 : 0)) * weight;
        hessians[row] = factor * probability * (1 - probability) * weight;
      }
    },
  };
}

/** In place, over `scores[from .. from + count)`. */
export function softmax(scores: Float64Array, from: number, count: number): void {
  let largest = -Infinity;
  for (let place = from; place < from + count; place++) largest = Math.max(largest, scores[place]!);
  let sum = 0;
  for (let place = from; place < from + count; place++)
    sum += scores[place] = Math.exp(scores[place]! - largest);
  for (let place = from; place < from + count; place++) scores[place]! /= sum;
}
