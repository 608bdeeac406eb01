import { invalid } from '../../onnx/index.ts';
import { elementCount, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import { floatsOf, type NodeFacts, type Operator, tensorOperator } from '../operator.ts';
import { misfit, show } from '../shapes.ts';

/** Labels of a classifier: integers or texts. */
export interface Labels {
  readonly type: 'int64' | 'string';
  readonly integers: readonly number[];
  readonly texts: readonly string[];
  readonly count: number;
}

export function labelsOf(node: NodeFacts, integers: string, texts: string): Labels {
  const ints = node.ints(integers) ?? [];
  const strings = node.strings(texts) ?? [];
  if (ints.length > 0 && strings.length > 0) throw invalid(`${node.node.type} has labels of two kinds`);
  return {
    type: strings.length > 0 ? 'string' : 'int64',
    integers: ints,
    texts: strings,
    count: Math.max(ints.length, strings.length),
  };
}

/**
 * What computes one row: `width` features from `at` on. Rows and scores are float64 that hold float32, so that the inner
 * loops see one kind of array and convert nothing.
 */
export interface RowScorer {
  /** Features it reads; a row has to have as many. */
  readonly width: number;
  readonly scoreCount: number;
}

export interface RowClassifier extends RowScorer {
  readonly labels: Labels;
  /** Writes `scoreCount` scores at `scoresAt`; returns the place of the label. */
  classify(x: Float64Array, at: number, scores: Float64Array, scoresAt: number): number;
}

export interface RowRegressor extends RowScorer {
  score(x: Float64Array, at: number, scores: Float64Array, scoresAt: number): void;
}

/** Rows and their width: a vector is one row. */
export function rowsOf(x: Tensor, width: number): { readonly rows: number; readonly width: number } {
  const [rows, found] =
    x.dims.length === 1 ? [1, x.dims[0]!] : [x.dims[0] ?? 0, elementCount(x.dims.slice(1))];
  if (x.dims.length === 0 || found < width)
    throw misfit(`rows of ${show(x.dims.slice(1))} where it reads ${width} features`);
  return { rows, width: found };
}

export function labelTensor({ type, integers, texts }: Labels, places: Int32Array): Tensor {
  const dims = [places.length];
  if (type === 'string') return { type, dims, data: Array.from(places, (place) => texts[place] ?? '') };
  return {
    type,
    dims,
    data: BigInt64Array.from(places as Iterable<number> as number[], (place) =>
      BigInt(integers[place] ?? place),
    ),
  };
}

export function classifierOperator(make: (node: NodeFacts) => RowClassifier): Operator {
  return tensorOperator(1, 1, (node) => {
    const classifier = make(node);
    return (x) => {
      const { rows, width } = rowsOf(x!, classifier.width);
      const dims = [rows, classifier.scoreCount];
      const scores = scoreRows(node.budget, width, dims);
      const places = new Int32Array(rows);
      const data = Float64Array.from(floatsOf(x!));
      for (let row = 0; row < rows; row += 1) {
        places[row] = classifier.classify(data, row * width, scores, row * classifier.scoreCount);
      }
      return [
        labelTensor(classifier.labels, places),
        { type: 'float32', dims, data: Float32Array.from(scores) },
      ];
    };
  });
}

export function regressorOperator(make: (node: NodeFacts) => RowRegressor, keepsDouble = false): Operator {
  return tensorOperator(1, 1, (node) => {
    const regressor = make(node);
    return (x) => {
      const { rows, width } = rowsOf(x!, regressor.width);
      const dims = [rows, regressor.scoreCount];
      const scores = scoreRows(node.budget, width, dims);
      const data = Float64Array.from(floatsOf(x!));
      for (let row = 0; row < rows; row += 1)
        regressor.score(data, row * width, scores, row * regressor.scoreCount);
      if (keepsDouble && x!.type === 'float64') return { type: 'float64', dims, data: scores };
      return { type: 'float32', dims, data: Float32Array.from(scores) };
    };
  });
}

function scoreRows(budget: Budget, width: number, dims: readonly number[]): Float64Array {
  budget.work((dims[0] ?? 0) * width * 4);
  return budget.array('float64', dims) as Float64Array;
}
