import { elementCount, type Tensor, type TensorData } from '../../tensor.ts';
import type { Budget, Writable } from '../limits.ts';
import { binaryLoop, planBroadcast } from '../loops.ts';
import { elementsOf, type Operator, type Operators, tensorOperator } from '../operator.ts';
import { broadcastDims, broadcastStrides, eachPosition, misfit } from '../shapes.ts';
import { lineUp } from './elementwise.ts';

/** Compares or combines two tensors of one type into truth values. */
function predicate(
  since: number,
  expression: string,
  takes: (type: Tensor['type']) => boolean = () => true,
): Operator {
  return tensorOperator(since, 2, (node) => {
    const align = lineUp(node);
    return (x, other) => {
      const y = align(x!, other!);
      if (x!.type !== y.type || !takes(x!.type)) throw misfit(`${x!.type} and ${y.type}`);
      const dims = broadcastDims(x!.dims, y.dims);
      const out = node.budget.array('bool', dims);
      binaryLoop(expression, x!.type)(planBroadcast(x!.dims, y.dims, dims), x!.data, y.data, out);
      return { type: 'bool', dims, data: out };
    };
  });
}

const isBool = (type: Tensor['type']): boolean => type === 'bool';
const isNumber = (type: Tensor['type']): boolean => type !== 'string';

const not = tensorOperator(1, 1, ({ budget }) => (x) => {
  if (x!.type !== 'bool') throw misfit(`${x!.type} where it takes truth values`);
  const out = budget.array('bool', x!.dims) as Uint8Array;
  const data = x!.data as Uint8Array;
  for (let index = 0; index < out.length; index += 1) out[index] = data[index] ? 0 : 1;
  return { type: 'bool', dims: x!.dims, data: out };
});

const where = tensorOperator(
  9,
  3,
  ({ budget }) =>
    (condition, x, y) =>
      choose(budget, condition!, x!, y!),
);

function choose(budget: Budget, condition: Tensor, x: Tensor, y: Tensor): Tensor {
  if (x.type !== y.type || condition.type !== 'bool')
    throw misfit(`${condition.type}, ${x.type} and ${y.type}`);
  const dims = broadcastDims(condition.dims, x.dims, y.dims);
  const out = budget.array(x.type, dims);
  budget.work(elementCount(dims) * 4);
  const steps = [condition, x, y].map((each) => broadcastStrides(each.dims, dims));
  const [truth, first, second] = [condition.data, x.data, y.data] as readonly TensorData[];
  const target: Writable = out;
  eachPosition(dims, (position, index) => {
    let [c, a, b] = [0, 0, 0];
    for (let dim = 0; dim < position.length; dim += 1) {
      c += position[dim]! * steps[0]![dim]!;
      a += position[dim]! * steps[1]![dim]!;
      b += position[dim]! * steps[2]![dim]!;
    }
    elementsOf(target)[index] = truth![c] ? elementsOf(first!)[a]! : elementsOf(second!)[b]!;
  });
  return { type: x.type, dims, data: out };
}

export const logic: Operators = {
  Equal: predicate(1, '(x === y ? 1 : 0)'),
  Greater: predicate(1, '(x > y ? 1 : 0)', isNumber),
  Less: predicate(1, '(x < y ? 1 : 0)', isNumber),
  GreaterOrEqual: predicate(12, '(x >= y ? 1 : 0)', isNumber),
  LessOrEqual: predicate(12, '(x <= y ? 1 : 0)', isNumber),
  And: predicate(1, '(x & y)', isBool),
  Or: predicate(1, '(x | y)', isBool),
  Xor: predicate(1, '(x ^ y)', isBool),
  Not: not,
  Where: where,
};
