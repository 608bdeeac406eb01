import { encodeModel, named, node } from '../onnx/index.ts';
import type { Tensor, TensorType } from '../tensor.ts';
import { buildReference, type Reference } from '../watch/reference.ts';

export interface Logistic {
  readonly features: readonly string[];
  readonly weights: readonly number[];
  readonly bias: number;
  readonly output?: string;
  readonly reference?: Reference;
}

/** A logistic model by hand: one matrix in, one score a row out, its reference profile in the metadata. */
export function logisticModel({ features, weights, bias, output = 'risk', reference }: Logistic): Uint8Array {
  const constant = (name: string, dims: number[], data: readonly number[]) =>
    named(name, { type: 'float32', dims, data: Float32Array.from(data) } satisfies Tensor);
  const matrix = (name: string, columns: number) =>
    ({ name, type: { kind: 'tensor', type: 'float32' as TensorType, dims: ['rows', columns] } }) as const;
  const metadata = [
    { key: 'millrace.features', value: JSON.stringify(features) },
    ...(reference ? [{ key: 'millrace.reference', value: JSON.stringify(reference) }] : []),
  ];
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    metadata,
    graph: {
      name: 'logistic',
      nodes: [node('Gemm', ['x', 'weights', 'bias'], ['raw']), node('Sigmoid', ['raw'], [output])],
      initializers: [constant('weights', [features.length, 1], weights), constant('bias', [1], [bias])],
      inputs: [matrix('x', features.length)],
      outputs: [matrix(output, 1)],
    },
  });
}

/** The reference of such a model on the rows that it knows. */
export function logisticReference(
  { features, weights, bias, output = 'risk' }: Logistic,
  rows: readonly (readonly number[])[],
): Reference {
  const score = (row: readonly number[]): number =>
    1 / (1 + Math.exp(-row.reduce((sum, value, at) => sum + value * weights[at]!, bias)));
  return buildReference(
    features.map((name, at) => ({ name, values: rows.map((row) => row[at]!) })),
    [{ name: output, values: rows.map(score) }],
  );
}
