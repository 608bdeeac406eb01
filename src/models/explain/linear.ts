import { invalid, type OnnxModel, type OnnxNode } from '../onnx/index.ts';

/**
 * A LinearRegressor or LinearClassifier. What a feature adds to an answer is exact: its weight times how far it is from its
 * mean; the rest is the answer for means alone.
 */
export interface Linear {
  readonly outputs: number;
  readonly width: number;
  /** `[output × width + feature]`. */
  readonly coefficients: Float64Array;
  readonly means: Float64Array;
  /** The answer for the means. */
  readonly expected: Float64Array;
}

/** Key of `metadata_props` with the mean of each column, as a JSON list: what contributions are measured from. Zero without. */
export const MEANS_KEY = 'millrace.means';

export function readLinear(node: OnnxNode, { metadata }: OnnxModel): Linear {
  const floats = (name: string): ArrayLike<number> =>
    node.attributes.find((each) => each.name === name)?.floats ?? [];
  const coefficients = Float64Array.from(floats('coefficients'));
  const intercepts = floats('intercepts');
  const outputs = outputsOf(node, intercepts.length);
  const width = coefficients.length / outputs;
  if (!Number.isInteger(width) || width === 0)
    throw invalid('The coefficients of the model do not make whole rows');
  const means = meansOf(metadata?.find(({ key }) => key === MEANS_KEY)?.value, width);
  const expected = Float64Array.from({ length: outputs }, (_, output) => {
    let sum = intercepts[output] ?? 0;
    for (let feature = 0; feature < width; feature++) {
      sum += coefficients[output * width + feature]! * means[feature]!;
    }
    return sum;
  });
  return { outputs, width, coefficients, means, expected };
}

function outputsOf(node: OnnxNode, intercepts: number): number {
  const targets = node.attributes.find(({ name }) => name === 'targets')?.int;
  if (node.type === 'LinearRegressor') return Math.max(1, targets ?? 1);
  const labels = node.attributes.find(({ name }) => /^classlabels_/.test(name));
  return Math.max(1, intercepts, intercepts > 0 ? 0 : (labels?.strings?.length ?? labels?.ints?.length ?? 1));
}

function meansOf(text: string | undefined, width: number): Float64Array {
  const zeros = new Float64Array(width);
  if (text === undefined) return zeros;
  try {
    const means: unknown = JSON.parse(text);
    const fits = Array.isArray(means) && means.length === width && means.every(Number.isFinite);
    return fits ? Float64Array.from(means as number[]) : zeros;
  } catch {
    return zeros;
  }
}

/** Adds to `contributions`, `[output × width + feature]`. */
export function explainLinear(linear: Linear, row: Float32Array, contributions: Float64Array): void {
  const { outputs, width, coefficients, means } = linear;
  for (let place = 0; place < outputs * width; place++) {
    const feature = place % width;
    contributions[place]! += coefficients[place]! * (row[feature]! - means[feature]!);
  }
}
