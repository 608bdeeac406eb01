// Writes eta.onnx: minutes = 2.5 · distance + 0.1 · hour + 4. Run it with: node examples/08-models/make-model.ts
import { writeFileSync } from 'node:fs';
import { encodeModel, named, node } from '../../src/models/index.ts';

const matrix = (name: string, columns: number) =>
  ({ name, type: { kind: 'tensor', type: 'float32', dims: ['rows', columns] } }) as const;

const onnx = encodeModel({
  irVersion: 8,
  opsets: [{ version: 17 }],
  metadata: [{ key: 'millrace.features', value: JSON.stringify(['distance', 'hour']) }],
  graph: {
    name: 'eta',
    nodes: [node('Gemm', ['x', 'weights', 'bias'], ['minutes'])],
    initializers: [
      named('weights', { type: 'float32', dims: [2, 1], data: Float32Array.of(2.5, 0.1) }),
      named('bias', { type: 'float32', dims: [1], data: Float32Array.of(4) }),
    ],
    inputs: [matrix('x', 2)],
    outputs: [matrix('minutes', 1)],
  },
});
writeFileSync(new URL('./eta.onnx', import.meta.url), onnx);
