import { elementCount, type Tensor } from '../../tensor.ts';
import {
  floatsOf,
  integersOf,
  type NodeFacts,
  type Operator,
  type Operators,
  tensorOperator,
} from '../operator.ts';
import { misfit, show } from '../shapes.ts';
import { transpose } from './shaping.ts';

type Activation = (x: number) => number;

/** https://onnx.ai/onnx/operators/onnx__LSTM.html lists the activations and their defaults. */
function activationOf(name: string, alpha: number | undefined, beta: number | undefined): Activation {
  const a =
    alpha ??
    { LeakyRelu: 0.01, ThresholdedRelu: 1, HardSigmoid: 0.2, Elu: 1, Affine: 1, ScaledTanh: 1 }[name] ??
    0;
  const b = beta ?? { HardSigmoid: 0.5, ScaledTanh: 1 }[name] ?? 0;
  const activations: { readonly [name: string]: Activation } = {
    Relu: (x) => Math.max(0, x),
    Tanh: Math.tanh,
    Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    Affine: (x) => a * x + b,
    LeakyRelu: (x) => (x < 0 ? a * x : x),
    ThresholdedRelu: (x) => (x > a ? x : 0),
    ScaledTanh: (x) => a * Math.tanh(b * x),
    HardSigmoid: (x) => Math.min(1, Math.max(0, a * x + b)),
    Elu: (x) => (x < 0 ? a * Math.expm1(x) : x),
    Softsign: (x) => x / (1 + Math.abs(x)),
    Softplus: (x) => Math.log1p(Math.exp(x)),
  };
  const found = Object.entries(activations).find(([each]) => each.toLowerCase() === name.toLowerCase());
  if (!found) throw misfit(`an activation ${JSON.stringify(name)}`);
  return found[1];
}

/** One direction's weights, and what a cell needs beside them. */
interface CellContext {
  readonly hidden: number;
  readonly gates: number;
  readonly recurrence: Float64Array;
  readonly bias: ArrayLike<number>;
  readonly biasAt: number;
  readonly peepholes: ArrayLike<number> | undefined;
  readonly peepholesAt: number;
  readonly activations: readonly Activation[];
  readonly clip: (x: number) => number;
  readonly node: NodeFacts;
}

/** Computes one step of one sequence: `input` holds X·W for each gate; state is changed in place. */
type Cell = (
  context: CellContext,
  input: Float64Array,
  inputAt: number,
  h: Float64Array,
  c: Float64Array,
) => void;

/** `R[gate]·h` for one gate. */
function recur({ recurrence, hidden }: CellContext, gate: number, h: Float64Array, unit: number): number {
  let sum = 0;
  const at = (gate * hidden + unit) * hidden;
  for (let index = 0; index < hidden; index += 1) sum += recurrence[at + index]! * h[index]!;
  return sum;
}

function biasOf({ bias, biasAt, hidden, gates }: CellContext, gate: number, unit: number): number {
  return (bias[biasAt + gate * hidden + unit] ?? 0) + (bias[biasAt + (gates + gate) * hidden + unit] ?? 0);
}

const simpleCell: Cell = (context, input, at, h) => {
  const { hidden, activations, clip } = context;
  const next = Float64Array.from(h, (_, unit) =>
    activations[0]!(clip(input[at + unit]! + recur(context, 0, h, unit) + biasOf(context, 0, unit))),
  );
  h.set(next.subarray(0, hidden));
};

/** Gates in the order update, reset, hidden. */
const gatedCell: Cell = (context, input, at, h) => {
  const { hidden, activations, clip, node, bias, biasAt, gates } = context;
  const gate = (index: number): Float64Array =>
    Float64Array.from(h, (_, unit) =>
      activations[0]!(
        clip(
          input[at + index * hidden + unit]! + recur(context, index, h, unit) + biasOf(context, index, unit),
        ),
      ),
    );
  const [update, reset] = [gate(0), gate(1)];
  const linear = node.int('linear_before_reset', 0) !== 0;
  const scaled = linear ? h : h.map((value, unit) => value * reset[unit]!);
  const next = Float64Array.from(h, (before, unit) => {
    const inputBias = bias[biasAt + 2 * hidden + unit] ?? 0;
    const ownBias = bias[biasAt + (gates + 2) * hidden + unit] ?? 0;
    const recurrent = recur(context, 2, scaled, unit) + ownBias;
    const sum = input[at + 2 * hidden + unit]! + inputBias + (linear ? reset[unit]! : 1) * recurrent;
    return (1 - update[unit]!) * activations[1]!(clip(sum)) + update[unit]! * before;
  });
  h.set(next);
};

/** Gates in the order input, output, forget, cell; peepholes in the order input, output, forget. */
const longShortCell: Cell = (context, input, at, h, c) => {
  const { hidden, activations, clip, node, peepholes, peepholesAt } = context;
  const sum = (gate: number, unit: number): number =>
    input[at + gate * hidden + unit]! + recur(context, gate, h, unit) + biasOf(context, gate, unit);
  const peep = (gate: number, unit: number): number => peepholes?.[peepholesAt + gate * hidden + unit] ?? 0;
  const coupledForget = node.int('input_forget', 0) !== 0;
  const next = new Float64Array(hidden);
  for (let unit = 0; unit < hidden; unit += 1) {
    const before = c[unit]!;
    const enter = activations[0]!(clip(sum(0, unit) + peep(0, unit) * before));
    const forget = coupledForget ? 1 - enter : activations[0]!(clip(sum(2, unit) + peep(2, unit) * before));
    const cell = forget * before + enter * activations[1]!(clip(sum(3, unit)));
    const leave = activations[0]!(clip(sum(1, unit) + peep(1, unit) * cell));
    c[unit] = cell;
    next[unit] = leave * activations[2]!(cell);
  }
  h.set(next);
};

interface Family {
  readonly gates: number;
  readonly cell: Cell;
  readonly activations: readonly string[];
}

interface Layout {
  readonly steps: number;
  readonly batches: number;
  readonly features: number;
  readonly directions: number;
  readonly hidden: number;
}

/** Activations of one direction; their alphas and betas are lists for those that have any. */
function activationsOf(node: NodeFacts, family: Family, direction: number): Activation[] {
  const count = family.activations.length;
  const given = node.strings('activations');
  const names = given?.length ? given.slice(direction * count, (direction + 1) * count) : family.activations;
  if (names.length !== count) throw misfit(`${names.length} activations where it takes ${count}`);
  const [alphas, betas] = [node.floats('activation_alpha'), node.floats('activation_beta')];
  return names.map((name, index) =>
    activationOf(name, alphas?.[direction * count + index], betas?.[direction * count + index]),
  );
}

/** Runs one direction over all sequences and writes what every step gives. */
function runDirection(
  context: CellContext,
  cell: Cell,
  weights: ArrayLike<number>,
  weightsAt: number,
  x: ArrayLike<number>,
  lengths: readonly number[],
  layout: Layout,
  direction: number,
  backwards: boolean,
  y: Float32Array,
  h: Float64Array,
  c: Float64Array,
): void {
  const { batches, features, directions, hidden } = layout;
  const rows = context.gates * hidden;
  const projected = new Float64Array(rows);
  for (let batch = 0; batch < batches; batch += 1) {
    const [own, cells] = [
      h.subarray(batch * hidden, (batch + 1) * hidden),
      c.subarray(batch * hidden, (batch + 1) * hidden),
    ];
    for (let index = 0; index < lengths[batch]!; index += 1) {
      const step = backwards ? lengths[batch]! - 1 - index : index;
      const from = (step * batches + batch) * features;
      for (let row = 0; row < rows; row += 1) {
        let sum = 0;
        for (let feature = 0; feature < features; feature += 1)
          sum += weights[weightsAt + row * features + feature]! * x[from + feature]!;
        projected[row] = sum;
      }
      cell(context, projected, 0, own, cells);
      y.set(own, ((step * directions + direction) * batches + batch) * hidden);
    }
  }
}

function layoutOf(node: NodeFacts, x: Tensor, r: Tensor, gates: number): Layout {
  const [steps, batches, features] = x.dims as readonly [number, number, number];
  const [directions, rows, hidden] = r.dims as readonly [number, number, number];
  const wanted = node.string('direction', 'forward') === 'bidirectional' ? 2 : 1;
  if (x.dims.length !== 3 || r.dims.length !== 3 || rows !== gates * hidden || directions !== wanted) {
    throw misfit(`${show(x.dims)} and recurrence weights of ${show(r.dims)}`);
  }
  return { steps, batches, features, directions, hidden };
}

function recurrent(family: Family): Operator {
  return tensorOperator(1, 3, (node) => (xInput, w, r, b, lengthsInput, h0, c0, p) => {
    const batchFirst = node.int('layout', 0) === 1;
    const turn = (tensor: Tensor | undefined): Tensor | undefined =>
      batchFirst && tensor ? transpose(tensor, [1, 0, 2], node.budget) : tensor;
    const x = turn(xInput)!;
    const layout = layoutOf(node, x, r!, family.gates);
    const { steps, batches, features, directions, hidden } = layout;
    if (elementCount(w!.dims) !== directions * family.gates * hidden * features)
      throw misfit(`weights of ${show(w!.dims)}`);
    node.budget.work(steps * batches * directions * family.gates * hidden * (features + hidden) * 2);
    const lengths = lengthsInput ? integersOf(lengthsInput) : new Array<number>(batches).fill(steps);
    if (lengths.length !== batches || lengths.some((each) => each < 0 || each > steps))
      throw misfit(`lengths of ${show(lengths)}`);
    const y = node.budget.array('float32', [steps, directions, batches, hidden]) as Float32Array;
    const [h, c] = [h0, c0].map((initial) => stateOf(turn(initial), directions * batches * hidden)) as [
      Float64Array,
      Float64Array,
    ];
    const recurrence = floatsOf(r!);
    const limit = node.float('clip', Number.POSITIVE_INFINITY);
    const size = batches * hidden;
    for (let direction = 0; direction < directions; direction += 1) {
      const gateRows = family.gates * hidden;
      const context: CellContext = {
        ...{
          hidden,
          gates: family.gates,
          node,
          bias: b ? floatsOf(b) : [],
          biasAt: direction * 2 * gateRows,
        },
        recurrence: Float64Array.from(
          { length: gateRows * hidden },
          (_, index) => recurrence[direction * gateRows * hidden + index]!,
        ),
        ...{ peepholes: p && floatsOf(p), peepholesAt: direction * 3 * hidden },
        activations: activationsOf(node, family, direction),
        clip: (value) => Math.min(limit, Math.max(-limit, value)),
      };
      const backwards = direction === 1 || node.string('direction', 'forward') === 'reverse';
      const state = [h, c].map((each) => each.subarray(direction * size, (direction + 1) * size)) as [
        Float64Array,
        Float64Array,
      ];
      runDirection(
        context,
        family.cell,
        floatsOf(w!),
        direction * gateRows * features,
        floatsOf(x),
        lengths,
        layout,
        direction,
        backwards,
        y,
        ...state,
      );
    }
    const all: Tensor = { type: 'float32', dims: [steps, directions, batches, hidden], data: y };
    const last = (state: Float64Array): Tensor =>
      turn({ type: 'float32', dims: [directions, batches, hidden], data: Float32Array.from(state) })!;
    return [batchFirst ? transpose(all, [2, 0, 1, 3], node.budget) : all, last(h), last(c)].slice(
      0,
      Math.max(1, node.outputCount),
    );
  });
}

function stateOf(initial: Tensor | undefined, size: number): Float64Array {
  if (initial && initial.data.length !== size) throw misfit(`a first state of ${show(initial.dims)}`);
  return initial ? Float64Array.from(floatsOf(initial)) : new Float64Array(size);
}

/** From opset 7 on, when biases and lengths took the places they have. */
export const recurrences: Operators = {
  RNN: { ...recurrent({ gates: 1, cell: simpleCell, activations: ['Tanh'] }), since: 7 },
  GRU: { ...recurrent({ gates: 3, cell: gatedCell, activations: ['Sigmoid', 'Tanh'] }), since: 7 },
  LSTM: {
    ...recurrent({ gates: 4, cell: longShortCell, activations: ['Sigmoid', 'Tanh', 'Tanh'] }),
    since: 7,
  },
};
