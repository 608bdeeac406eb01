import { memoryBlobStore, memoryLogStore, memoryStateStore } from '../adapters/memory/index.ts';
import {
  type BlobStore,
  createWorkers,
  type ManualClock,
  manualClock,
  type StateStore,
  seededRandom,
} from '../kernel/index.ts';
import { createFacts, createStreams, type Streams } from '../streams/index.ts';
import { attribute, encodeModel, named, node, type OnnxNode } from './onnx/index.ts';
import { createModels, DEFAULT_SERVING, type Models } from './service.ts';
import { evaluatorEngine, evaluatorWorkersEngine } from './serving/evaluator-engine.ts';
import type { Engines } from './serving/tiers.ts';

export const serving = DEFAULT_SERVING;

/** An ONNX file with one matrix `x` of `weights.length` columns: `y = x · weights + bias`, one column. */
export function linearModel(
  weights: readonly number[],
  { bias = 0, features }: { readonly bias?: number; readonly features?: readonly string[] } = {},
): Uint8Array {
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    ...(features ? { metadata: [{ key: 'millrace.features', value: JSON.stringify(features) }] } : {}),
    graph: {
      nodes: [node('MatMul', ['x', 'w'], ['p']), node('Add', ['p', 'b'], ['y'])],
      initializers: [
        named('w', { type: 'float32', dims: [weights.length, 1], data: Float32Array.from(weights) }),
        named('b', { type: 'float32', dims: [1], data: Float32Array.of(bias) }),
      ],
      inputs: [{ name: 'x', type: { kind: 'tensor', type: 'float32', dims: ['n', weights.length] } }],
      outputs: [{ name: 'y', type: { kind: 'tensor', type: 'float32', dims: ['n', 1] } }],
    },
  });
}

type Dims = readonly (number | string)[];
type Declared = readonly [name: string, type: 'float32' | 'int64' | 'string' | 'float64', dims: Dims];

/** An ONNX file of these nodes, without weights. */
export function plainModel(
  nodes: readonly OnnxNode[],
  inputs: readonly Declared[],
  outputs: readonly Declared[],
): Uint8Array {
  const info = ([name, type, dims]: Declared) => ({ name, type: { kind: 'tensor' as const, type, dims } });
  return encodeModel({
    irVersion: 8,
    opsets: [{ version: 17 }],
    graph: { nodes, initializers: [], inputs: inputs.map(info), outputs: outputs.map(info) },
  });
}

/** `y = x`, whatever `x` is. */
export const identityModel = (type: Declared[1], dims: Dims): Uint8Array =>
  plainModel([node('Identity', ['x'], ['y'])], [['x', type, dims]], [['y', type, dims]]);

/** `y` is `x` as 64-bit integers. */
export const castModel = (width: number): Uint8Array =>
  plainModel(
    [node('Cast', ['x'], ['y'], [attribute.int('to', 7)])],
    [['x', 'float32', ['n', width]]],
    [['y', 'int64', ['n', width]]],
  );

export interface TestModels extends AsyncDisposable {
  readonly models: Models;
  readonly clock: ManualClock;
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly streams: Streams;
  /** The same stores under a new service, as after a restart. */
  reopen(): Promise<Models>;
}

/** The real service on stores in memory. */
export async function testModels(
  options: {
    readonly memoryBytes?: number;
    readonly engines?: Partial<Engines>;
    readonly queue?: number;
  } = {},
): Promise<TestModels> {
  const clock = manualClock();
  const state = memoryStateStore({ clock });
  const blobs = memoryBlobStore({ clock });
  const log = memoryLogStore({ clock, random: seededRandom(1) });
  const streams = createStreams({ log, state, clock });
  const facts = createFacts(streams, { clock });
  const workers = createWorkers({ size: 1, queue: 64, idleMs: 1000, clock });
  for (const service of [state, blobs, log, streams, facts]) await service.start?.();
  const open = async (): Promise<Models> => {
    const models = createModels({
      state,
      blobs,
      facts,
      clock,
      workers,
      engines: {
        caller: evaluatorEngine(),
        workers: evaluatorWorkersEngine(workers),
        native: undefined,
        ...options.engines,
      },
      memoryBytes: options.memoryBytes ?? 64 * 1024 * 1024,
      queue: options.queue ?? 10_000,
    });
    await models.start();
    return models;
  };
  return {
    models: await open(),
    clock,
    state,
    blobs,
    streams,
    reopen: open,
    [Symbol.asyncDispose]: () => workers.stop!(AbortSignal.timeout(1000)),
  };
}
