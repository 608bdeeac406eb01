import { countNgrams } from '../../inputs/hashed-ngrams.ts';
import { attribute } from '../../onnx/index.ts';
import { probabilitiesOf } from '../boosting/booster.ts';
import type { Dataset } from '../dataset.ts';
import type { Fitted, OnProgress } from '../fitted.ts';
import { linearNode } from './linear.ts';
import { fitLogistic, LOGISTIC_DEFAULTS } from './logistic.ts';
import { type SparseMatrix, sparseRows } from './rows.ts';

export const TEXT_DEFAULTS = {
  ...LOGISTIC_DEFAULTS,
  l2: 0.1,
  /** Columns that n-grams are hashed into. */
  size: 4096,
  /** Shortest and longest n-gram, in words. */
  words: [1, 2] as readonly [number, number],
  lowercase: true,
};

export type TextSettings = typeof TEXT_DEFAULTS;

/**
 * Classes of texts: counts of hashed n-grams of words, each text's brought to length 1, and logistic regression on them. The
 * model takes the counts; what counts them when it is asked is declared beside it, and is the same function.
 */
export function fitText(
  dataset: Dataset & { readonly label: Float64Array; readonly classes: readonly string[] },
  texts: readonly string[],
  settings: TextSettings,
  onProgress?: OnProgress,
): Fitted {
  const { label, classes, weights } = dataset;
  const { size } = settings;
  const outputs = classes.length === 2 ? 1 : classes.length;
  const rows = sparseRows(countAll(texts, settings), size);
  const fitted = fitLogistic(rows, label, classes.length, weights, settings, onProgress);
  const stride = size + 1;
  const coefficients = new Float32Array(outputs * size);
  const intercepts = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    coefficients.set(fitted.subarray(output * stride, output * stride + size), output * size);
    intercepts[output] = fitted[output * stride + size]!;
  }
  return {
    outputs: classes.length,
    predict({ texts: asked = [] }) {
      const counts = sparseRows(countAll(asked, settings), size);
      const own = Float64Array.from(coefficients);
      const raw = new Float64Array(asked.length * outputs);
      for (let cell = 0; cell < raw.length; cell++) {
        const output = cell % outputs;
        raw[cell] = intercepts[output]! + counts.dot((cell - output) / outputs, own, output * size);
      }
      return probabilitiesOf(raw, classes.length);
    },
    build(graph) {
      const counts = graph.input('counts', 'float32', size);
      const normalised = graph.ml('Normalizer', [counts], 'normalised', [attribute.string('norm', 'L2')]);
      linearNode(graph, normalised, 'raw', coefficients, intercepts);
      graph.classes('raw', classes, outputs);
    },
  };
}

/** Counts of all texts, each row brought to length 1; a text without words is all zero. */
function countAll(texts: readonly string[], settings: TextSettings): SparseMatrix {
  const first = new Int32Array(texts.length + 1);
  const columns: number[] = [];
  const values: number[] = [];
  texts.forEach((text, row) => {
    const counts = new Map<number, number>();
    countNgrams(text, settings, (column) => counts.set(column, (counts.get(column) ?? 0) + 1));
    let squares = 0;
    for (const count of counts.values()) squares += count * count;
    for (const [column, count] of counts) {
      columns.push(column);
      values.push(count / Math.sqrt(squares));
    }
    first[row + 1] = columns.length;
  });
  return { first, columns: Int32Array.from(columns), values: Float32Array.from(values) };
}
