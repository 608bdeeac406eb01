import { typeOfNumber } from '../../onnx/index.ts';
import type { Tensor } from '../../tensor.ts';
import { integersOf, type NodeFacts } from '../operator.ts';
import { rowUnary } from '../operators/activations.ts';
import { softmaxLine } from '../operators/reductions.ts';
import { columnwise, gemmRule, matMulRule } from './linear-rules.ts';
import { isFloats } from './model-rules.ts';
import { isRow, type RowInput, type RowRule, type RowValue, rowValue } from './rule.ts';

const same: RowRule = (_, [x]) => (isRow(x) ? { outputs: [x], run: () => {} } : undefined);

export const unaryRule: RowRule = (node, [x]) => {
  const loop = isRow(x) && x.type === 'float32' ? rowUnary(node) : undefined;
  if (!isRow(x) || !loop) return undefined;
  const out = rowValue('float32', x.width, x.rank);
  return { outputs: [out], run: () => loop(x.data, out.data) };
};

/** Whether an axis is that of the columns. */
function isColumns(node: NodeFacts, fallback: number): boolean {
  return [1, -1].includes(node.int('axis', fallback));
}

const softmax: RowRule = (node, [x]) => {
  if (!isFloats(x) || !isColumns(node, node.opset < 13 ? 1 : -1)) return undefined;
  const out = rowValue('float32', x.width);
  const run = (): void => {
    softmaxLine(x.data, out.data, 0, x.width, 1);
    for (let column = 0; column < out.width; column += 1) out.data[column] = Math.fround(out.data[column]!);
  };
  return { outputs: [out], run };
};

const cast: RowRule = (node, [x]) => {
  if (!isRow(x) || x.texts) return undefined;
  const type = typeOfNumber(node.int('to', 0));
  if (type === x.type) return same(node, [x]);
  const convert = { float32: Math.fround, int64: Math.trunc, bool: (value: number) => (value === 0 ? 0 : 1) }[
    type as 'bool'
  ];
  if (!convert) return undefined;
  const out = rowValue(type, x.width, x.rank);
  const run = (): void => {
    for (let column = 0; column < out.width; column += 1) out.data[column] = convert(x.data[column]!);
  };
  return { outputs: [out], run };
};

const concat: RowRule = (node, inputs) => {
  if (!isColumns(node, 1) || !inputs.every(isFloats)) return undefined;
  const rows = inputs as readonly RowValue[];
  const out = rowValue(
    'float32',
    rows.reduce((sum, { width }) => sum + width, 0),
  );
  let start = 0;
  const parts = rows.map(({ data, width }) => ({ data, start: (start += width) - width }));
  const run = (): void => {
    for (const part of parts) {
      for (let column = 0; column < part.data.length; column += 1)
        out.data[part.start + column] = part.data[column]!;
    }
  };
  return { outputs: [out], run };
};

/** Changes of shape that leave each row as it is. */
function renamed(x: RowInput, rank: 1 | 2 | undefined): ReturnType<RowRule> {
  if (!isRow(x) || rank === undefined || (rank === 1 && x.width !== 1)) return undefined;
  return { outputs: [{ ...x, rank }], run: () => {} };
}

const reshape: RowRule = (_, [x, shape]) => {
  if (!isRow(x) || !shape || isRow(shape)) return undefined;
  const [rows, columns, ...more] = integersOf(shape);
  if (more.length > 0 || (rows !== -1 && !(rows === 0 && x.rank === 2))) return undefined;
  if (columns === undefined) return renamed(x, 1);
  return columns === x.width || (columns === -1 && rows === 0) ? renamed(x, 2) : undefined;
};

const squeeze: RowRule = (node, [x, axes]) => {
  const list = axes && !isRow(axes) ? integersOf(axes) : node.ints('axes');
  return isRow(x) && x.rank === 2 && list?.length === 1 && [1, -1].includes(list[0]!)
    ? renamed(x, 1)
    : undefined;
};

const unsqueeze: RowRule = (node, [x, axes]) => {
  const list = axes && !isRow(axes) ? integersOf(axes) : node.ints('axes');
  return isRow(x) && x.rank === 1 && list?.length === 1 && [1, -1].includes(list[0]!)
    ? renamed(x, 2)
    : undefined;
};

function pick(x: RowInput, columnsInput: RowInput, rank: 1 | 2): ReturnType<RowRule> {
  if (!isRow(x) || x.rank !== 2 || !columnsInput || isRow(columnsInput)) return undefined;
  const columns = Int32Array.from(integersOf(columnsInput), (column) =>
    column < 0 ? column + x.width : column,
  );
  if (columns.some((column) => !(column >= 0 && column < x.width))) return undefined;
  const out = { ...rowValue(x.type, columns.length, rank), ...(x.texts ? { texts: x.texts } : {}) };
  const run = (): void => {
    for (let index = 0; index < columns.length; index += 1) out.data[index] = x.data[columns[index]!]!;
  };
  return { outputs: [out], run };
}

const gather: RowRule = (node, [x, columns]) => {
  if (!isColumns(node, 0) || !columns || isRow(columns) || columns.dims.length > 1) return undefined;
  return pick(x, columns, columns.dims.length === 0 ? 1 : 2);
};

const argMax: RowRule = (node, [x]) => {
  if (!isFloats(x) || !isColumns(node, 0) || node.int('select_last_index', 0) === 1) return undefined;
  const out = rowValue('int64', 1, node.int('keepdims', 1) === 1 ? 2 : 1);
  const run = (): void => {
    let best = 0;
    for (let column = 1; column < x.width; column += 1) if (x.data[column]! > x.data[best]!) best = column;
    out.data[0] = best;
  };
  return { outputs: [out], run };
};

type Compare = (x: number, y: number) => boolean;

/** Compares with a constant; the result is 0 or 1. */
function comparison(compare: Compare): RowRule {
  return (node, [x, limit]) => {
    const constant = limit && !isRow(limit) ? (limit as Tensor) : undefined;
    if (!isRow(x) || x.texts || node.opset < 7 || constant?.data.length !== 1) return undefined;
    if (constant.type !== x.type || constant.dims.length > x.rank) return undefined;
    const value = Number(constant.data[0]);
    const out = rowValue('bool', x.width, x.rank);
    const run = (): void => {
      for (let column = 0; column < out.width; column += 1)
        out.data[column] = compare(x.data[column]!, value) ? 1 : 0;
    };
    return { outputs: [out], run };
  };
}

/** Operators that rows know beside the functions of one number. */
export const standardRules: { readonly [type: string]: RowRule } = {
  Gemm: gemmRule,
  MatMul: matMulRule,
  Add: columnwise('x + y'),
  Sub: columnwise('x - y'),
  Mul: columnwise('x * y'),
  Div: columnwise('x / y'),
  Softmax: softmax,
  Cast: cast,
  Concat: concat,
  Identity: same,
  Dropout: (node, inputs) => (node.outputCount === 1 && !inputs[2] ? same(node, inputs) : undefined),
  Reshape: reshape,
  Flatten: (node, [x]) => (node.int('axis', 1) === 1 ? renamed(x, 2) : undefined),
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Gather: gather,
  ArgMax: argMax,
  Greater: comparison((x, y) => x > y),
  GreaterOrEqual: comparison((x, y) => x >= y),
  Less: comparison((x, y) => x < y),
  LessOrEqual: comparison((x, y) => x <= y),
  Equal: comparison((x, y) => x === y),
};

/** Unlike Gather, it does not count from the end. */
export const pickColumns: RowRule = (_, [x, columns]) => {
  if (!isFloats(x) || !columns || isRow(columns)) return undefined;
  return integersOf(columns).some((column) => column < 0) ? undefined : pick(x, columns, 2);
};
