import { isTensor, type OptionalValue, type SequenceValue, type Tensor, type Value } from '../../tensor.ts';
import {
  int64,
  integersOf,
  type Kernel,
  type NodeFacts,
  type Operator,
  type Operators,
  reshaped,
  scalarOf,
} from '../operator.ts';
import { axisOf, misfit } from '../shapes.ts';
import { concat, part } from './shaping.ts';

function itemsOf(value: Value | undefined): readonly Value[] {
  if (!value || isTensor(value) || value.kind !== 'sequence')
    throw misfit('something else where it takes a sequence');
  return value.items;
}

function onlyTensor(value: Value | undefined): Tensor {
  if (!value || !isTensor(value)) throw misfit('something else where it takes a tensor');
  return value;
}

const sequence = (items: readonly Value[]): SequenceValue => ({ kind: 'sequence', items });

function operator(since: number, required: number, compile: (node: NodeFacts) => Kernel): Operator {
  return { since, required, compile };
}

/** A place in a sequence counted from either end; `size` itself is allowed where something is put in. */
function placeOf(value: Value, size: number, most: number): number {
  const index = scalarOf(onlyTensor(value));
  const place = index < 0 ? index + size : index;
  if (!(place >= 0 && place <= most)) throw misfit(`item ${index} of ${size}`);
  return place;
}

const at = operator(11, 2, () => ([input, position]) => {
  const items = itemsOf(input);
  return [items[placeOf(position!, items.length, items.length - 1)]];
});

const insert = operator(11, 2, ({ budget }) => ([input, item, position]) => {
  const items = itemsOf(input);
  budget.take(items.length * 8);
  const place = position ? placeOf(position, items.length, items.length) : items.length;
  return [sequence(items.toSpliced(place, 0, item!))];
});

const erase = operator(11, 1, () => ([input, position]) => {
  const items = itemsOf(input);
  const place = position ? placeOf(position, items.length, items.length - 1) : items.length - 1;
  return [sequence(items.toSpliced(place, 1))];
});

const concatFromSequence = operator(11, 1, (node) => ([input]) => {
  const items = itemsOf(input).map(onlyTensor);
  if (items.length === 0) throw misfit('an empty sequence where its items are joined');
  const axis = node.int('axis', 0);
  if (node.int('new_axis', 0) === 0) return [concat(items, axis, node.budget)];
  const place = axisOf(axis, items[0]!.dims.length + 1);
  const widened = items.map((item) =>
    reshaped(item, [...item.dims.slice(0, place), 1, ...item.dims.slice(place)]),
  );
  return [concat(widened, place, node.budget)];
});

const splitToSequence = operator(11, 1, (node) => ([input, splitInput]) => {
  const x = onlyTensor(input);
  const axis = axisOf(node.int('axis', 0), x.dims.length);
  const size = x.dims[axis]!;
  const keep = splitInput !== undefined || node.int('keepdims', 1) === 1;
  const sizes = sizesOf(splitInput && onlyTensor(splitInput), size);
  let start = 0;
  const items = sizes.map((each) => {
    const item = part(x, axis, (start += each) - each, each, node.budget);
    return keep
      ? item
      : reshaped(
          item,
          x.dims.filter((_, dim) => dim !== axis),
        );
  });
  return [sequence(items)];
});

/** One size cuts evenly, with less at the end; a list says all. */
function sizesOf(split: Tensor | undefined, size: number): readonly number[] {
  if (split && split.dims.length > 0) {
    const sizes = integersOf(split);
    if (sizes.some((each) => each < 0) || sizes.reduce((sum, each) => sum + each, 0) !== size)
      throw misfit(`parts for ${size}`);
    return sizes;
  }
  const chunk = split ? scalarOf(split) : 1;
  if (!(chunk > 0)) throw misfit(`parts of ${chunk}`);
  return Array.from({ length: Math.ceil(size / chunk) }, (_, index) => Math.min(chunk, size - index * chunk));
}

function contentOf(value: Value | undefined): Value | undefined {
  return value && !isTensor(value) && value.kind === 'optional' ? value.value : value;
}

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const sequences: Operators = {
  SequenceAt: at,
  SequenceInsert: insert,
  SequenceErase: erase,
  SequenceEmpty: operator(11, 0, () => () => [sequence([])]),
  SequenceLength: operator(11, 1, () => ([input]) => [int64([], [itemsOf(input).length])]),
  SequenceConstruct: operator(11, 1, () => (inputs) => [sequence(inputs.flatMap((input) => input ?? []))]),
  ConcatFromSequence: concatFromSequence,
  SplitToSequence: splitToSequence,
  Optional: operator(15, 0, () => ([value]): readonly OptionalValue[] => [{ kind: 'optional', value }]),
  OptionalGetElement: operator(15, 1, () => ([input]) => {
    const value = contentOf(input);
    if (!value) throw misfit('an optional without a value');
    return [value];
  }),
  OptionalHasElement: operator(15, 0, () => ([input]) => {
    const has = contentOf(input) !== undefined;
    return [{ type: 'bool', dims: [], data: Uint8Array.of(has ? 1 : 0) }];
  }),
};
