import { MillraceError } from '../../../kernel/index.ts';
import { probabilitiesOf } from '../boosting/booster.ts';
import type { Dataset } from '../dataset.ts';
import type { Fitted, OnProgress } from '../fitted.ts';
import { learnEncoding } from './encoding.ts';
import { standardise } from './linear.ts';
import { forward, type Head, type Layer, type NetworkSettings, trainNetwork } from './network.ts';

/** A small network for classes or a value. What standardises the columns is made part of its first layer. */
export function fitMlp(
  dataset: Dataset & { readonly label: Float64Array },
  settings: NetworkSettings,
  seed: number,
  onProgress?: OnProgress,
): Fitted {
  checkHidden(settings.hidden);
  const { rows, columns, label, classes, weights } = dataset;
  const encoding = learnEncoding(columns, rows);
  const { width, means, deviations } = encoding;
  const head: Head = !classes ? 'value' : classes.length === 2 ? 'binary' : 'multiclass';
  const outputs = head === 'multiclass' ? classes!.length : 1;
  const scale = head === 'value' ? scaleOf(label) : { mean: 0, deviation: 1 };
  const scaled = label.map((value) => (value - scale.mean) / scale.deviation);
  const layers = trainNetwork(
    standardise(encoding, encoding.encode(columns, rows)),
    scaled,
    weights,
    { width, outputs, head },
    settings,
    seed,
    onProgress && ((done, loss) => onProgress({ done, of: settings.epochs, loss })),
  );
  unscaleFirst(layers[0]!, means, deviations);
  unscaleLast(layers.at(-1)!, scale);
  const kept = layers.map(
    (layer): Layer => ({ ...layer, weights: rounded(layer.weights), bias: rounded(layer.bias) }),
  );
  return {
    outputs: classes?.length ?? 1,
    predict({ columns: given, rows: count }) {
      const raw = run(kept, encoding.encode(given, count), width, outputs);
      return head === 'value' ? raw : probabilitiesOf(raw, classes!.length);
    },
    build(graph, name) {
      let input = encoding.build(graph, name);
      kept.forEach(({ weights: own, bias, inputs, outputs: units }, place) => {
        const isLast = place === kept.length - 1;
        const matrix = graph.constant(`weights ${place}`, [inputs, units], Float32Array.from(own));
        const added = graph.constant(`bias ${place}`, [units], Float32Array.from(bias));
        const sums = isLast ? (classes ? 'raw' : 'value') : `sums ${place}`;
        input = graph.add('Gemm', [input, matrix, added], sums);
        if (!isLast) input = graph.add('Relu', [sums], `units ${place}`);
      });
      if (classes) graph.classes('raw', classes, outputs);
      else graph.output('value', 'float32', 1);
    },
  };
}

function checkHidden(hidden: readonly number[]): void {
  const fits =
    Array.isArray(hidden) &&
    hidden.length <= 8 &&
    hidden.every((units) => Number.isInteger(units) && units > 0 && units <= 4096);
  if (fits) return;
  const message = 'hidden must be a list of at most 8 layers of 1 to 4096 units, such as [64, 32].';
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/settings/hidden', message }] });
}

function scaleOf(values: Float64Array): { readonly mean: number; readonly deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) || 1 };
}

/** `((x - mean) / deviation) × weights + bias`, as `x × weights' + bias'`. */
function unscaleFirst(
  { inputs, outputs, weights, bias }: Layer,
  means: Float64Array,
  deviations: Float64Array,
): void {
  for (let from = 0; from < inputs; from++) {
    for (let to = 0; to < outputs; to++) {
      const weight = weights[from * outputs + to]! / deviations[from]!;
      weights[from * outputs + to] = weight;
      bias[to]! -= weight * means[from]!;
    }
  }
}

function unscaleLast(
  { weights, bias }: Layer,
  { mean, deviation }: { mean: number; deviation: number },
): void {
  for (let place = 0; place < weights.length; place++) weights[place]! *= deviation;
  for (let to = 0; to < bias.length; to++) bias[to] = bias[to]! * deviation + mean;
}

const rounded = (values: Float64Array): Float64Array => values.map(Math.fround);

function run(layers: readonly Layer[], matrix: Float32Array, width: number, outputs: number): Float64Array {
  const rows = matrix.length / width;
  const answers = new Float64Array(rows * outputs);
  const buffers = layers.map((layer) => new Float64Array(layer.outputs));
  for (let row = 0; row < rows; row++) {
    let input = Float64Array.from(matrix.subarray(row * width, (row + 1) * width));
    layers.forEach((layer, place) => {
      forward(layer, input, buffers[place]!, place < layers.length - 1);
      input = buffers[place]! as Float64Array<ArrayBuffer>;
    });
    answers.set(input, row * outputs);
  }
  return answers;
}
