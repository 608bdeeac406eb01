import { invalid } from '../../onnx/index.ts';
import type { NodeFacts, Operators } from '../operator.ts';
import {
  classifierOperator,
  labelsOf,
  type RowClassifier,
  type RowRegressor,
  regressorOperator,
} from './classes.ts';
import { finisher, largestOf, postTransformOf } from './scores.ts';

/** How alike a row is to the support vector that begins at `vectorAt`. */
type Kernel = (
  x: Float64Array,
  at: number,
  vectors: ArrayLike<number>,
  vectorAt: number,
  width: number,
) => number;

function dot(
  x: Float64Array,
  at: number,
  vectors: ArrayLike<number>,
  vectorAt: number,
  width: number,
): number {
  let sum = 0;
  for (let index = 0; index < width; index += 1) sum += x[at + index]! * vectors[vectorAt + index]!;
  return sum;
}

function kernelOf(node: NodeFacts): Kernel {
  const [gamma = 0, coefficient = 0, degree = 0] = node.floats('kernel_params') ?? [];
  switch (node.string('kernel_type', 'LINEAR')) {
    case 'LINEAR':
      return dot;
    case 'POLY':
      return (...each) => (gamma * dot(...each) + coefficient) ** degree;
    case 'SIGMOID':
      return (...each) => Math.tanh(gamma * dot(...each) + coefficient);
    case 'RBF':
      return (x, at, vectors, vectorAt, width) => {
        let sum = 0;
        for (let index = 0; index < width; index += 1)
          sum += (x[at + index]! - vectors[vectorAt + index]!) ** 2;
        return Math.exp(-gamma * sum);
      };
    default:
      throw invalid(`${JSON.stringify(node.string('kernel_type', ''))} is no kernel`);
  }
}

/** Probabilities of classes from those of each pair: Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling", as in libsvm. */
function coupled(pairs: Float64Array, classes: number, result: Float64Array): void {
  const q = new Float64Array(classes * classes);
  const qp = new Float64Array(classes);
  result.fill(1 / classes);
  for (let t = 0; t < classes; t += 1) {
    for (let j = 0; j < classes; j += 1) {
      if (j === t) continue;
      q[t * classes + t]! += pairs[j * classes + t]! ** 2;
      q[t * classes + j] = -pairs[j * classes + t]! * pairs[t * classes + j]!;
    }
  }
  for (let turn = 0; turn < Math.max(100, classes); turn += 1) {
    let total = 0;
    for (let t = 0; t < classes; t += 1) {
      qp[t] = 0;
      for (let j = 0; j < classes; j += 1) qp[t]! += q[t * classes + j]! * result[j]!;
      total += result[t]! * qp[t]!;
    }
    let error = 0;
    for (let t = 0; t < classes; t += 1) error = Math.max(error, Math.abs(qp[t]! - total));
    if (error < 0.005 / classes) return;
    for (let t = 0; t < classes; t += 1) {
      const own = q[t * classes + t]!;
      const step = (total - qp[t]!) / own;
      result[t]! += step;
      total = (total + step * (step * own + 2 * qp[t]!)) / (1 + step) / (1 + step);
      for (let j = 0; j < classes; j += 1) {
        qp[j] = (qp[j]! + step * q[t * classes + j]!) / (1 + step);
        result[j]! /= 1 + step;
      }
    }
  }
}

interface Machine {
  readonly classes: number;
  readonly width: number;
  /** Decisions of each pair of classes: above zero for the first. */
  readonly decisions: Float64Array;
  readonly votes: Int32Array;
  decide(x: Float64Array, at: number): void;
}

/** One machine for each pair of classes, over the support vectors of both (libsvm's layout of coefficients). */
function machineOf(node: NodeFacts, perClass: readonly number[], classes: number): Machine {
  const vectors = node.floats('support_vectors') ?? new Float32Array();
  const coefficients = node.floats('coefficients') ?? new Float32Array();
  const rho = node.floats('rho') ?? new Float32Array();
  const kernel = kernelOf(node);
  const starts = perClass.map((_, index) => perClass.slice(0, index).reduce((sum, count) => sum + count, 0));
  const count = perClass.reduce((sum, each) => sum + each, 0);
  const width = vectors.length / count;
  const pairs = (classes * (classes - 1)) / 2;
  const sound =
    Number.isInteger(width) &&
    width > 0 &&
    perClass.every((each) => each >= 0) &&
    perClass.length === classes;
  if (!sound || coefficients.length < (classes - 1) * count || rho.length < pairs)
    throw invalid('SVMClassifier has too few numbers for its support vectors');
  const kernels = new Float64Array(count);
  const decisions = new Float64Array(pairs);
  const votes = new Int32Array(classes);
  const sumOver = (of: number, row: number): number => {
    let sum = 0;
    for (let index = starts[of]!, end = index + perClass[of]!; index < end; index += 1)
      sum += coefficients[row * count + index]! * kernels[index]!;
    return sum;
  };
  return {
    ...{ classes, width, decisions, votes },
    decide(x, at) {
      for (let index = 0; index < count; index += 1)
        kernels[index] = kernel(x, at, vectors, index * width, width);
      votes.fill(0);
      for (let first = 0, pair = 0; first < classes; first += 1) {
        for (let second = first + 1; second < classes; second += 1, pair += 1) {
          const decision = sumOver(first, second - 1) + sumOver(second, first) + rho[pair]!;
          decisions[pair] = decision;
          votes[decision > 0 ? first : second]! += 1;
        }
      }
    },
  };
}

function mostVotes(votes: Int32Array): number {
  let best = 0;
  for (let index = 1; index < votes.length; index += 1) if (votes[index]! > votes[best]!) best = index;
  return best;
}

/**
 * As ONNX Runtime does it (core/providers/cpu/ml/svmclassifier.cc): the label has the most votes, whatever the probabilities
 * say, and the scores of two classes without probabilities are a pair of opposites.
 */
function classifier(node: NodeFacts): RowClassifier {
  const labels = labelsOf(node, 'classlabels_ints', 'classlabels_strings');
  const perClass = node.ints('vectors_per_class') ?? [];
  if (perClass.every((count) => count === 0)) return linearMachine(node);
  const machine = machineOf(node, perClass, Math.max(1, labels.count));
  const { classes, decisions } = machine;
  const [slopes, offsets] = [node.floats('prob_a') ?? [], node.floats('prob_b') ?? []];
  const finish = finisher(postTransformOf(node));
  if (slopes.length > 0) {
    if (slopes.length < decisions.length || offsets.length < decisions.length)
      throw invalid('SVMClassifier has not a probability for each pair');
    const pairs = new Float64Array(classes * classes);
    const result = new Float64Array(classes);
    return {
      ...{ labels, width: machine.width, scoreCount: classes },
      classify(x, at, scores, scoresAt) {
        machine.decide(x, at);
        for (let first = 0, pair = 0; first < classes; first += 1) {
          for (let second = first + 1; second < classes; second += 1, pair += 1) {
            const raw = 1 / (1 + Math.exp(decisions[pair]! * slopes[pair]! + offsets[pair]!));
            pairs[first * classes + second] = Math.min(Math.max(raw, 1e-7), 1 - 1e-7);
            pairs[second * classes + first] = 1 - pairs[first * classes + second]!;
          }
        }
        coupled(pairs, classes, result);
        finish(result);
        for (let each = 0; each < classes; each += 1) scores[scoresAt + each] = result[each]!;
        return mostVotes(machine.votes);
      },
    };
  }
  const two = classes === 2;
  const given = new Float64Array(two ? 2 : decisions.length);
  return {
    ...{ labels, width: machine.width, scoreCount: given.length },
    classify(x, at, scores, scoresAt) {
      machine.decide(x, at);
      if (two) given.set([-decisions[0]!, decisions[0]!]);
      else given.set(decisions);
      finish(given);
      for (let each = 0; each < given.length; each += 1) scores[scoresAt + each] = given[each]!;
      return mostVotes(machine.votes);
    },
  };
}

/** Without support vectors: a weighted sum for each class. */
function linearMachine(node: NodeFacts): RowClassifier {
  const labels = labelsOf(node, 'classlabels_ints', 'classlabels_strings');
  const coefficients = Float64Array.from(node.floats('coefficients') ?? []);
  const width = coefficients.length / Math.max(1, labels.count);
  if (!Number.isInteger(width) || width === 0)
    throw invalid('SVMClassifier has not a coefficient for each class and feature');
  const rho = node.floats('rho')?.[0] ?? 0;
  const finish = finisher(postTransformOf(node));
  const sums = new Float64Array(labels.count);
  return {
    ...{ labels, width, scoreCount: labels.count },
    classify(x, at, scores, scoresAt) {
      for (let each = 0; each < sums.length; each += 1)
        sums[each] = dot(x, at, coefficients, each * width, width) + rho;
      const best = largestOf(sums);
      finish(sums);
      for (let each = 0; each < sums.length; each += 1) scores[scoresAt + each] = sums[each]!;
      return best;
    },
  };
}

function regressor(node: NodeFacts): RowRegressor {
  const coefficients = node.floats('coefficients') ?? new Float32Array();
  const count = node.int('n_supports', 0);
  const vectors = count > 0 ? (node.floats('support_vectors') ?? new Float32Array()) : coefficients;
  const width = vectors.length / Math.max(1, count);
  if (!Number.isInteger(width) || width === 0 || coefficients.length < count)
    throw invalid('SVMRegressor has too few numbers for its support vectors');
  const kernel = count > 0 ? kernelOf(node) : dot;
  const rho = node.floats('rho')?.[0] ?? 0;
  const oneClass = node.int('one_class', 0) === 1;
  const finish = finisher(postTransformOf(node));
  const result = new Float64Array(1);
  return {
    ...{ width, scoreCount: 1 },
    score(x, at, scores, scoresAt) {
      let sum = rho;
      for (let index = 0; index < Math.max(1, count); index += 1) {
        sum += (count > 0 ? coefficients[index]! : 1) * kernel(x, at, vectors, index * width, width);
      }
      result[0] = oneClass ? (sum > 0 ? 1 : -1) : sum;
      finish(result);
      scores[scoresAt] = result[0]!;
    },
  };
}

export const vectorRows = { classifier, regressor };

/** Names and meanings: https://onnx.ai/onnx/operators/ (ai.onnx.ml). */
export const vectors: Operators = {
  SVMClassifier: classifierOperator(classifier),
  SVMRegressor: regressorOperator(regressor),
};
