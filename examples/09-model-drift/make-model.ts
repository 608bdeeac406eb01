// Writes risk.onnx: a logistic model by hand, with what its inputs and its answers looked like in "training". Any ONNX file
// will do; this one is small enough to read. Run it with: node examples/09-model-drift/make-model.ts
import { writeFileSync } from 'node:fs';
import { buildReference, encodeModel, named, node } from '../../src/models/index.ts';

const [WEIGHTS, BIAS] = [Float32Array.of(0.02, 0.05), Float32Array.of(-3)];

/** Amounts from 0 to 200 and hours of the day, evenly: what the model knows. */
const rows = Array.from({ length: 5000 }, (_, at) => [(at * 7919) % 200, (at * 104_729) % 24] as const);
const risk = rows.map(
  ([amount, hour]) => 1 / (1 + Math.exp(-(WEIGHTS[0]! * amount + WEIGHTS[1]! * hour + BIAS[0]!))),
);
const reference = buildReference(
  [
    { name: 'amount', values: rows.map(([amount]) => amount) },
    { name: 'hour', values: rows.map(([, hour]) => hour) },
  ],
  [{ name: 'risk', values: risk }],
);

const matrix = (name: string, columns: number) =>
  ({ name, type: { kind: 'tensor', type: 'float32', dims: ['rows', columns] } }) as const;

const onnx = encodeModel({
  irVersion: 8,
  opsets: [{ version: 17 }],
  metadata: [
    { key: 'millrace.features', value: JSON.stringify(['amount', 'hour']) },
    { key: 'millrace.reference', value: JSON.stringify(reference) },
  ],
  graph: {
    name: 'risk',
    nodes: [node('Gemm', ['x', 'weights', 'bias'], ['raw']), node('Sigmoid', ['raw'], ['risk'])],
    initializers: [
      named('weights', { type: 'float32', dims: [2, 1], data: WEIGHTS }),
      named('bias', { type: 'float32', dims: [1], data: BIAS }),
    ],
    inputs: [matrix('x', 2)],
    outputs: [matrix('risk', 1)],
  },
});
writeFileSync(new URL('./risk.onnx', import.meta.url), onnx);
