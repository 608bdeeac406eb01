import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Artifact,
  type BlobStore,
  createIds,
  type Deployable,
  type Facts,
  type FunctionManifest,
  type Json,
  type Manifest,
  type ManualClock,
  manifestVersion,
  type PlannedChange,
  type Reference,
  type StateStore,
  seededRandom,
  sha256,
} from '../kernel/index.ts';
import { createDelivery, type Delivery } from './index.ts';

const MB = 1024 ** 2;

export interface AppSketch {
  readonly streams?: readonly string[];
  readonly functions?: readonly string[];
  readonly references?: readonly Reference[];
  /** Text of every function's module; another text is another version. */
  readonly code?: string;
}

/** An artifact as build would make it. */
export function artifactOf(app: string, sketch: AppSketch): Artifact {
  const { streams = [], functions = [], references = [], code = 'export const handler = 1;' } = sketch;
  const bytes = Buffer.from(code);
  const files = functions.map((name) => ({
    path: `functions/${name}.js`,
    bytes: bytes.length,
    sha256: sha256(bytes),
  }));
  const content: Omit<Manifest, 'version' | 'format'> = {
    app,
    streams: streams.map((name) => ({
      name,
      partitions: 1,
      compatibility: 'backward',
      onInvalid: 'refuse',
      retentionMs: null,
      retentionBytes: null,
      cleanup: 'delete',
      maxRecordBytes: MB,
    })),
    functions: functions.map((name) => functionOf(name, sha256(`${name}${code}`).slice(0, 16))),
    states: [],
    references,
    files,
  };
  const manifest: Manifest = { format: 1, version: manifestVersion(content), ...content };
  return { manifest, files: new Map(files.map((file) => [file.path, bytes])) };
}

function functionOf(name: string, version: string): FunctionManifest {
  return {
    name,
    version,
    entry: `functions/${name}.js`,
    exportName: name,
    runtime: 'worker',
    triggers: [],
    from: 'end',
    batch: null,
    instances: { min: 0, max: 10 },
    perInstance: 80,
    timeoutMs: 30_000,
    memoryBytes: 128 * MB,
    cpu: 1,
    tmpBytes: 0,
    retry: { attempts: 5, backoffMs: 200 },
    env: {},
    secrets: [],
  };
}

/** An engine that serves the functions of what is active, and remembers what it was told to make ready. */
export interface RecordingEngine extends Deployable {
  /** Function → version. */
  readonly serving: Map<string, string>;
  /** What was prepared and neither activated nor abandoned. */
  readonly prepared: Set<string>;
  refuse: PlannedChange | undefined;
  failPrepare: Error | undefined;
  failActivate: Error | undefined;
}

export function recordingEngine(): RecordingEngine {
  const engine: RecordingEngine = {
    kind: 'functions',
    serving: new Map(),
    prepared: new Set(),
    refuse: undefined,
    failPrepare: undefined,
    failActivate: undefined,
    async plan(current, next) {
      if (engine.refuse) return [engine.refuse];
      const before = new Map(current?.manifest.functions.map((each) => [each.name, each.version]));
      const after = new Map(next?.manifest.functions.map((each) => [each.name, each.version]));
      return [...new Set([...before.keys(), ...after.keys()])].map((name): PlannedChange => {
        const [from, to] = [before.get(name), after.get(name)];
        const action =
          to === undefined ? 'remove' : from === undefined ? 'create' : from === to ? 'keep' : 'update';
        return { resource: `function/${name}`, action, details: from === to ? [] : [`code ${from} → ${to}`] };
      });
    },
    async prepare(_current, next) {
      if (engine.failPrepare) throw engine.failPrepare;
      if (next) engine.prepared.add(next.version);
    },
    async activate(current, next) {
      if (engine.failActivate) throw engine.failActivate;
      for (const { name } of current?.manifest.functions ?? []) engine.serving.delete(name);
      for (const { name, version } of next?.manifest.functions ?? []) engine.serving.set(name, version);
      if (next) engine.prepared.delete(next.version);
    },
    async abandon(_current, next) {
      if (next) engine.prepared.delete(next.version);
    },
  };
  return engine;
}

/** Stores that outlive a platform, and platforms on them. */
export interface World extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly facts: { readonly [field: string]: Json }[];
  /** A delivery on the same stores, as after a restart. With `dieAt`, every operation from that number on never ends. */
  open(dieAt?: number): {
    readonly delivery: Delivery;
    readonly engine: RecordingEngine;
    readonly died: Promise<void>;
  };
}

/** Counts calls of all methods of `target`; from the given one on they neither take effect nor return. */
function mortal<Target extends object>(target: Target, step: () => boolean): Target {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) =>
        step()
          ? (value as (...args: unknown[]) => unknown).apply(object, args)
          : new Promise(() => undefined);
    },
  });
}

export async function createWorld(stores: {
  clock: ManualClock;
  state: StateStore;
  blobs: BlobStore;
}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-delivery-'));
  const { clock } = stores;
  const ids = createIds(clock, seededRandom(1));
  const written: { readonly [field: string]: Json }[] = [];
  const facts: Facts = { record: async (_stream, _key, fact) => void written.push(fact) };
  return {
    clock,
    facts: written,
    open(dieAt = Number.POSITIVE_INFINITY) {
      const { promise: died, resolve } = Promise.withResolvers<void>();
      let steps = 0;
      const step = (): boolean => {
        if (++steps < dieAt) return true;
        resolve();
        return false;
      };
      const engine = recordingEngine();
      const delivery = createDelivery({
        state: mortal(stores.state, step),
        blobs: mortal(stores.blobs, step),
        facts: mortal(facts, step),
        engines: [mortal(engine, step)],
        clock,
        ids,
        cacheFolder: join(folder, 'cache'),
      });
      return { delivery, engine, died };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
