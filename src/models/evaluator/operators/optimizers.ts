import type { Tensor } from '../../tensor.ts';
import { floatsOf, type NodeFacts, type Operators, scalarOf, tensorOperator } from '../operator.ts';
import { misfit } from '../shapes.ts';

/** New values of one weight: [weight, …state]. */
type Update = (
  rate: number,
  turn: number,
  weight: number,
  gradient: number,
  state: readonly number[],
) => readonly number[];

/** Inputs are the rate, the turn, then all weights, all gradients, and all tensors of each kind of state. */
function optimizer(states: number, make: (node: NodeFacts) => Update): Operators[string] {
  return tensorOperator(1, 2, (node) => {
    const update = make(node);
    return (rateInput, turnInput, ...tensors) => {
      const count = tensors.length / (2 + states);
      if (!Number.isInteger(count)) throw misfit(`${tensors.length} tensors`);
      const [rate, turn] = [scalarOf(rateInput!), scalarOf(turnInput!)];
      const kinds = 1 + states;
      const results: Tensor[] = new Array(count * kinds);
      for (let index = 0; index < count; index += 1) {
        const [weights, gradients, ...state] = Array.from({ length: 2 + states }, (_, kind) =>
          floatsOf(tensors[kind * count + index]!),
        );
        const { type, dims } = tensors[index]!;
        const out = Array.from({ length: kinds }, () => node.budget.array(type, dims) as Float32Array);
        for (let at = 0; at < out[0]!.length; at += 1) {
          const values = update(
            rate,
            turn,
            weights![at]!,
            gradients![at]!,
            state.map((each) => each[at]!),
          );
          for (let kind = 0; kind < kinds; kind += 1) out[kind]![at] = values[kind]!;
        }
        for (let kind = 0; kind < kinds; kind += 1)
          results[kind * count + index] = { type, dims, data: out[kind]! };
      }
      return results;
    };
  });
}

/** Names and meanings: https://onnx.ai/onnx/operators/ (ai.onnx.preview.training). */
export const optimizers: Operators = {
  Adagrad: optimizer(1, (node) => {
    const [decay, epsilon, norm] = [
      node.float('decay_factor', 0),
      node.float('epsilon', 1e-6),
      node.float('norm_coefficient', 0),
    ];
    return (rate, turn, weight, gradient, [squares]) => {
      const slope = norm * weight + gradient;
      const sum = squares! + slope * slope;
      return [weight - ((rate / (1 + turn * decay)) * slope) / (Math.sqrt(sum) + epsilon), sum];
    };
  }),
  Adam: optimizer(2, (node) => {
    const [alpha, beta, epsilon] = [
      node.float('alpha', 0.9),
      node.float('beta', 0.999),
      node.float('epsilon', 1e-6),
    ];
    const [norm, after] = [node.float('norm_coefficient', 0), node.float('norm_coefficient_post', 0)];
    return (rate, turn, weight, gradient, [mean, squares]) => {
      const slope = norm * weight + gradient;
      const nextMean = alpha * mean! + (1 - alpha) * slope;
      const nextSquares = beta * squares! + (1 - beta) * slope * slope;
      const adjusted = turn > 0 ? (rate * Math.sqrt(1 - beta ** turn)) / (1 - alpha ** turn) : rate;
      const next = weight - (adjusted * nextMean) / (Math.sqrt(nextSquares) + epsilon);
      return [(1 - after) * next, nextMean, nextSquares];
    };
  }),
  Momentum: optimizer(1, (node) => {
    const [alpha, beta, norm] = [
      node.float('alpha', 0),
      node.float('beta', 0),
      node.float('norm_coefficient', 0),
    ];
    const nesterov = node.string('mode', 'standard') === 'nesterov';
    return (rate, turn, weight, gradient, [momentum]) => {
      const slope = norm * weight + gradient;
      const next = alpha * momentum! + (turn > 0 ? beta : 1) * slope;
      return [weight - rate * (nesterov ? slope + alpha * next : next), next];
    };
  }),
};
