import { type Random, seededRandom } from '../../../kernel/index.ts';
import type { Column, Dataset } from '../dataset.ts';
import { treeAttributes } from '../export/trees.ts';
import type { Fitted, OnProgress } from '../fitted.ts';
import { rawScores, type Tree } from '../trees.ts';

export const ISOLATION_DEFAULTS = {
  trees: 100,
  /** Rows that each tree sees. */
  sample: 256,
};

const EULER = 0.577_215_664_901_532_9;

/** Mean depth of an unsuccessful search among so many rows (the paper's equation 1). */
function meanDepth(rows: number): number {
  if (rows <= 1) return 0;
  if (rows === 2) return 1;
  return 2 * (Math.log(rows - 1) + EULER) - (2 * (rows - 1)) / rows;
}

/**
 * Isolation forest (Liu, Ting and Zhou, "Isolation Forest", ICDM 2008): rows that few random cuts set apart are unlike the
 * others. The score is near 1 for those, and below 0.5 for ordinary rows.
 */
export function fitIsolationForest(
  dataset: Dataset,
  settings: typeof ISOLATION_DEFAULTS,
  seed: number,
  onProgress?: OnProgress,
): Fitted {
  const random = seededRandom(seed);
  const sample = Math.min(settings.sample, dataset.rows);
  const trees = Array.from({ length: settings.trees }, (_, each) => {
    const tree = growTree(dataset.columns, drawRows(dataset.rows, sample, random), settings.trees, random);
    onProgress?.({ done: each + 1, of: settings.trees });
    return tree;
  });
  const ensemble = { base: Float64Array.of(0), trees };
  const scale = Math.max(meanDepth(sample), Number.EPSILON);
  return {
    outputs: 1,
    predict: ({ columns, rows }) =>
      rawScores(
        ensemble,
        columns.map(({ values }) => values),
        rows,
      ).map((depth) => 2 ** (-depth / scale)),
    build(graph, columns) {
      graph.ml('TreeEnsembleRegressor', [columns], 'depth', treeAttributes(ensemble));
      const factor = graph.constant('factor', [], Float32Array.of(-1 / scale));
      const exponent = graph.add('Mul', ['depth', factor], 'exponent');
      graph.add('Pow', [graph.constant('two', [], Float32Array.of(2)), exponent], 'score');
      graph.output('score', 'float32', 1);
    },
  };
}

function drawRows(rows: number, count: number, random: Random): Int32Array {
  const drawn = new Set<number>();
  while (drawn.size < count) drawn.add(random.integer(rows));
  return Int32Array.from(drawn);
}

interface Cut {
  readonly feature: number;
  readonly threshold: number;
  readonly equals: boolean;
}

/** Cuts at random until each row is alone or the tree is as deep as a balanced one would be. */
function growTree(columns: readonly Column[], sample: Int32Array, trees: number, random: Random): Tree {
  const nodes: {
    cut?: Cut;
    missingLeft: boolean;
    left: number;
    right: number;
    value: number;
    cover: number;
  }[] = [];
  const deepest = Math.ceil(Math.log2(Math.max(2, sample.length)));
  const grow = (rows: Int32Array, depth: number): number => {
    const cut = depth < deepest && rows.length > 1 ? drawCut(columns, rows, random) : undefined;
    const node = { missingLeft: false, left: -1, right: -1, value: 0, cover: rows.length };
    const place = nodes.push(node) - 1;
    if (!cut) {
      node.value = (depth + meanDepth(rows.length)) / trees;
      return place;
    }
    const { values } = columns[cut.feature]!;
    const below = (row: number): boolean =>
      cut.equals ? values[row] === cut.threshold : values[row]! <= cut.threshold;
    const known = rows.filter((row) => !Number.isNaN(values[row]!));
    const left = known.filter(below);
    // Where most rows go is where one goes that does not say.
    const missingLeft = !cut.equals && left.length * 2 >= known.length;
    const side = (isLeft: boolean): Int32Array =>
      rows.filter((row) => (Number.isNaN(values[row]!) ? missingLeft : below(row)) === isLeft);
    Object.assign(node, { cut, missingLeft, left: grow(side(true), depth + 1) });
    node.right = grow(side(false), depth + 1);
    return place;
  };
  grow(sample, 0);
  return {
    feature: Int32Array.from(nodes, ({ cut }) => cut?.feature ?? 0),
    threshold: Float32Array.from(nodes, ({ cut }) => cut?.threshold ?? 0),
    equals: Uint8Array.from(nodes, ({ cut }) => (cut?.equals ? 1 : 0)),
    missingLeft: Uint8Array.from(nodes, ({ missingLeft }) => (missingLeft ? 1 : 0)),
    left: Int32Array.from(nodes, ({ left }) => left),
    right: Int32Array.from(nodes, ({ right }) => right),
    value: Float32Array.from(nodes, ({ value }) => value),
    cover: Float64Array.from(nodes, ({ cover }) => cover),
    gain: new Float64Array(nodes.length),
  };
}

/** A column that varies among the rows, and a place in its range; undefined when none does. */
function drawCut(columns: readonly Column[], rows: Int32Array, random: Random): Cut | undefined {
  const open = columns.map((_, feature) => feature);
  while (open.length > 0) {
    const feature = open.splice(random.integer(open.length), 1)[0]!;
    const { values, kind } = columns[feature]!;
    if (kind === 'category') {
      const first = values[rows[0]!]!;
      // A missing category equals nothing, so that it cannot be asked for.
      const known = rows.filter((row) => values[row]! >= 0);
      if (known.length === 0 || !rows.some((row) => values[row] !== first)) continue;
      return { feature, threshold: values[known[random.integer(known.length)]!]!, equals: true };
    }
    let [low, high] = [Infinity, -Infinity];
    for (const row of rows) {
      const value = values[row]!;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (!(low < high) || !Number.isFinite(high - low)) continue;
    const threshold = Math.fround(low + random.float() * (high - low));
    return { feature, threshold: threshold < high ? threshold : low, equals: false };
  }
  return undefined;
}
