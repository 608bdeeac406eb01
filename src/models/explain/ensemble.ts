import { invalid, type OnnxNode, unsupported } from '../onnx/index.ts';

/** How a node decides, in the order of `MODES`. */
export const MODES = [
  'BRANCH_LEQ',
  'BRANCH_LT',
  'BRANCH_GTE',
  'BRANCH_GT',
  'BRANCH_EQ',
  'BRANCH_NEQ',
  'LEAF',
] as const;
export const LEAF = MODES.indexOf('LEAF');

/**
 * The trees of a TreeEnsembleRegressor or TreeEnsembleClassifier (https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html)
 * as flat arrays. Nodes of one tree follow each other, parents before their children.
 */
export interface OnnxTrees {
  readonly outputs: number;
  readonly base: Float64Array;
  /** Highest feature that is asked for, plus one. */
  readonly width: number;
  /** First node of each tree. */
  readonly roots: Int32Array;
  readonly mode: Uint8Array;
  readonly feature: Int32Array;
  readonly value: Float32Array;
  readonly yes: Int32Array;
  readonly no: Int32Array;
  readonly missingIsYes: Uint8Array;
  /** How many rows reached each node, or their share of the root's. */
  readonly cover: Float64Array;
  /** 'even': the file does not say how many rows reached its nodes, and both ways count alike. */
  readonly coverKind: 'rows' | 'even';
  /** The weights of a leaf: `weight[i]` for output `target[i]`, from `firstWeight[node]` to that of the next node. */
  readonly firstWeight: Int32Array;
  readonly target: Int32Array;
  readonly weight: Float64Array;
  readonly depth: number;
}

/** Deeper trees than this are not explained: the work grows with the square of the depth. */
const MOST_DEPTH = 256;

const numbers = (node: OnnxNode, name: string): ArrayLike<number> => {
  const found = node.attributes.find((each) => each.name === name);
  return found?.ints ?? found?.floats ?? [];
};

/**
 * Throws MODEL_INVALID for trees that are none (nodes that are missing, shared or in a circle). Of trees that do not say how many rows
 * reached their nodes, as most converters write them, both ways of a node count alike.
 */
export function readTrees(node: OnnxNode): OnnxTrees {
  const isClassifier = node.type === 'TreeEnsembleClassifier';
  const ids = idsOf(node);
  const order = orderOf(node, ids);
  const hits = numbers(node, 'nodes_hitrates');
  const counted = addUp(hits, order);
  const weights = weightsOf(node, isClassifier, ids, order.places);
  const outputs = outputsOf(node, isClassifier, weights);
  const bases = numbers(node, 'base_values');
  const pick = <T extends Int32Array | Uint8Array | Float32Array | Float64Array>(
    values: ArrayLike<number>,
    into: T,
  ): T => {
    order.places.forEach((from, place) => {
      into[place] = values[from] ?? 0;
    });
    return into;
  };
  const size = order.places.length;
  const feature = pick(numbers(node, 'nodes_featureids'), new Int32Array(size));
  const mode = pick(ids.modes, new Uint8Array(size));
  return {
    outputs,
    base: Float64Array.from({ length: outputs }, (_, output) => bases[output] ?? 0),
    width: feature.reduce((most, each, place) => (mode[place] === LEAF ? most : Math.max(most, each + 1)), 0),
    roots: Int32Array.from(order.roots),
    mode,
    feature,
    value: pick(numbers(node, 'nodes_values'), new Float32Array(size)),
    yes: Int32Array.from(order.yes),
    no: Int32Array.from(order.no),
    missingIsYes: pick(numbers(node, 'nodes_missing_value_tracks_true'), new Uint8Array(size)),
    cover: counted ? pick(hits, new Float64Array(size)) : evenCover(order),
    coverKind: counted ? 'rows' : 'even',
    firstWeight: weights.first,
    target: weights.target,
    weight: weights.weight,
    depth: order.depth,
  };
}

interface Ids {
  readonly trees: ArrayLike<number>;
  readonly nodes: ArrayLike<number>;
  readonly modes: Uint8Array;
  /** Where the node of a tree stands in the attributes. */
  readonly places: ReadonlyMap<string, number>;
}

function idsOf(node: OnnxNode): Ids {
  const [trees, nodes] = [numbers(node, 'nodes_treeids'), numbers(node, 'nodes_nodeids')];
  const names = node.attributes.find(({ name }) => name === 'nodes_modes')?.strings ?? [];
  if (trees.length !== nodes.length || trees.length !== names.length) {
    throw invalid('The attributes of the trees differ in length');
  }
  const places = new Map<string, number>();
  const modes = Uint8Array.from(names, (name, place) => {
    places.set(`${trees[place]} ${nodes[place]}`, place);
    const mode = MODES.indexOf(name as (typeof MODES)[number]);
    if (mode < 0)
      throw unsupported(
        `Trees with nodes of the mode '${name}' cannot be explained`,
        'Ask without an explanation',
      );
    return mode;
  });
  return { trees, nodes, modes, places };
}

interface Order {
  /** For each node in its new place, where it stands in the attributes. */
  readonly places: readonly number[];
  readonly roots: readonly number[];
  readonly yes: readonly number[];
  readonly no: readonly number[];
  readonly depth: number;
}

/** Walks each tree from its root, the first of its nodes. */
function orderOf(node: OnnxNode, { trees, modes, places: known }: Ids): Order {
  const [yesIds, noIds] = [numbers(node, 'nodes_truenodeids'), numbers(node, 'nodes_falsenodeids')];
  const places: number[] = [];
  const roots: number[] = [];
  const [yes, no]: [number[], number[]] = [[], []];
  const seen = new Uint8Array(modes.length);
  let deepest = 0;
  for (let first = 0; first < modes.length; first++) {
    if (first > 0 && trees[first] === trees[first - 1]) continue;
    roots.push(places.length);
    const pending: { from: number; depth: number; join?: (place: number) => void }[] = [
      { from: first, depth: 0 },
    ];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const { from, depth, join } = next;
      if (seen[from]) throw invalid(`Node ${from} of the trees is reached twice`);
      if (depth > MOST_DEPTH)
        throw unsupported(
          `Trees deeper than ${MOST_DEPTH} cannot be explained`,
          'Train with a largest depth',
        );
      seen[from] = 1;
      deepest = Math.max(deepest, depth);
      const place = places.push(from) - 1;
      join?.(place);
      yes.push(-1);
      no.push(-1);
      if (modes[from] === LEAF) continue;
      for (const [ids, side] of [
        [yesIds, yes],
        [noIds, no],
      ] as const) {
        const child = known.get(`${trees[from]} ${ids[from]}`);
        if (child === undefined) throw invalid(`A node of the trees leads to one that is not there`);
        pending.push({
          from: child,
          depth: depth + 1,
          join: (childPlace) => void (side[place] = childPlace),
        });
      }
    }
  }
  return { places, roots, yes, no, depth: deepest };
}

/** Whether the counts are counts: those of two children are those of their parent. */
function addUp(hits: ArrayLike<number>, { places, yes, no }: Order): boolean {
  const adds = places.every((from, place) => {
    if (yes[place]! < 0) return hits[from]! > 0;
    const below = hits[places[yes[place]!]!]! + hits[places[no[place]!]!]!;
    return Math.abs(below - hits[from]!) <= 1e-4 * hits[from]!;
  });
  return hits.length > 0 && adds;
}

/** Half of what reaches a node goes either way; parents stand before their children. */
function evenCover({ places, yes, no, roots }: Order): Float64Array {
  const cover = new Float64Array(places.length);
  for (const root of roots) cover[root] = 1;
  for (let place = 0; place < places.length; place++) {
    if (yes[place]! < 0) continue;
    cover[yes[place]!] = cover[place]! / 2;
    cover[no[place]!] = cover[place]! / 2;
  }
  return cover;
}

function weightsOf(node: OnnxNode, isClassifier: boolean, ids: Ids, places: readonly number[]) {
  const prefix = isClassifier ? 'class' : 'target';
  const [trees, nodes] = [numbers(node, `${prefix}_treeids`), numbers(node, `${prefix}_nodeids`)];
  const targets = numbers(node, `${prefix}_ids`);
  const weights = numbers(node, `${prefix}_weights`);
  const byPlace = new Map<number, number[]>();
  for (let each = 0; each < weights.length; each++) {
    const place = ids.places.get(`${trees[each]} ${nodes[each]}`);
    if (place === undefined) throw invalid('A weight of the trees belongs to a node that is not there');
    const others = byPlace.get(place);
    if (others) others.push(each);
    else byPlace.set(place, [each]);
  }
  const order = places.map((from) => byPlace.get(from) ?? []);
  const flat = order.flat();
  const first = new Int32Array(places.length + 1);
  order.forEach((each, place) => {
    first[place + 1] = first[place]! + each.length;
  });
  return {
    first,
    target: Int32Array.from(flat, (each) => targets[each]!),
    weight: Float64Array.from(flat, (each) => weights[each]!),
  };
}

/** A classifier of two classes may give the score of the second alone; its trees then name one target. */
function outputsOf(node: OnnxNode, isClassifier: boolean, { target }: { target: Int32Array }): number {
  if (!isClassifier) {
    const targets = node.attributes.find(({ name }) => name === 'n_targets')?.int ?? 1;
    checkTargets(target, targets);
    return targets;
  }
  const labels = node.attributes.find(({ name }) => /^classlabels_/.test(name));
  const classes = labels?.strings?.length ?? labels?.ints?.length ?? 0;
  const single = classes === 2 && new Set(target).size === 1;
  if (single) target.fill(0);
  const outputs = single ? 1 : classes;
  checkTargets(target, outputs);
  return outputs;
}

function checkTargets(target: Int32Array, outputs: number): void {
  if (target.some((each) => each < 0 || each >= outputs))
    throw invalid('A weight of the trees belongs to no output');
}
