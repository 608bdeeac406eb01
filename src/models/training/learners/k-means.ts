import { type Random, seededRandom } from '../../../kernel/index.ts';
import { attribute } from '../../onnx/index.ts';
import type { Dataset } from '../dataset.ts';
import type { Fitted, OnProgress } from '../fitted.ts';
import { type Encoding, learnEncoding } from './encoding.ts';
import { standardise } from './linear.ts';

export const K_MEANS_DEFAULTS = {
  clusters: 8,
  iterations: 100,
};

/**
 * k-means on standardised columns: Lloyd's iterations from k-means++ seeds (Arthur and Vassilvitskii, 2007). Answers the
 * distance to each cluster's centre, in standard deviations.
 */
export function fitKMeans(
  dataset: Dataset,
  settings: typeof K_MEANS_DEFAULTS,
  seed: number,
  onProgress?: OnProgress,
): Fitted {
  const { rows, columns } = dataset;
  const encoding = learnEncoding(columns, rows);
  const { width } = encoding;
  const points = standardise(encoding, encoding.encode(columns, rows));
  const clusters = Math.min(settings.clusters, rows);
  const centres = seeds(points, rows, width, clusters, seededRandom(seed));
  const nearest = new Int32Array(rows).fill(-1);
  let iterations = 0;
  for (let moved = true; moved && iterations < settings.iterations; iterations++) {
    moved = assign(points, centres, width, nearest);
    if (moved) moveCentres(points, centres, width, nearest);
    onProgress?.({ done: iterations + 1, of: settings.iterations });
  }
  const kept = Float32Array.from(centres);
  return {
    outputs: clusters,
    predict: ({ columns: given, rows: count }) => {
      const asked = standardise(encoding, encoding.encode(given, count));
      const distances = new Float64Array(count * clusters);
      for (let cell = 0; cell < distances.length; cell++) {
        const cluster = cell % clusters;
        distances[cell] = Math.sqrt(squared(asked, (cell - cluster) / clusters, kept, cluster, width));
      }
      return distances;
    },
    build: (graph, name) => buildDistances(graph, name, encoding, kept),
    facts: { iterations },
  };
}

function squared(
  points: Float64Array,
  point: number,
  centres: Float32Array | Float64Array,
  centre: number,
  width: number,
): number {
  let sum = 0;
  for (let column = 0; column < width; column++) {
    sum += (points[point * width + column]! - centres[centre * width + column]!) ** 2;
  }
  return sum;
}

/** The first at random, each other with a chance that grows with the square of its distance to those before. */
function seeds(
  points: Float64Array,
  rows: number,
  width: number,
  clusters: number,
  random: Random,
): Float64Array {
  const centres = new Float64Array(clusters * width);
  const distances = new Float64Array(rows).fill(Infinity);
  let chosen = random.integer(rows);
  for (let cluster = 0; cluster < clusters; cluster++) {
    centres.set(points.subarray(chosen * width, (chosen + 1) * width), cluster * width);
    let total = 0;
    for (let row = 0; row < rows; row++) {
      distances[row] = Math.min(distances[row]!, squared(points, row, centres, cluster, width));
      total += distances[row]!;
    }
    let left = random.float() * total;
    for (chosen = 0; chosen < rows - 1; chosen++) if ((left -= distances[chosen]!) < 0) break;
  }
  return centres;
}

/** Tells whether a point changed sides. */
function assign(points: Float64Array, centres: Float64Array, width: number, nearest: Int32Array): boolean {
  let moved = false;
  for (let row = 0; row < nearest.length; row++) {
    let [best, least] = [0, Infinity];
    for (let cluster = 0; cluster * width < centres.length; cluster++) {
      const distance = squared(points, row, centres, cluster, width);
      if (distance < least) [best, least] = [cluster, distance];
    }
    moved ||= nearest[row] !== best;
    nearest[row] = best;
  }
  return moved;
}

/** A cluster that lost all its points stays where it was. */
function moveCentres(points: Float64Array, centres: Float64Array, width: number, nearest: Int32Array): void {
  const counts = new Float64Array(centres.length / width);
  for (const cluster of nearest) counts[cluster]!++;
  for (let cell = 0; cell < centres.length; cell++) {
    if (counts[Math.floor(cell / width)]! > 0) centres[cell] = 0;
  }
  for (let row = 0; row < nearest.length; row++) {
    const cluster = nearest[row]!;
    for (let column = 0; column < width; column++) {
      centres[cluster * width + column]! += points[row * width + column]! / counts[cluster]!;
    }
  }
}

function buildDistances(
  graph: Parameters<Fitted['build']>[0],
  name: string,
  encoding: Encoding,
  centres: Float32Array,
): void {
  const { width, means, deviations } = encoding;
  const scaled = graph.ml('Scaler', [encoding.build(graph, name)], 'scaled', [
    attribute.floats('offset', Float32Array.from(means)),
    attribute.floats(
      'scale',
      deviations.map((deviation) => 1 / deviation),
    ),
  ]);
  const axis = graph.constant('axis', [1], BigInt64Array.of(1n));
  const apart = graph.add('Unsqueeze', [scaled, axis], 'apart');
  const all = graph.constant('centres', [1, centres.length / width, width], centres);
  const difference = graph.add('Sub', [apart, all], 'difference');
  graph.add('ReduceL2', [difference], 'distances', [
    attribute.ints('axes', [2]),
    attribute.int('keepdims', 0),
  ]);
  graph.add('ArgMin', ['distances'], 'cluster', [attribute.int('axis', 1), attribute.int('keepdims', 0)]);
  graph.output('cluster', 'int64');
  graph.output('distances', 'float32', centres.length / width);
}
