import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { TensorData, TensorType, Value, ValueSpec, Values } from '../../models/inference.port.ts';
import type { Failure, FromThread, LoadedSession, ToThread } from './messages.ts';

/** The part of onnxruntime-node (1.20 and later) that is used; the package itself may not be installed. */
interface Runtime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: object): Promise<Session>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => RuntimeTensor;
}
interface RuntimeTensor {
  readonly type: string;
  readonly data: unknown;
  readonly dims: readonly number[];
}
interface RuntimeSpec {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type: string;
  readonly shape: readonly (number | string)[];
}
interface Session {
  readonly inputMetadata: readonly RuntimeSpec[];
  readonly outputMetadata: readonly RuntimeSpec[];
  run(feeds: { readonly [name: string]: RuntimeTensor }): Promise<{ readonly [name: string]: RuntimeTensor }>;
  release(): Promise<void>;
}

const { module } = workerData as { readonly module: string };
const runtime = createRequire(module)(module) as Runtime;
/** With the runs that are under way, which finish before it is released. */
const sessions = new Map<number, { readonly session: Session; readonly running: Set<Promise<unknown>> }>();

class Refusal extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function load(id: number, bytes: Uint8Array): Promise<LoadedSession> {
  // One thread of its own a run: many models are served at once, and cores are few.
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 };
  const session = await runtime.InferenceSession.create(bytes, options).catch((error: unknown) => {
    const message = `ONNX Runtime cannot load the model: ${reasonOf(error)}. Export it again, or for an older runtime.`;
    const unsupported = /not implemented|no op registered|unsupported|opset/i.test(message);
    throw new Refusal({ code: unsupported ? 'MODEL_UNSUPPORTED' : 'MODEL_INVALID', message });
  });
  const odd = [...session.inputMetadata, ...session.outputMetadata].find(({ isTensor }) => !isTensor);
  if (odd) {
    await session.release();
    const message = `ONNX Runtime gives tensors only here, and '${odd.name}' is none. Export the model without ZipMap (zipmap=False).`;
    throw new Refusal({ code: 'MODEL_UNSUPPORTED', message });
  }
  sessions.set(id, { session, running: new Set() });
  return { inputs: session.inputMetadata.map(specOf), outputs: session.outputMetadata.map(specOf) };
}

function specOf({ name, type, shape }: RuntimeSpec): ValueSpec {
  const dims = shape.map((size) =>
    typeof size === 'number' ? (size < 0 ? null : size) : size === '' ? null : size,
  );
  return { name, type: type as TensorType, dims };
}

async function run(id: number, inputs: Values): Promise<Values> {
  const { session, running } = sessions.get(id)!;
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, toRuntime(name, value)]),
  );
  const under = session.run(feeds);
  running.add(under);
  const outputs = await under.catch((error: unknown) => {
    running.delete(under);
    throw new Refusal({
      code: 'INVALID_INPUT',
      message: `The model cannot work on these inputs: ${reasonOf(error)}.`,
    });
  });
  running.delete(under);
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, fromRuntime(value)]));
}

function toRuntime(name: string, value: Value): RuntimeTensor {
  if ('kind' in value) {
    throw new Refusal({ code: 'INVALID_INPUT', message: `The input '${name}' has to be a tensor.` });
  }
  const data = value.type === 'float16' ? new Float16Array(value.data as Float32Array) : value.data;
  return new runtime.Tensor(value.type, data, value.dims);
}

function fromRuntime({ type, data, dims }: RuntimeTensor): Value {
  const wide = type === 'float16' ? Float32Array.from(halvesOf(data)) : (data as TensorData);
  return { type: type as TensorType, dims: [...dims], data: wide };
}

/** Older versions give 16-bit floats as their bits. */
function halvesOf(data: unknown): Float16Array {
  if (data instanceof Float16Array) return data;
  const bits = data as Uint16Array;
  return new Float16Array(bits.buffer as ArrayBuffer, bits.byteOffset, bits.length);
}

async function perform(message: ToThread): Promise<unknown> {
  if (message.kind === 'load') return load(message.session, message.bytes);
  if (message.kind === 'run') return run(message.session, message.inputs);
  const found = sessions.get(message.session);
  sessions.delete(message.session);
  await Promise.allSettled(found?.running ?? []);
  return found?.session.release();
}

parentPort?.on('message', async (message: ToThread) => {
  const { call } = message;
  let reply: FromThread;
  try {
    reply = { call, ok: true, result: await perform(message) };
  } catch (error) {
    const failure = error instanceof Refusal ? error.failure : undefined;
    reply = { call, ok: false, failure: failure ?? { code: 'MODEL_UNSUPPORTED', message: reasonOf(error) } };
  }
  parentPort?.postMessage(reply);
});
