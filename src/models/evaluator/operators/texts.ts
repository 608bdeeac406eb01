import type { Tensor } from '../../tensor.ts';
import { keyAt } from '../ml/features.ts';
import { elementsOf, int64, type NodeFacts, type Operators, tensorOperator, textsOf } from '../operator.ts';
import { broadcastDims, broadcastStrides, eachPosition, misfit, show } from '../shapes.ts';

/** Drops stop words, then changes case. Of nothing left, one empty text remains. */
const normalizer = tensorOperator(10, 1, (node) => {
  const action = node.string('case_change_action', 'NONE');
  const sensitive = node.int('is_case_sensitive', 0) === 1;
  const fold = (text: string): string => (sensitive ? text : text.toLowerCase());
  const stops = new Set((node.strings('stopwords') ?? []).map(fold));
  const change = (text: string): string =>
    action === 'LOWER' ? text.toLowerCase() : action === 'UPPER' ? text.toUpperCase() : text;
  return (x) => {
    if (x!.dims.length > 2 || (x!.dims.length === 2 && x!.dims[0] !== 1))
      throw misfit(`texts of ${show(x!.dims)}`);
    const kept = textsOf(x!).filter((text) => !stops.has(fold(text)));
    const data = kept.length === 0 ? [''] : kept.map(change);
    return { type: 'string', dims: x!.dims.length === 2 ? [1, data.length] : [data.length], data };
  };
});

interface Grams {
  /** Place of each n-gram's count, by its items joined. */
  readonly places: ReadonlyMap<string, number>;
  readonly weights: ReadonlyMap<string, number>;
  readonly size: number;
}

/** The pool is one list, first all single items, then all pairs, and so on; `ngram_counts` says where each begins. */
function gramsOf(node: NodeFacts): Grams {
  const texts = node.strings('pool_strings');
  const pool: readonly (string | number)[] = texts?.length ? texts : (node.ints('pool_int64s') ?? []);
  const starts = node.ints('ngram_counts') ?? [];
  const indexes = node.ints('ngram_indexes') ?? [];
  const weights = node.floats('weights');
  const places = new Map<string, number>();
  const byWeight = new Map<string, number>();
  let gram = 0;
  for (const [index, start] of starts.entries()) {
    const end = starts[index + 1] ?? pool.length;
    for (let at = start; at + index + 1 <= end; at += index + 1, gram += 1) {
      const key = pool.slice(at, at + index + 1).join('\0');
      const place = indexes[gram];
      if (place === undefined || !(place >= 0 && place < 2 ** 26)) throw misfit('an n-gram without a place');
      places.set(key, place);
      byWeight.set(key, weights?.[gram] ?? 1);
    }
  }
  return { places, weights: byWeight, size: indexes.reduce((most, index) => Math.max(most, index), -1) + 1 };
}

const tfIdf = tensorOperator(9, 1, (node) => {
  const grams = gramsOf(node);
  const [least, most] = [node.int('min_gram_length', 1), node.int('max_gram_length', 1)];
  const skips = node.int('max_skip_count', 0);
  const mode = node.string('mode', 'TF');
  return (x) => {
    if (x!.dims.length > 2) throw misfit(`items of ${show(x!.dims)}`);
    const rows = x!.dims.length === 2 ? x!.dims[0]! : 1;
    node.budget.work(x!.data.length * 100);
    const width = x!.dims.at(-1) ?? 0;
    const out = node.budget.array('float32', [rows, grams.size]) as Float32Array;
    const items = Array.from({ length: x!.data.length }, (_, index) => keyAt(x!, index));
    for (let row = 0; row < rows; row += 1) {
      const line = items.slice(row * width, (row + 1) * width);
      for (let length = least; length <= most; length += 1) {
        for (let step = 1; step <= (length === 1 ? 1 : skips + 1); step += 1) {
          node.budget.work(width * length);
          for (let start = 0; start + (length - 1) * step < width; start += 1) {
            const key = Array.from({ length }, (_, index) => line[start + index * step]).join('\0');
            const place = grams.places.get(key);
            if (place === undefined) continue;
            const at = row * grams.size + place;
            const weight = grams.weights.get(key)!;
            out[at] = mode === 'IDF' ? weight : out[at]! + (mode === 'TF' ? 1 : weight);
          }
        }
      }
    }
    return { type: 'float32', dims: x!.dims.length === 2 ? [rows, grams.size] : [grams.size], data: out };
  };
});

const concatenate = tensorOperator(20, 2, ({ budget }) => (x, y) => {
  const [first, second] = [textsOf(x!), textsOf(y!)];
  const dims = broadcastDims(x!.dims, y!.dims);
  const steps = [broadcastStrides(x!.dims, dims), broadcastStrides(y!.dims, dims)];
  const out = budget.array('string', dims) as string[];
  eachPosition(dims, (position, index) => {
    let [a, b] = [0, 0];
    for (let dim = 0; dim < position.length; dim += 1) {
      a += position[dim]! * steps[0]![dim]!;
      b += position[dim]! * steps[1]![dim]!;
    }
    out[index] = first[a]! + second[b]!;
    budget.take(out[index]!.length);
  });
  return { type: 'string', dims, data: out };
});

/** Parts of each text, filled up with empty ones to the most there are, and how many each had. */
const split = tensorOperator(20, 1, (node) => {
  const delimiter = node.string('delimiter', '');
  const most = node.int('maxsplit', -1);
  return (x) => {
    const parts = textsOf(x!).map((text) => splitText(text, delimiter, most));
    const width = parts.reduce((longest, each) => Math.max(longest, each.length), 0);
    const out = node.budget.array('string', [...x!.dims, width]) as string[];
    for (const [row, each] of parts.entries())
      for (const [index, text] of each.entries()) out[row * width + index] = text;
    const counts: Tensor = int64(
      x!.dims,
      parts.map((each) => each.length),
    );
    return [
      { type: 'string', dims: [...x!.dims, width], data: elementsOf(out) as unknown as string[] },
      counts,
    ];
  };
});

/** Without a delimiter at any white space, as Python splits. */
function splitText(text: string, delimiter: string, most: number): string[] {
  const all =
    delimiter === '' ? text.trim().split(/\s+/).filter(Boolean) : text === '' ? [] : text.split(delimiter);
  if (most < 0 || all.length <= most + 1) return all;
  if (delimiter !== '') return [...all.slice(0, most), all.slice(most).join(delimiter)];
  let rest = text.trim();
  for (let index = 0; index < most; index += 1) rest = rest.slice(all[index]!.length).trimStart();
  return [...all.slice(0, most), rest];
}

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const texts: Operators = {
  StringNormalizer: normalizer,
  TfIdfVectorizer: tfIdf,
  StringConcat: concatenate,
  StringSplit: split,
};
