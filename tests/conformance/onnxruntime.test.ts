import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'node:test';
import { onnxRuntimeEngine } from '../../src/adapters/onnxruntime/index.ts';
import { inferenceContract } from '../../src/models/inference.contract.ts';

/** A folder with onnxruntime-node beside the checkout: it is no dependency, because it installs with a script. */
const folder =
  process.env.MILLRACE_ONNXRUNTIME ?? join(import.meta.dirname, '../../.conformance/onnxruntime');
const skip = existsSync(join(folder, 'node_modules/onnxruntime-node'))
  ? false
  : `no onnxruntime-node in ${folder}: npm install --prefix ${folder} --ignore-scripts onnxruntime-node`;

describe('ONNX Runtime in worker threads', { skip }, () => {
  inferenceContract(async () => {
    const engine = onnxRuntimeEngine({ folders: [folder], threads: 2 });
    return { ...engine, [Symbol.asyncDispose]: () => engine.stop!(AbortSignal.timeout(1000)) };
  });
});
