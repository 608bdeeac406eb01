import {
  arrayOf,
  isTensor,
  isTensorSpec,
  type MapValue,
  type Tensor,
  type TensorType,
  type Value,
  type ValueSpec,
} from '../../tensor.ts';
import type { Plan, Step } from '../plan.ts';
import { modelRules } from './model-rules.ts';
import { isRow, type RowInput, type RowRule, type RowValue, rowValue } from './rule.ts';
import { pickColumns, standardRules, unaryRule } from './standard-rules.ts';

/** Where an output of a model lies in the array that `predict` fills. */
export interface RowOutput {
  readonly name: string;
  readonly type: TensorType;
  readonly at: number;
  readonly width: number;
  /** Of texts: what the number that stands in the array means. */
  readonly texts?: readonly string[];
  /** Of maps from label to score: the labels of its columns. */
  readonly labels?: readonly (string | number)[];
}

/**
 * A model as a function of one row of numbers: the inputs' features one after the other. Nothing is allocated, and all work
 * is in loops over buffers that were made once. Only models that treat every row for itself have one.
 */
export interface RowProgram {
  readonly width: number;
  readonly outputWidth: number;
  readonly outputs: readonly RowOutput[];
  predict(features: ArrayLike<number>, out: Float64Array): void;
}

export interface CompiledRows {
  readonly program: RowProgram;
  /** Runs all rows of a batch; undefined when the inputs do not have as many rows each. */
  runBatch(inputs: readonly Value[]): Value[] | undefined;
}

/** Beyond so many weights a batch is better multiplied as a whole than row by row. */
const MOST_BATCH_WEIGHTS = 65_536;

/** Undefined when any node mixes rows, or has no rule. */
export function compileRows(
  plan: Plan,
  inputs: readonly ValueSpec[],
  outputs: readonly ValueSpec[],
): CompiledRows | undefined {
  const sources = inputs.map(inputRow);
  if (sources.length === 0 || sources.some((row) => !row)) return undefined;
  const values = new Map<number, RowInput>(
    plan.parts.constants.map(({ slot, value }) => [slot, isTensor(value) ? value : undefined]),
  );
  for (const [index, slot] of plan.parts.inputs.entries()) values.set(slot, sources[index]);
  const runs: (() => void)[] = [];
  let weights = 0;
  for (const step of plan.parts.steps) {
    const made = applyRule(step, values);
    if (!made) return undefined;
    for (const input of step.inputs) weights += weightOf(values.get(input));
    runs.push(made);
  }
  const results = plan.parts.outputs.map((slot) => values.get(slot));
  if (!results.every(isRow)) return undefined;
  const program = programOf(
    sources as RowValue[],
    runs,
    results as RowValue[],
    outputs.map(({ name }) => name),
  );
  return { program, runBatch: batchRunner(program, results as RowValue[], weights) };
}

function weightOf(input: RowInput): number {
  return input && !isRow(input) ? input.data.length : 0;
}

/** The buffers of an input [rows] or [rows, width] of float32, with any number of rows. */
function inputRow(spec: ValueSpec): RowValue | undefined {
  if (!isTensorSpec(spec) || spec.type !== 'float32' || spec.anyRank) return undefined;
  const [rows, width, ...more] = spec.dims;
  if (rows === undefined || typeof rows === 'number' || more.length > 0) return undefined;
  if (spec.dims.length === 1) return rowValue('float32', 1, 1);
  return typeof width === 'number' && width > 0 && width < 2 ** 20 ? rowValue('float32', width) : undefined;
}

function ruleOf(step: Step): RowRule | undefined {
  const node = step.facts?.node;
  if (!node || step.inner.length > 0) return undefined;
  if (node.domain === 'ai.onnx.ml')
    return node.type === 'ArrayFeatureExtractor' ? pickColumns : modelRules[node.type];
  return (node.domain ?? '') === '' || node.domain === 'ai.onnx'
    ? (standardRules[node.type] ?? unaryRule)
    : undefined;
}

function applyRule(step: Step, values: Map<number, RowInput>): (() => void) | undefined {
  const inputs = step.inputs.map((slot) => values.get(slot));
  const made = ruleOf(step)?.(step.facts!, inputs);
  if (!made) return undefined;
  for (const [index, slot] of step.outputs.entries()) {
    if (slot < 0) continue;
    if (!made.outputs[index]) return undefined;
    values.set(slot, made.outputs[index]);
  }
  return made.run;
}

function programOf(
  sources: readonly RowValue[],
  runs: readonly (() => void)[],
  results: readonly RowValue[],
  names: readonly string[],
): RowProgram {
  let at = 0;
  const outputs = results.map(({ type, width, texts, labels }, index): RowOutput => {
    const place = { name: names[index]!, type, at, width };
    at += width;
    return { ...place, ...(texts ? { texts } : {}), ...(labels ? { labels } : {}) };
  });
  const width = sources.reduce((sum, source) => sum + source.width, 0);
  return {
    ...{ width, outputWidth: at, outputs },
    predict(features, out) {
      let from = 0;
      for (let index = 0; index < sources.length; index += 1) {
        const { data } = sources[index]!;
        for (let column = 0; column < data.length; column += 1)
          data[column] = Math.fround(features[from + column]!);
        from += data.length;
      }
      for (let index = 0; index < runs.length; index += 1) runs[index]!();
      let to = 0;
      for (let index = 0; index < results.length; index += 1) {
        const { data } = results[index]!;
        for (let column = 0; column < data.length; column += 1) out[to + column] = data[column]!;
        to += data.length;
      }
    },
  };
}

/** Runs batches through the program; its buffers for one row are kept between them. */
function batchRunner(
  program: RowProgram,
  results: readonly RowValue[],
  weights: number,
): (batch: readonly Value[]) => Value[] | undefined {
  const { outputWidth, outputs } = program;
  const features = new Float64Array(program.width);
  const out = new Float64Array(outputWidth);
  return (batch) => {
    const tensors = batch as readonly Tensor[];
    const rows = tensors[0]!.dims[0]!;
    if (rows === 0 || tensors.some(({ dims }) => dims[0] !== rows)) return undefined;
    if (rows > 1 && weights > MOST_BATCH_WEIGHTS) return undefined;
    const table = rows === 1 ? out : new Float64Array(rows * outputWidth);
    for (let row = 0; row < rows; row += 1) {
      let to = 0;
      for (let index = 0; index < tensors.length; index += 1) {
        const data = tensors[index]!.data as Float32Array;
        const width = data.length / rows;
        for (let column = 0; column < width; column += 1) features[to + column] = data[row * width + column]!;
        to += width;
      }
      program.predict(features, out);
      if (rows > 1) table.set(out, row * outputWidth);
    }
    return results.map((result, index) => collect(result, outputs[index]!, table, rows, outputWidth));
  };
}

/** The columns of one output, of all rows, as the tensor or the maps that the model gives. */
function collect(
  { rank, type, labels }: RowValue,
  { at, width, texts }: RowOutput,
  table: Float64Array,
  rows: number,
  step: number,
): Value {
  if (labels) {
    const items = Array.from({ length: rows }, (_, row): MapValue => {
      const entries = new Map(labels.map((label, column) => [label, table[row * step + at + column]!]));
      return { kind: 'map', keyType: typeof labels[0] === 'string' ? 'string' : 'int64', entries };
    });
    return { kind: 'sequence', items };
  }
  const data = arrayOf(type, rows * width);
  for (let row = 0, to = 0; row < rows; row += 1) {
    for (let column = 0; column < width; column += 1, to += 1) {
      const value = table[row * step + at + column]!;
      if (data instanceof BigInt64Array) data[to] = BigInt(value);
      else if (texts) (data as string[])[to] = texts[value] ?? '';
      else (data as Float32Array)[to] = value;
    }
  }
  return { type, dims: rank === 1 ? [rows] : [rows, width], data };
}
