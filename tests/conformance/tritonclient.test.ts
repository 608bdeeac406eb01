import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { resolveConfig } from '../../src/kernel/index.ts';
import { createPlatform, SECTIONS } from '../../src/main.ts';
import { DEFAULT_SERVING, encodeModel, named, node } from '../../src/models/index.ts';
import { findPython } from '../support/python.ts';

const found = findPython(['tritonclient.http', 'tritonclient.grpc', 'numpy']);
const python = 'path' in found ? found.path : '';

/** Both clients of NVIDIA Triton, which KServe's users have too: every call of the protocol, tensors as JSON and as bytes. */
const SCRIPT = `
import json, sys
import numpy as np
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

api, rpc = sys.argv[1:]
x = np.array([[1, 2], [3, 4]], np.float32)
text = np.array([["a"], ["ü"]], dtype=object)
results = {}
for name, library, url in (("http", http_client, api), ("grpc", grpc_client, rpc)):
    client = library.InferenceServerClient(url)
    result = results[name] = {}
    result["live"] = [client.is_server_live(), client.is_server_ready(), client.is_model_ready("risk"), client.is_model_ready("risk", "1")]
    metadata = client.get_model_metadata("risk")
    inputs = metadata["inputs"] if name == "http" else metadata.inputs
    read = (lambda each, field: each[field]) if name == "http" else getattr
    result["inputs"] = [[read(each, "name"), read(each, "datatype"), [int(size) for size in read(each, "shape")]] for each in inputs]
    tensor = library.InferInput("x", [2, 2], "FP32")
    tensor.set_data_from_numpy(x)
    answer = client.infer("risk", [tensor], request_id="42", outputs=[library.InferRequestedOutput("y")])
    result["y"] = answer.as_numpy("y").tolist()
    result["all"] = client.infer("risk", [tensor], model_version="1", **({"compression_algorithm": "gzip"} if name == "grpc" else {})).as_numpy("z").tolist()
    many = [None] * 8
    pending = []
    if name == "grpc":
        import queue
        done = queue.Queue()
        for _ in many:
            client.async_infer("risk", [tensor], lambda result, error: done.put((result, error)))
        pending = [done.get() for _ in many]
        result["many"] = [found.as_numpy("y").tolist() for found, error in pending if error is None]
    words = library.InferInput("x", [2, 1], "BYTES")
    words.set_data_from_numpy(text)
    result["text"] = [each[0].decode() if isinstance(each[0], bytes) else each[0] for each in client.infer("echo", [words]).as_numpy("y").tolist()]
    refused = []
    bad = library.InferInput("x", [2, 1], "FP32")
    bad.set_data_from_numpy(x[:, :1].copy())
    for call in (lambda: client.infer("nobody", [tensor]), lambda: client.infer("risk", [bad]), lambda: client.infer("risk", [words])):
        try:
            call()
        except InferenceServerException as error:
            refused.append([error.status(), error.message()])
    result["refused"] = refused
plain = http_client.InferInput("x", [2, 2], "FP32")
plain.set_data_from_numpy(x, binary_data=False)
answer = http_client.InferenceServerClient(api).infer("risk", [plain], outputs=[http_client.InferRequestedOutput("y", binary_data=False)])
results["plain"] = answer.as_numpy("y").tolist()
print(json.dumps(results))
`;

it("Triton's clients infer over REST and gRPC", { skip: 'skip' in found ? found.skip : false }, async () => {
  const flags = { 'edge-port': 'off', 'api-port': 0, 'inference-port': 0, 'kafka-port': 'off' };
  await using platform = createPlatform(resolveConfig(SECTIONS, { flags }), { memory: true });
  await platform.start();
  for (const [name, bytes] of [
    ['risk', weighted()],
    ['echo', echo()],
  ] as const) {
    await platform.models.register(name, { bytes, serving: DEFAULT_SERVING, by: 'test' });
  }
  const { api, inference } = platform.addresses;
  const child = spawn(python, ['-c', SCRIPT, new URL(api!).host, inference!], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 120_000,
  });
  const results = JSON.parse(await text(child.stdout));
  for (const name of ['http', 'grpc']) {
    const result = results[name];
    assert.deepEqual(result.live, [true, true, true, true], name);
    assert.deepEqual(result.inputs, [['x', 'FP32', [-1, 2]]]);
    assert.deepEqual(result.y, [[21], [43]]);
    assert.deepEqual(result.all, [
      [1, 2],
      [3, 4],
    ]);
    assert.deepEqual(result.text, ['a', 'ü']);
    const statuses = result.refused.map(([status]: [string]) => status);
    const expected = {
      http: ['404', '422', '422'],
      grpc: ['StatusCode.NOT_FOUND', 'StatusCode.INVALID_ARGUMENT', 'StatusCode.INVALID_ARGUMENT'],
    };
    assert.deepEqual(statuses, expected[name as 'http' | 'grpc']);
    assert.match(result.refused[1][1], /\[2, 1\]; the model takes \[any, 2\]/);
  }
  assert.deepEqual(results.grpc.many, new Array(8).fill([[21], [43]]));
  assert.deepEqual(results.plain, [[21], [43]]);
});

function weighted(): Uint8Array {
  const matrix = (name: string, columns: number) => ({
    name,
    type: { kind: 'tensor' as const, type: 'float32' as const, dims: ['n', columns] },
  });
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    graph: {
      nodes: [node('MatMul', ['x', 'w'], ['y']), node('Identity', ['x'], ['z'])],
      initializers: [named('w', { type: 'float32', dims: [2, 1], data: Float32Array.of(1, 10) })],
      inputs: [matrix('x', 2)],
      outputs: [matrix('y', 1), matrix('z', 2)],
    },
  });
}

function echo(): Uint8Array {
  const words = (name: string) => ({
    name,
    type: { kind: 'tensor' as const, type: 'string' as const, dims: ['n', 1] },
  });
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    graph: {
      nodes: [node('Identity', ['x'], ['y'])],
      initializers: [],
      inputs: [words('x')],
      outputs: [words('y')],
    },
  });
}
