import { isTensor, type SequenceValue, type Tensor, type Value } from '../../tensor.ts';
import {
  int64,
  type NodeFacts,
  type Operator,
  type Operators,
  reshaped,
  type SubGraph,
} from '../operator.ts';
import { axisOf, misfit } from '../shapes.ts';
import { concat, part } from './shaping.ts';

function onlyTensor(value: Value | undefined): Tensor {
  if (!value || !isTensor(value)) throw misfit('something else where it takes a tensor');
  return value;
}

function truthOf(value: Value | undefined): boolean {
  const { data } = onlyTensor(value);
  if (data.length !== 1) throw misfit(`${data.length} values where it takes one`);
  return Boolean(data[0]);
}

const ifElse: Operator = {
  ...{ since: 1, required: 1 },
  compile(node) {
    const [whenTrue, whenFalse] = [node.graph('then_branch'), node.graph('else_branch')];
    return ([condition]) => (truthOf(condition) ? whenTrue : whenFalse).run([]);
  },
};

/** Tensors of every turn as one, with the turns as a new axis. */
function stack(values: readonly Tensor[], axis: number, node: NodeFacts): Tensor {
  if (values.length === 0) throw misfit('a loop without a turn where its results have to be joined');
  const rank = values[0]!.dims.length + 1;
  const at = axisOf(axis, rank);
  const widened = values.map((value) =>
    reshaped(value, [...value.dims.slice(0, at), 1, ...value.dims.slice(at)]),
  );
  return concat(widened, at, node.budget);
}

/** Runs its body while the count and the condition allow; what the body gives beyond its state is joined over the turns. */
const loop: Operator = {
  ...{ since: 1, required: 0 },
  compile(node) {
    const body = node.graph('body');
    return ([countInput, conditionInput, ...initial]) => {
      const count = countInput ? Number(onlyTensor(countInput).data[0]) : Number.POSITIVE_INFINITY;
      let holds = conditionInput ? truthOf(conditionInput) : true;
      let state: readonly (Value | undefined)[] = initial;
      const scanned: Tensor[][] = Array.from({ length: body.outputCount - 1 - initial.length }, () => []);
      for (let turn = 0; turn < count && holds; turn += 1) {
        const condition: Tensor = { type: 'bool', dims: [], data: Uint8Array.of(1) };
        const results = body.run([int64([], [turn]), condition, ...state]);
        holds = truthOf(results[0]);
        state = results.slice(1, 1 + initial.length);
        for (const [index, list] of scanned.entries())
          list.push(onlyTensor(results[1 + initial.length + index]));
      }
      return [...state, ...scanned.map((list) => joined(list, node))];
    };
  },
};

function joined(list: readonly Tensor[], node: NodeFacts): Tensor {
  if (list.length === 0) return { type: 'float32', dims: [0], data: new Float32Array() };
  return stack(list, 0, node);
}

/** Opset 8 had a batch around it and the lengths of its sequences as the first input. */
const scan: Operator = {
  ...{ since: 8, required: 0 },
  compile(node) {
    const body = node.graph('body');
    const scanned = node.int('num_scan_inputs', 1);
    if (node.opset >= 9) return (inputs) => scanOnce(node, body, scanned, inputs);
    return (inputs) => {
      const values = inputs.slice(1).map(onlyTensor);
      const batches = values[0]!.dims[0]!;
      const results = Array.from({ length: batches }, (_, batch) => {
        const item = values.map((value) =>
          reshaped(part(value, 0, batch, 1, node.budget), value.dims.slice(1)),
        );
        return scanOnce(node, body, scanned, item);
      });
      return Array.from({ length: body.outputCount }, (_, index) =>
        stack(
          results.map((result) => onlyTensor(result[index])),
          0,
          node,
        ),
      );
    };
  },
};

function scanOnce(
  node: NodeFacts,
  body: SubGraph,
  scanned: number,
  inputs: readonly (Value | undefined)[],
): (Value | undefined)[] {
  const states = inputs.length - scanned;
  const sequences = inputs.slice(states).map(onlyTensor);
  const setting = (name: string, index: number): number => node.ints(name)?.[index] ?? 0;
  const axes = sequences.map((each, index) => axisOf(setting('scan_input_axes', index), each.dims.length));
  const length = sequences[0]?.dims[axes[0]!] ?? 0;
  if (sequences.some((each, index) => each.dims[axes[index]!] !== length))
    throw misfit('sequences of different lengths');
  let state: readonly (Value | undefined)[] = inputs.slice(0, states);
  const lists: Tensor[][] = Array.from({ length: body.outputCount - states }, () => []);
  const backwards = (index: number): boolean =>
    node.opset < 9 ? setting('directions', index) === 1 : setting('scan_input_directions', index) === 1;
  for (let turn = 0; turn < length; turn += 1) {
    const items = sequences.map((each, index) => {
      const [axis, place] = [axes[index]!, backwards(index) ? length - 1 - turn : turn];
      const dims = each.dims.filter((_, dim) => dim !== axis);
      return reshaped(part(each, axis, place, 1, node.budget), dims);
    });
    const results = body.run([...state, ...items]);
    state = results.slice(0, states);
    for (const [index, list] of lists.entries()) list.push(onlyTensor(results[states + index]));
  }
  const outputs = lists.map((list, index) => {
    if (setting('scan_output_directions', index) === 1) list.reverse();
    return list.length === 0 ? joined(list, node) : stack(list, setting('scan_output_axes', index), node);
  });
  return [...state, ...outputs];
}

/** Runs its body for each item of its sequences; tensors beside them are the same every time. */
const sequenceMap: Operator = {
  ...{ since: 17, required: 1 },
  compile(node) {
    const body = node.graph('body');
    return (inputs) => {
      const [first] = inputs;
      if (!first || isTensor(first) || first.kind !== 'sequence')
        throw misfit('something else where it takes a sequence');
      const lists: Value[][] = Array.from({ length: body.outputCount }, () => []);
      for (const [index] of first.items.entries()) {
        const items = inputs.map((input) =>
          input && !isTensor(input) && input.kind === 'sequence' ? input.items[index] : input,
        );
        for (const [output, value] of body.run(items).entries()) if (value) lists[output]!.push(value);
      }
      return lists.map((items): SequenceValue => ({ kind: 'sequence', items }));
    };
  },
};

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const control: Operators = { If: ifElse, Loop: loop, Scan: scan, SequenceMap: sequenceMap };
