import { type Random, seededRandom } from '../../../kernel/index.ts';
import { softmax } from '../boosting/objective.ts';

export const NETWORK_DEFAULTS = {
  /** Units of each hidden layer. */
  hidden: [32] as readonly number[],
  epochs: 50,
  batch: 64,
  learningRate: 0.003,
  /** Pulls weights towards zero at each step (decoupled weight decay). */
  weightDecay: 1e-4,
};

export type NetworkSettings = typeof NETWORK_DEFAULTS;

/** One layer: `out = in × weights + bias`, `weights[in × outputs + out]`. */
export interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

/** What the last layer's numbers stand for: a value, the log-odds of the second class, or scores of classes. */
export type Head = 'value' | 'binary' | 'multiclass';

/**
 * A multilayer perceptron with rectified units, trained by Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and
 * Hutter 2019) on He's initial weights. `matrix` is standardised, `[row × width + column]`; so is a label that is a value.
 */
export function trainNetwork(
  matrix: Float64Array,
  label: Float64Array,
  weights: Float64Array | undefined,
  shape: { readonly width: number; readonly outputs: number; readonly head: Head },
  settings: NetworkSettings,
  seed: number,
  onEpoch?: (done: number, loss: number) => void,
): readonly Layer[] {
  const random = seededRandom(seed);
  const sizes = [shape.width, ...settings.hidden, shape.outputs];
  const layers = sizes.slice(1).map((outputs, place) => freshLayer(sizes[place]!, outputs, random));
  const trainer = new Adam(layers, settings);
  const order = Int32Array.from(label, (_, row) => row);
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    shuffle(order, random);
    let loss = 0;
    for (let from = 0; from < order.length; from += settings.batch) {
      const rows = order.subarray(from, from + settings.batch);
      for (const row of rows) {
        const input = matrix.subarray(row * shape.width, (row + 1) * shape.width);
        loss += trainer.learn(input, label[row]!, (weights?.[row] ?? 1) / rows.length, shape.head);
      }
      trainer.step();
    }
    onEpoch?.(epoch + 1, loss / order.length);
  }
  return layers;
}

function freshLayer(inputs: number, outputs: number, random: Random): Layer {
  const scale = Math.sqrt(2 / inputs);
  const weights = Float64Array.from({ length: inputs * outputs }, () => scale * gaussian(random));
  return { inputs, outputs, weights, bias: new Float64Array(outputs) };
}

/** Box and Muller. */
function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
}

function shuffle(order: Int32Array, random: Random): void {
  for (let place = order.length - 1; place > 0; place--) {
    const other = random.integer(place + 1);
    [order[place], order[other]] = [order[other]!, order[place]!];
  }
}

/** One row through one layer; `rectify` cuts what is below zero. */
export function forward(layer: Layer, input: Float64Array, output: Float64Array, rectify: boolean): void {
  const { outputs, weights, bias } = layer;
  output.set(bias);
  for (let from = 0; from < input.length; from++) {
    const value = input[from]!;
    if (value === 0) continue;
    const first = from * outputs;
    for (let to = 0; to < outputs; to++) output[to]! += value * weights[first + to]!;
  }
  if (rectify) for (let to = 0; to < outputs; to++) if (output[to]! < 0) output[to] = 0;
}

class Adam {
  readonly #layers: readonly Layer[];
  readonly #settings: NetworkSettings;
  readonly #values: Float64Array[];
  readonly #errors: Float64Array[];
  /** Gradients, and moving means of them and of their squares: weights and bias of each layer. */
  readonly #slots: readonly {
    values: Float64Array;
    gradient: Float64Array;
    mean: Float64Array;
    square: Float64Array;
    decays: boolean;
  }[];
  #steps = 0;

  constructor(layers: readonly Layer[], settings: NetworkSettings) {
    this.#layers = layers;
    this.#settings = settings;
    this.#values = layers.map(({ outputs }) => new Float64Array(outputs));
    this.#errors = layers.map(({ outputs }) => new Float64Array(outputs));
    this.#slots = layers.flatMap(({ weights, bias }) =>
      [weights, bias].map((values) => ({
        values,
        gradient: new Float64Array(values.length),
        mean: new Float64Array(values.length),
        square: new Float64Array(values.length),
        decays: values === weights,
      })),
    );
  }

  /** Adds one row's gradients; gives its loss. */
  learn(input: Float64Array, label: number, weight: number, head: Head): number {
    const last = this.#layers.length - 1;
    this.#layers.forEach((layer, place) => {
      forward(layer, place === 0 ? input : this.#values[place - 1]!, this.#values[place]!, place < last);
    });
    const error = this.#errors[last]!;
    error.set(this.#values[last]!);
    const loss = toError(error, label, head);
    for (let to = 0; to < error.length; to++) error[to]! *= weight;
    for (let place = last; place >= 0; place--)
      this.#back(place, place === 0 ? input : this.#values[place - 1]!);
    return loss;
  }

  #back(place: number, input: Float64Array): void {
    const { outputs, weights } = this.#layers[place]!;
    const error = this.#errors[place]!;
    const below = place > 0 ? this.#errors[place - 1] : undefined;
    const gradient = this.#slots[2 * place]!.gradient;
    const ofBias = this.#slots[2 * place + 1]!.gradient;
    for (let to = 0; to < outputs; to++) ofBias[to]! += error[to]!;
    for (let from = 0; from < input.length; from++) {
      const value = input[from]!;
      // A unit that was cut learns nothing and passes nothing down.
      if (value === 0) {
        if (below) below[from] = 0;
        continue;
      }
      const first = from * outputs;
      let sum = 0;
      for (let to = 0; to < outputs; to++) {
        gradient[first + to]! += value * error[to]!;
        sum += weights[first + to]! * error[to]!;
      }
      if (below) below[from] = sum;
    }
  }

  step(): void {
    const { learningRate, weightDecay } = this.#settings;
    this.#steps++;
    const [meanLeft, squareLeft] = [1 - 0.9 ** this.#steps, 1 - 0.999 ** this.#steps];
    for (const { values, gradient, mean, square, decays } of this.#slots) {
      const decay = decays ? 1 - learningRate * weightDecay : 1;
      for (let place = 0; place < values.length; place++) {
        const slope = gradient[place]!;
        mean[place] = 0.9 * mean[place]! + 0.1 * slope;
        square[place] = 0.999 * square[place]! + 0.001 * slope * slope;
        const change = mean[place]! / meanLeft / (Math.sqrt(square[place]! / squareLeft) + 1e-8);
        values[place] = values[place]! * decay - learningRate * change;
        gradient[place] = 0;
      }
    }
  }
}

/** The answers become the derivatives of the loss by them; gives the loss. */
function toError(answers: Float64Array, label: number, head: Head): number {
  if (head === 'value') {
    answers[0]! -= label;
    return answers[0]! ** 2 / 2;
  }
  if (head === 'binary') {
    const score = answers[0]!;
    answers[0] = 1 / (1 + Math.exp(-score)) - label;
    return Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - label * score;
  }
  softmax(answers, 0, answers.length);
  const loss = -Math.log(Math.max(1e-300, answers[label]!));
  answers[label]! -= 1;
  return loss;
}
