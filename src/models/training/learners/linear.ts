import { attribute } from '../../onnx/index.ts';
import { probabilitiesOf } from '../boosting/booster.ts';
import type { Dataset } from '../dataset.ts';
import type { Fitted, OnProgress } from '../fitted.ts';
import { type Encoding, learnEncoding } from './encoding.ts';
import { fitLeastSquares, type LEAST_SQUARES_DEFAULTS } from './least-squares.ts';
import { type Coefficients, fitLogistic, type LogisticSettings } from './logistic.ts';
import { denseRows } from './rows.ts';

type Labelled = Dataset & { readonly label: Float64Array };

export function fitLogisticRegression(
  dataset: Labelled & { readonly classes: readonly string[] },
  settings: LogisticSettings,
  onProgress?: OnProgress,
): Fitted {
  const { rows, columns, label, classes, weights } = dataset;
  const encoding = learnEncoding(columns, rows);
  const scaled = denseRows(standardise(encoding, encoding.encode(columns, rows)), encoding.width);
  const coefficients = fitLogistic(scaled, label, classes.length, weights, settings, onProgress);
  return linear(dataset, encoding, coefficients, classes);
}

export function fitLinearRegression(dataset: Labelled, settings: typeof LEAST_SQUARES_DEFAULTS): Fitted {
  const { rows, columns, label, weights } = dataset;
  const encoding = learnEncoding(columns, rows);
  const scaled = standardise(encoding, encoding.encode(columns, rows));
  const coefficients = fitLeastSquares(scaled, encoding.width, label, weights, settings);
  return linear(dataset, encoding, coefficients, undefined);
}

/** Columns of mean 0 and deviation 1. */
export function standardise({ width, means, deviations }: Encoding, matrix: Float32Array): Float64Array {
  return Float64Array.from(
    matrix,
    (value, cell) => (value - means[cell % width]!) / deviations[cell % width]!,
  );
}

/** A model of coefficients for standardised columns, turned into one for the columns as they are. */
function linear(
  dataset: Dataset,
  encoding: Encoding,
  standardised: Coefficients,
  classes: readonly string[] | undefined,
): Fitted {
  const { width, means, deviations } = encoding;
  const outputs = standardised.length / (width + 1);
  const coefficients = new Float32Array(outputs * width);
  const intercepts = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    let intercept = standardised[output * (width + 1) + width]!;
    for (let column = 0; column < width; column++) {
      const scaled = standardised[output * (width + 1) + column]! / deviations[column]!;
      coefficients[output * width + column] = scaled;
      intercept -= scaled * means[column]!;
    }
    intercepts[output] = intercept;
  }
  return {
    outputs: classes?.length ?? 1,
    predict({ columns, rows }) {
      const matrix = denseRows(encoding.encode(columns, rows), width);
      const weights = Float64Array.from(coefficients);
      const raw = new Float64Array(rows * outputs);
      for (let cell = 0; cell < raw.length; cell++) {
        const output = cell % outputs;
        raw[cell] = intercepts[output]! + matrix.dot((cell - output) / outputs, weights, output * width);
      }
      return classes ? probabilitiesOf(raw, classes.length) : raw;
    },
    build(graph, columns) {
      const matrix = encoding.build(graph, columns);
      linearNode(graph, matrix, classes ? 'raw' : 'value', coefficients, intercepts);
      if (classes) graph.classes('raw', classes, outputs);
      else graph.output('value', 'float32', 1);
    },
    importance: importanceOf(encoding, standardised, dataset.columns.length),
    metadata: {
      'millrace.means': JSON.stringify([...means]),
      'millrace.columns': JSON.stringify(Array.from(encoding.from, (place) => dataset.columns[place]!.name)),
    },
  };
}

export function linearNode(
  graph: Parameters<Fitted['build']>[0],
  input: string,
  output: string,
  coefficients: Float32Array,
  intercepts: Float32Array,
): void {
  graph.ml('LinearRegressor', [input], output, [
    attribute.floats('coefficients', coefficients),
    attribute.floats('intercepts', intercepts),
    attribute.int('targets', intercepts.length),
  ]);
}

/** Size of the coefficients of standardised columns, summed by feature. */
function importanceOf({ width, from }: Encoding, standardised: Coefficients, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  let total = 0;
  standardised.forEach((coefficient, place) => {
    const column = place % (width + 1);
    if (column === width) return;
    sums[from[column]!]! += Math.abs(coefficient);
    total += Math.abs(coefficient);
  });
  return total > 0 ? sums.map((sum) => sum / total) : sums;
}
