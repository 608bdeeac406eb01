import { memoryBlobStore, memoryLogStore, memoryStateStore } from '../../adapters/memory/index.ts';
import {
  type BlobStore,
  createIds,
  createWorkers,
  type Facts,
  type Json,
  type ManualClock,
  manualClock,
  type StateStore,
  seededRandom,
} from '../../kernel/index.ts';
import { createDecompress, createFacts, createStreams, type LogStore } from '../../streams/index.ts';
import { createModels, DEFAULT_SERVING, evaluatorEngine } from '../index.ts';
import { createOperations } from './operations.ts';

export interface Told {
  readonly stream: string;
  readonly key: string;
  readonly type: string;
  readonly [field: string]: Json;
}

export interface Surroundings {
  readonly clock?: ManualClock;
  readonly state?: StateStore;
  readonly blobs?: BlobStore;
  readonly log?: LogStore;
  readonly told?: Told[];
}

/** Models in operation, in memory: the real evaluator, gates, drift, streams and state, on a clock that the test moves. */
export async function operated({
  clock = manualClock(),
  state = memoryStateStore({ clock }),
  blobs = memoryBlobStore({ clock }),
  log = memoryLogStore({ clock, random: seededRandom(1) }),
  told = [],
}: Surroundings = {}) {
  const random = seededRandom(42);
  const workers = createWorkers({ size: 1, queue: 256, idleMs: 60_000, clock });
  const streams = createStreams({ log, state, clock, workers, decompress: createDecompress(workers) });
  const written = createFacts(streams, { clock });
  const facts: Facts = {
    async record(stream, key, fact) {
      await written.record(stream, key, fact);
      told.push({ ...fact, stream, key });
    },
  };
  const models = createModels({
    state,
    blobs,
    facts,
    clock,
    workers,
    engines: { caller: evaluatorEngine(), workers: undefined, native: undefined },
    memoryBytes: 64 * 1024 * 1024,
    queue: 100_000,
  });
  const operations = createOperations({
    models,
    streams,
    workers,
    state,
    blobs,
    facts,
    clock,
    random,
    ids: createIds(clock, random),
  });
  await streams.start!();
  await written.start!();
  await models.start();
  await operations.start();
  const register = async (name: string, bytes: Uint8Array): Promise<string> =>
    (await models.register(name, { bytes, serving: DEFAULT_SERVING, by: 'test' })).version;
  return {
    clock,
    state,
    blobs,
    log,
    streams,
    models,
    operations,
    told,
    register,
    /** Moves time in steps, and lets what each brings about come to its end. */
    async pass(
      forMs: number,
      traffic: () => Promise<unknown> = async () => {},
      stepMs = 10_000,
    ): Promise<void> {
      for (let passedMs = 0; passedMs < forMs; passedMs += stepMs) {
        await traffic();
        await operations.settled();
        clock.advance(stepMs);
        await operations.settled();
      }
    },
    async [Symbol.asyncDispose]() {
      await operations.stop();
      await models.stop();
      await workers.stop!(AbortSignal.timeout(1000));
    },
  };
}
