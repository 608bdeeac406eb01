import { type Random, seededRandom } from '../../../kernel/index.ts';
import type { Dataset } from '../dataset.ts';
import type { OnProgress } from '../fitted.ts';
import { logLoss, rootMeanSquaredError } from '../metrics.ts';
import type { Tree, TreeEnsemble } from '../trees.ts';
import { applyBinnings, type BinnedMatrix, learnBinning } from './bins.ts';
import { type GrownTree, TreeGrower } from './grower.ts';
import { type Objective, objectiveOf, softmax } from './objective.ts';
import { type BoostingSettings, checkBoostingSettings } from './settings.ts';

export interface BoostedTrees {
  readonly ensemble: TreeEnsemble;
  /** Rounds that are kept: fewer than trained when it stopped early. */
  readonly rounds: number;
  /** The metric on the validation rows after each round. */
  readonly history: readonly number[];
}

/**
 * Fits gradient-boosted trees: squared error where the label is a number, log loss where it is one of two classes or more. The
 * same dataset, settings and seed give the same trees.
 */
export function boost(
  dataset: Dataset & { readonly label: Float64Array },
  settings: BoostingSettings,
  seed: number,
  validation?: Dataset,
  onProgress?: OnProgress,
): BoostedTrees {
  checkBoostingSettings(
    settings,
    dataset.columns.map(({ name }) => name),
    dataset.classes ?? [],
  );
  const booster = new Booster(dataset, settings, seed, validation);
  for (let round = 0; round < settings.rounds && !booster.isDone; round++) {
    const metric = booster.round();
    onProgress?.({
      done: round + 1,
      of: settings.rounds,
      ...(metric === undefined ? {} : { loss: metric }),
    });
  }
  return booster.result();
}

class Booster {
  readonly #settings: BoostingSettings;
  readonly #random: Random;
  readonly #matrix: BinnedMatrix;
  readonly #objective: Objective;
  readonly #grower: TreeGrower;
  readonly #base: Float64Array;
  readonly #trees: Tree[] = [];
  readonly #scores: Float64Array;
  readonly #gradients: Float32Array;
  readonly #hessians: Float32Array;
  readonly #allRows: Int32Array;
  readonly #validation: Validation | undefined;
  /** Nothing is left to learn: a whole round without a split. */
  #exhausted = false;

  constructor(
    dataset: Dataset & { readonly label: Float64Array },
    settings: BoostingSettings,
    seed: number,
    validation: Dataset | undefined,
  ) {
    const { rows, columns, label } = dataset;
    this.#settings = settings;
    this.#random = seededRandom(seed);
    const binnings = columns.map((column) => learnBinning(column, settings.maxBins));
    this.#matrix = applyBinnings(columns, binnings, rows);
    const weights = weightsOf(dataset, settings);
    this.#objective = objectiveOf(dataset.classes?.length ?? 0, label, weights);
    this.#base = this.#objective.base(label, weights);
    this.#scores = repeat(this.#base, rows);
    this.#gradients = new Float32Array(rows);
    this.#hessians = new Float32Array(rows);
    this.#allRows = Int32Array.from({ length: rows }, (_, row) => row);
    const monotone = Int8Array.from(columns, ({ name }) => settings.monotone[name] ?? 0);
    this.#grower = new TreeGrower(this.#matrix, settings, monotone);
    if (validation?.label) {
      const binned = applyBinnings(validation.columns, binnings, validation.rows);
      this.#validation = new Validation(
        binned,
        validation.label,
        repeat(this.#base, validation.rows),
        dataset.classes?.length ?? 0,
        settings,
      );
    }
  }

  get isDone(): boolean {
    return this.#exhausted || this.#validation?.isDone === true;
  }

  /** One tree per output. Gives the validation metric. */
  round(): number | undefined {
    const { outputs } = this.#objective;
    this.#objective.begin(this.#scores);
    const rows = this.#sampleRows();
    this.#exhausted = rows.length === this.#allRows.length;
    for (let output = 0; output < outputs; output++) {
      this.#objective.derive(output, this.#gradients, this.#hessians);
      const grown = this.#grower.grow(this.#gradients, this.#hessians, rows, this.#sampleFeatures());
      if (grown.leaves.length > 1) this.#exhausted = false;
      this.#trees.push(grown.tree);
      this.#addToScores(grown, rows, output);
      this.#validation?.add(grown, output, outputs);
    }
    return this.#validation?.measure(this.#trees.length / outputs);
  }

  result(): BoostedTrees {
    const { outputs } = this.#objective;
    const rounds = this.#validation?.bestRounds ?? this.#trees.length / outputs;
    return {
      ensemble: { base: this.#base, trees: this.#trees.slice(0, rounds * outputs) },
      rounds,
      history: this.#validation?.history ?? [],
    };
  }

  #addToScores({ tree, leaves, order, bins }: GrownTree, rows: Int32Array, output: number): void {
    const { outputs } = this.#objective;
    const scores = this.#scores;
    if (rows.length < this.#allRows.length) {
      addTree(scores, this.#matrix, tree, bins, output, outputs);
      return;
    }
    for (const [node, begin, end] of leaves) {
      const value = tree.value[node]!;
      for (let place = begin; place < end; place++) scores[order[place]! * outputs + output]! += value;
    }
  }

  #sampleRows(): Int32Array {
    const { subsample } = this.#settings;
    return subsample === 1 ? this.#allRows : sampleSorted(this.#allRows, subsample, this.#random);
  }

  #sampleFeatures(): Int32Array {
    const all = Int32Array.from(this.#matrix.columns, (_, feature) => feature);
    const { columnSample } = this.#settings;
    return columnSample === 1 ? all : sampleSorted(all, columnSample, this.#random);
  }
}

/** A part of the values, at least one, in their order (selection sampling: Knuth, volume 2, algorithm 3.4.2 S). */
function sampleSorted(from: Int32Array, part: number, random: Random): Int32Array {
  const wanted = Math.max(1, Math.round(from.length * part));
  const sample = new Int32Array(wanted);
  let taken = 0;
  for (let place = 0; taken < wanted; place++) {
    if (random.float() * (from.length - place) < wanted - taken) sample[taken++] = from[place]!;
  }
  return sample;
}

function repeat(values: Float64Array, times: number): Float64Array {
  const repeated = new Float64Array(values.length * times);
  for (let time = 0; time < times; time++) repeated.set(values, time * values.length);
  return repeated;
}

/** Row weights times class weights; undefined when all rows count the same. */
function weightsOf(
  { rows, label, weights, classes }: Dataset,
  { classWeights }: BoostingSettings,
): Float64Array | undefined {
  if (!classes || !label) return weights;
  const counts = new Float64Array(classes.length);
  for (const each of label) counts[each]!++;
  const ofClass =
    classWeights === 'balanced'
      ? counts.map((count) => rows / (classes.length * Math.max(1, count)))
      : Float64Array.from(classes, (name) => classWeights[name] ?? 1);
  if (ofClass.every((weight) => weight === 1)) return weights;
  return Float64Array.from(label, (each, row) => ofClass[each]! * (weights ? weights[row]! : 1));
}

/** Adds what a tree says of each row, walking it by bins: codes are compared, not values. */
function addTree(
  scores: Float64Array,
  { byColumn, columns, rows }: BinnedMatrix,
  tree: Tree,
  bins: Int32Array,
  output: number,
  outputs: number,
): void {
  for (let row = 0; row < rows; row++) {
    let node = 0;
    while (tree.left[node]! >= 0) {
      const feature = tree.feature[node]!;
      const column = columns[feature]!;
      const code = byColumn[feature * rows + row]!;
      const bin = bins[node]!;
      const goesLeft =
        code === column.bins ? tree.missingLeft[node] === 1 : column.categorical ? code === bin : code <= bin;
      node = goesLeft ? tree.left[node]! : tree.right[node]!;
    }
    scores[row * outputs + output]! += tree.value[node]!;
  }
}

/** Rows that are not trained on: when do the trees stop getting better? */
class Validation {
  readonly history: number[] = [];
  readonly #matrix: BinnedMatrix;
  readonly #label: Float64Array;
  readonly #scores: Float64Array;
  readonly #classes: number;
  readonly #settings: BoostingSettings;
  #best = Infinity;
  #bestRounds = 0;

  constructor(
    matrix: BinnedMatrix,
    label: Float64Array,
    scores: Float64Array,
    classes: number,
    settings: BoostingSettings,
  ) {
    this.#matrix = matrix;
    this.#label = label;
    this.#scores = scores;
    this.#classes = classes;
    this.#settings = settings;
  }

  get isDone(): boolean {
    const { earlyStoppingRounds } = this.#settings;
    return earlyStoppingRounds > 0 && this.history.length - this.#bestRounds >= earlyStoppingRounds;
  }

  /** Undefined unless early stopping is on: then all rounds are kept. */
  get bestRounds(): number | undefined {
    return this.#settings.earlyStoppingRounds > 0 ? this.#bestRounds : undefined;
  }

  add({ tree, bins }: GrownTree, output: number, outputs: number): void {
    addTree(this.#scores, this.#matrix, tree, bins, output, outputs);
  }

  measure(rounds: number): number {
    const metric = this.#metric();
    this.history.push(metric);
    if (metric < this.#best) {
      this.#best = metric;
      this.#bestRounds = rounds;
    }
    return metric;
  }

  #metric(): number {
    if (this.#classes === 0) return rootMeanSquaredError(this.#label, this.#scores);
    const probabilities = probabilitiesOf(this.#scores, this.#classes);
    return logLoss(this.#label, probabilities, this.#classes);
  }
}

/**
 * From raw scores to the probability of each class, `[row × classes + class]`: of two classes there is one score, the log-odds
 * of the second; of more there is one for each.
 */
export function probabilitiesOf(scores: Float64Array, classes: number): Float64Array {
  if (classes > 2) {
    const probabilities = scores.slice();
    for (let from = 0; from < probabilities.length; from += classes) softmax(probabilities, from, classes);
    return probabilities;
  }
  const probabilities = new Float64Array(scores.length * 2);
  for (let row = 0; row < scores.length; row++) {
    const second = 1 / (1 + Math.exp(-scores[row]!));
    probabilities[2 * row] = 1 - second;
    probabilities[2 * row + 1] = second;
  }
  return probabilities;
}
