import { attribute, encodeModel, named, node } from '../../src/models/index.ts';

const DEPTH = 6;

/** Boosted trees as an ONNX file: `trees` complete trees of depth 6 over `columns` columns, one output `y`. Each variant is a file of its own. */
export function treesModel(trees: number, columns: number, variant = 0): Uint8Array {
  const inner = 2 ** DEPTH - 1;
  const all = 2 ** (DEPTH + 1) - 1;
  const nodes = { tree: [] as number[], id: [] as number[], feature: [] as number[], value: [] as number[] };
  const modes: string[] = [];
  const [yes, no]: [number[], number[]] = [[], []];
  const target = { tree: [] as number[], node: [] as number[], weight: [] as number[] };
  // The same numbers every time: what a tree asks does not change what asking costs, as long as both ways are taken.
  let seed = 1 + variant;
  const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff) / 2 ** 31;
  for (let tree = 0; tree < trees; tree++) {
    for (let id = 0; id < all; id++) {
      const isLeaf = id >= inner;
      nodes.tree.push(tree);
      nodes.id.push(id);
      nodes.feature.push(isLeaf ? 0 : Math.floor(random() * columns));
      nodes.value.push(isLeaf ? 0 : random());
      modes.push(isLeaf ? 'LEAF' : 'BRANCH_LEQ');
      yes.push(isLeaf ? 0 : 2 * id + 1);
      no.push(isLeaf ? 0 : 2 * id + 2);
      if (!isLeaf) continue;
      target.tree.push(tree);
      target.node.push(id);
      target.weight.push(random() - 0.5);
    }
  }
  const ensemble = node(
    'TreeEnsembleRegressor',
    ['x'],
    ['y'],
    [
      attribute.ints('nodes_treeids', nodes.tree),
      attribute.ints('nodes_nodeids', nodes.id),
      attribute.ints('nodes_featureids', nodes.feature),
      attribute.floats('nodes_values', nodes.value),
      attribute.strings('nodes_modes', modes),
      attribute.ints('nodes_truenodeids', yes),
      attribute.ints('nodes_falsenodeids', no),
      attribute.ints('target_treeids', target.tree),
      attribute.ints('target_nodeids', target.node),
      attribute.ints('target_ids', new Array(target.node.length).fill(0)),
      attribute.floats('target_weights', target.weight),
      attribute.int('n_targets', 1),
    ],
    'ai.onnx.ml',
  );
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }, { domain: 'ai.onnx.ml', version: 3 }],
    graph: {
      name: 'trees',
      nodes: [ensemble],
      initializers: [],
      inputs: [{ name: 'x', type: { kind: 'tensor', type: 'float32', dims: ['n', columns] } }],
      outputs: [{ name: 'y', type: { kind: 'tensor', type: 'float32', dims: ['n', 1] } }],
    },
  });
}

/** One square layer of `size`² weights, as an ONNX file: `size` 2,400 takes 23 MB. */
export function denseModel(size: number, variant = 0): Uint8Array {
  const weights = Float32Array.from(
    { length: size * size },
    (_, index) => (((index + variant) % 17) - 8) / 100,
  );
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    graph: {
      name: 'dense',
      nodes: [node('MatMul', ['x', 'w'], ['p']), node('Tanh', ['p'], ['y'])],
      initializers: [named('w', { type: 'float32', dims: [size, size], data: weights })],
      inputs: [{ name: 'x', type: { kind: 'tensor', type: 'float32', dims: ['n', size] } }],
      outputs: [{ name: 'y', type: { kind: 'tensor', type: 'float32', dims: ['n', size] } }],
    },
  });
}

/** Registers a file as a version over HTTP. */
export async function uploadModel(
  api: string,
  name: string,
  bytes: Uint8Array,
  serving: object = {},
): Promise<void> {
  const form = new FormData();
  form.set('onnx', new Blob([new Uint8Array(bytes)]));
  form.set('facts', JSON.stringify({ serving }));
  const response = await fetch(`${api}/models/${name}/versions`, { method: 'POST', body: form });
  if (!response.ok) throw new Error(`The model was not registered: ${await response.text()}`);
}
