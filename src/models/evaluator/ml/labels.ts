import { invalid } from '../../onnx/index.ts';
import { arrayOf, isTensor, type MapValue, type Tensor, type TensorType, type Value } from '../../tensor.ts';
import { elementsOf, type NodeFacts, type Operator, type Operators, tensorOperator } from '../operator.ts';
import { misfit, show } from '../shapes.ts';
import { keyAt } from './features.ts';

type Key = string | number;

/** Replaces every element by what a table says. */
interface LabelTable {
  readonly type: TensorType;
  readonly values: ReadonlyMap<Key, unknown>;
  readonly fallback: unknown;
}

function mapLabels(table: LabelTable, x: Tensor, node: NodeFacts): Tensor {
  const out = node.budget.array(table.type, x.dims) as unknown[];
  const big = table.type === 'int64';
  for (let index = 0; index < out.length; index += 1) {
    const key = keyAt(x, index);
    const value = table.values.has(key) ? table.values.get(key) : table.fallback;
    out[index] = big ? BigInt(value as number) : value;
  }
  return { type: table.type, dims: x.dims, data: out as unknown as Tensor['data'] };
}

/** LabelEncoder: texts and numbers from 0 on in version 1, lists of keys and values since, tensors of them since 4. */
function labelTable(node: NodeFacts): (x: Tensor) => LabelTable {
  const classes = node.strings('classes_strings');
  if (classes) return (x) => (x.type === 'string' ? placesOf(node, classes) : namesOf(node, classes));
  const keys = listOf(node, 'keys');
  const values = listOf(node, 'values');
  if (!keys || !values || keys.items.length !== values.items.length)
    throw invalid('LabelEncoder has not a value for each key');
  const fallbackTensor = node.tensor('default_tensor');
  const fallback = fallbackTensor ? keyAt(fallbackTensor, 0) : defaultOf(node, values.type);
  // NaN is a key like any other, which Map provides for.
  const table = {
    type: values.type,
    values: new Map(keys.items.map((key, index) => [key, values.items[index]])),
    fallback,
  };
  return () => table;
}

function placesOf(node: NodeFacts, classes: readonly string[]): LabelTable {
  const values = new Map<Key, unknown>(classes.map((name, index) => [name, index]));
  return { type: 'int64', values, fallback: node.int('default_int64', -1) };
}

function namesOf(node: NodeFacts, classes: readonly string[]): LabelTable {
  const values = new Map<Key, unknown>(classes.map((name, index) => [index, name]));
  return { type: 'string', values, fallback: node.string('default_string', '_Unused') };
}

function listOf(
  node: NodeFacts,
  name: string,
): { readonly type: TensorType; readonly items: readonly Key[] } | undefined {
  const tensor = node.tensor(`${name}_tensor`);
  if (tensor)
    return {
      type: tensor.type,
      items: Array.from({ length: tensor.data.length }, (_, index) => keyAt(tensor, index)),
    };
  if (node.has(`${name}_strings`)) return { type: 'string', items: node.strings(`${name}_strings`)! };
  if (node.has(`${name}_int64s`)) return { type: 'int64', items: node.ints(`${name}_int64s`)! };
  if (node.has(`${name}_floats`))
    return { type: 'float32', items: Array.from(node.floats(`${name}_floats`)!) };
  return undefined;
}

function defaultOf(node: NodeFacts, type: TensorType): Key {
  if (type === 'string') return node.string('default_string', '_Unused');
  return type === 'float32' || type === 'float64'
    ? node.float('default_float', -0)
    : node.int('default_int64', -1);
}

const categoryMapper = tensorOperator(1, 1, (node) => {
  const texts = node.strings('cats_strings') ?? [];
  const ints = node.ints('cats_int64s') ?? [];
  if (texts.length !== ints.length) throw invalid('CategoryMapper has not a number for each text');
  const numbers: LabelTable = {
    ...{ type: 'int64', values: new Map(texts.map((text, index) => [text, ints[index]])) },
    fallback: node.int('default_int64', -1),
  };
  const names: LabelTable = {
    ...{ type: 'string', values: new Map(ints.map((int, index) => [int, texts[index]])) },
    fallback: node.string('default_string', '_Unused'),
  };
  return (x) => mapLabels(x!.type === 'string' ? numbers : names, x!, node);
});

function onlyMap(value: Value | undefined): MapValue {
  if (!value || isTensor(value) || value.kind !== 'map') throw misfit('something else where it takes a map');
  return value;
}

function entryOf(value: unknown): number | string {
  return typeof value === 'string' ? value : Number(value);
}

/** The values of a map in the order of a vocabulary; 0 or empty for those it lacks. */
const dictVectorizer: Operator = {
  ...{ since: 1, required: 1 },
  compile(node) {
    const texts = node.strings('string_vocabulary');
    const words: readonly Key[] = texts?.length ? texts : (node.ints('int64_vocabulary') ?? []);
    return ([input]) => {
      const { entries } = onlyMap(input);
      const first = entries.values().next().value;
      const type = typeof first === 'string' ? 'string' : typeof first === 'bigint' ? 'int64' : 'float32';
      const data = arrayOf(type, words.length) as unknown[];
      for (const [index, word] of words.entries()) {
        const value = entries.get(word) ?? (typeof word === 'number' ? entries.get(BigInt(word)) : undefined);
        if (value !== undefined) data[index] = value;
      }
      return [{ type, dims: [1, words.length], data: data as unknown as Tensor['data'] }];
    };
  },
};

const castMap: Operator = {
  ...{ since: 1, required: 1 },
  compile(node) {
    const to = node.string('cast_to', 'TO_FLOAT');
    const sparse = node.string('map_form', 'DENSE') === 'SPARSE';
    const size = node.int('max_map', 1);
    const type: TensorType = to === 'TO_STRING' ? 'string' : to === 'TO_INT64' ? 'int64' : 'float32';
    return ([input]) => {
      const entries = [...onlyMap(input).entries].sort(([a], [b]) => Number(a) - Number(b));
      const dims = [1, sparse ? size : entries.length];
      const data = node.budget.array(type, dims) as unknown[];
      for (const [index, [key, value]] of entries.entries()) {
        const place = sparse ? Number(key) : index;
        if (!(place >= 0 && place < data.length)) throw misfit(`key ${key} in a map of at most ${size}`);
        const entry = entryOf(value);
        data[place] =
          type === 'string'
            ? String(entry)
            : type === 'int64'
              ? BigInt(Math.trunc(Number(entry)))
              : Number(entry);
      }
      return [{ type, dims, data: data as unknown as Tensor['data'] }];
    };
  },
};

/** Each row of scores as a map from label to score. */
const zipMap: Operator = {
  ...{ since: 1, required: 1 },
  compile(node) {
    const texts = node.strings('classlabels_strings');
    const labels: readonly Key[] = texts?.length ? texts : (node.ints('classlabels_int64s') ?? []);
    const keyType = texts?.length ? 'string' : 'int64';
    return ([input]) => {
      if (!input || !isTensor(input)) throw misfit('something else where it takes a tensor');
      const width = input.dims.at(-1) ?? 1;
      if (width !== labels.length) throw misfit(`${labels.length} labels for ${show(input.dims)}`);
      const scores = elementsOf(input.data);
      node.budget.take(scores.length * 32);
      const items = Array.from({ length: scores.length / width || 0 }, (_, row): MapValue => {
        const entries = new Map(labels.map((label, index) => [label, scores[row * width + index]!]));
        return { kind: 'map', keyType, entries };
      });
      return [{ kind: 'sequence', items }];
    };
  },
};

/** Names and meanings: https://onnx.ai/onnx/operators/ (ai.onnx.ml). */
export const labels: Operators = {
  LabelEncoder: tensorOperator(1, 1, (node) => {
    const table = labelTable(node);
    return (x) => mapLabels(table(x!), x!, node);
  }),
  CategoryMapper: categoryMapper,
  DictVectorizer: dictVectorizer,
  CastMap: castMap,
  ZipMap: zipMap,
};
