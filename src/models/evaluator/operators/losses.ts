import { elementCount, type Tensor } from '../../tensor.ts';
import {
  floatsOf,
  integersOf,
  type NodeFacts,
  type Operators,
  rounded,
  tensorOperator,
} from '../operator.ts';
import { misfit, show } from '../shapes.ts';

/**
 * Weighted negative logarithms of the probability of each target: [batch, classes, …] and targets [batch, …]. The mean
 * divides by the weights.
 */
function negativeLogLikelihood(
  node: NodeFacts,
  logs: Tensor,
  targets: Tensor,
  weights: Tensor | undefined,
): Tensor {
  const classes = logs.dims[1] ?? 1;
  const inner = elementCount(logs.dims.slice(2));
  const [data, chosen] = [floatsOf(logs), integersOf(targets)];
  if (chosen.length * classes !== data.length)
    throw misfit(`targets of ${show(targets.dims)} for ${show(logs.dims)}`);
  const ignored = node.has('ignore_index') ? node.int('ignore_index', 0) : undefined;
  const weight = weights && floatsOf(weights);
  let total = 0;
  const losses = Float64Array.from(chosen, (target, index) => {
    if (target === ignored) return 0;
    if (!(target >= 0 && target < classes)) throw misfit(`target ${target} of ${classes} classes`);
    const own = weight ? weight[target]! : 1;
    total += own;
    return -data[(Math.floor(index / inner) * classes + target) * inner + (index % inner)]! * own;
  });
  const reduction = node.string('reduction', 'mean');
  const out = node.budget.array(logs.type, reduction === 'none' ? targets.dims : []) as Float32Array;
  if (reduction === 'none') out.set(losses);
  else out[0] = losses.reduce((sum, loss) => sum + loss, 0) / (reduction === 'mean' ? total : 1);
  return { type: logs.type, dims: reduction === 'none' ? targets.dims : [], data: rounded(logs.type, out) };
}

function logSoftmax(node: NodeFacts, x: Tensor): Tensor {
  const classes = x.dims[1] ?? 1;
  const inner = elementCount(x.dims.slice(2));
  const data = floatsOf(x);
  const out = node.budget.array(x.type, x.dims) as Float32Array;
  node.budget.work(data.length * 4);
  for (let line = 0; line < data.length / classes; line += 1) {
    const at = Math.floor(line / inner) * classes * inner + (line % inner);
    let largest = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < classes; index += 1) largest = Math.max(largest, data[at + index * inner]!);
    let sum = 0;
    for (let index = 0; index < classes; index += 1) sum += Math.exp(data[at + index * inner]! - largest);
    const shift = largest + Math.log(sum);
    for (let index = 0; index < classes; index += 1)
      out[at + index * inner] = data[at + index * inner]! - shift;
  }
  return { type: x.type, dims: x.dims, data: out };
}

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const losses: Operators = {
  NegativeLogLikelihoodLoss: tensorOperator(
    12,
    2,
    (node) => (logs, targets, weights) => negativeLogLikelihood(node, logs!, targets!, weights),
  ),
  SoftmaxCrossEntropyLoss: tensorOperator(12, 2, (node) => (scores, targets, weights) => {
    const logs = logSoftmax(node, scores!);
    const loss = negativeLogLikelihood(node, logs, targets!, weights);
    return node.outputCount > 1 ? [loss, logs] : loss;
  }),
};
