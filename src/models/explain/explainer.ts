import { MillraceError } from '../../kernel/index.ts';
import type { Values } from '../inference.port.ts';
import { decodeModel, type OnnxModel, type OnnxNode, unsupported } from '../onnx/index.ts';
import type { Tensor } from '../tensor.ts';
import { readTrees } from './ensemble.ts';
import { explainLinear, readLinear } from './linear.ts';
import { TreeShap } from './tree-shap.ts';
import { type Upstream, upstreamOf } from './upstream.ts';

/** Key of `metadata_props`: for each column that trees or weights see, the feature it stands for, as a JSON list. */
export const COLUMNS_KEY = 'millrace.columns';

/** What makes up the raw answer of one output (log-odds for classes): `base` and all contributions add up to it. */
export interface Contributions {
  readonly base: number;
  readonly contributions: { readonly [feature: string]: number };
  /**
   * Of trees: what an unknown feature stands for. Absent: the rows that the model was trained on. 'even': the file does not tell of them, and
   * an unknown feature goes either way alike. The contributions add up all the same.
   */
  readonly cover?: 'even';
}

/** One entry per raw output of the model: one for a number or two classes, else one for each class. */
export type Explanation = readonly Contributions[];

export interface Explainer {
  /** The inputs as the model takes them; one explanation a row. Throws INVALID_INPUT when they do not fit. */
  explain(inputs: Values, features: readonly string[] | undefined): readonly Explanation[];
}

interface Core {
  readonly width: number;
  readonly expected: Float64Array;
  readonly coverKind?: 'rows' | 'even';
  explain(row: Float32Array, contributions: Float64Array, width: number): void;
}

const TREES = new Set(['TreeEnsembleRegressor', 'TreeEnsembleClassifier']);
const LINEAR = new Set(['LinearRegressor', 'LinearClassifier']);

/**
 * Explains models whose answer is made by one ensemble of trees (TreeSHAP) or one linear model (exact), whatever
 * prepares its columns. Throws MODEL_UNSUPPORTED for all others.
 */
export function createExplainer(bytes: Uint8Array): Explainer {
  const model = decodeModel(bytes);
  const node = coreNode(model);
  const core = TREES.has(node.type) ? treeCore(node) : linearCore(node, model);
  const upstream = upstreamOf(model, node.inputs[0]!);
  const columns = columnsIn(model);
  return { explain: (inputs, features) => explainRows(core, upstream, inputs, columns ?? features) };
}

function coreNode({ graph }: OnnxModel): OnnxNode {
  const found = graph.nodes.filter(
    ({ type, domain }) => domain === 'ai.onnx.ml' && (TREES.has(type) || LINEAR.has(type)),
  );
  if (found.length === 1) return found[0]!;
  throw unsupported(
    `Models of one ensemble of trees or one linear model can be explained; this one has ${found.length} of them`,
    'Ask for predictions without an explanation',
  );
}

function treeCore(node: OnnxNode): Core {
  const trees = readTrees(node);
  const shap = new TreeShap(trees);
  const { width, coverKind } = trees;
  return { width, coverKind, expected: shap.expected, explain: (...row) => shap.explain(...row) };
}

function linearCore(node: OnnxNode, model: OnnxModel): Core {
  const linear = readLinear(node, model);
  const { width, expected } = linear;
  return { width, expected, explain: (row, contributions) => explainLinear(linear, row, contributions) };
}

function explainRows(
  core: Core,
  upstream: Upstream,
  inputs: Values,
  features: readonly string[] | undefined,
): readonly Explanation[] {
  const { data, dims } = matrixOf(upstream(inputs));
  const width = dims[1] ?? 1;
  if (width < core.width) {
    throw new MillraceError(
      'INVALID_INPUT',
      `The model looks at ${core.width} columns, and rows have ${width}.`,
    );
  }
  const names =
    features?.length === width ? features : Array.from({ length: width }, (_, place) => `${place}`);
  const outputs = core.expected.length;
  return Array.from({ length: dims[0] ?? 0 }, (_, row) => {
    const contributions = new Float64Array(outputs * width);
    core.explain(data.subarray(row * width, (row + 1) * width), contributions, width);
    return Array.from(core.expected, (base, output) => ({
      base,
      contributions: byName(names, contributions.subarray(output * width, (output + 1) * width)),
      ...(core.coverKind === 'even' ? ({ cover: 'even' } as const) : {}),
    }));
  });
}

/** Columns of one feature, such as those that tell its categories apart, count together. */
function byName(names: readonly string[], values: Float64Array): { [feature: string]: number } {
  const sums: { [feature: string]: number } = Object.create(null);
  for (let place = 0; place < values.length; place++) {
    const name = names[place]!;
    sums[name] = (sums[name] ?? 0) + values[place]!;
  }
  return sums;
}

function matrixOf(value: Tensor): { data: Float32Array; dims: readonly number[] } {
  const { data, dims } = value;
  if (dims.length !== 2 || typeof data[0] === 'string' || typeof data[0] === 'bigint') {
    throw new MillraceError('INVALID_INPUT', 'What the model looks at is no matrix of numbers.');
  }
  return { data: data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number>), dims };
}

function columnsIn({ metadata }: OnnxModel): readonly string[] | undefined {
  const text = metadata?.find(({ key }) => key === COLUMNS_KEY)?.value;
  if (text === undefined) return undefined;
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined;
  } catch {
    return undefined;
  }
}
