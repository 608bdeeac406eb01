import {
  type BlobStore,
  type Clock,
  type Facts,
  isMillraceError,
  type Json,
  MillraceError,
  type ModelServing,
  type Service,
  type StateStore,
  signal,
  type Workers,
} from '../kernel/index.ts';
import type { Values } from './inference.port.ts';
import { checkPreprocessing, createPreprocessors } from './inputs/preprocessors.ts';
import { isVersionId, type ModelRecord, type VersionRecord } from './registry/records.ts';
import { createRegistry, PRODUCTION, type Registry, type VersionDraft } from './registry/registry.ts';
import { decodeRows, type Prediction } from './rows/decode.ts';
import { planRows } from './rows/shape.ts';
import { createResidents } from './serving/residents.ts';
import { checkTensors, encodeRows, withCache } from './serving/rows-in.ts';
import { type Served, serve } from './serving/served.ts';
import { type Engines, openModel, type Tier } from './serving/tiers.ts';
import { isTensorSpec, type ValueSpec } from './tensor.ts';
import { checkReference } from './watch/reference.ts';

/** Picks the version for a request; undefined leaves it to the next router, at last to the alias `production`. */
export type Router = (model: ModelRecord, key: string | undefined) => Route | undefined;

export interface Route {
  readonly version: string;
  /** Versions that see the same rows besides; what they answer is observed and not returned. */
  readonly shadows?: readonly string[];
}

/** One call of a version, as it is told to observers. */
export interface Observation {
  readonly model: string;
  readonly version: string;
  /** How many rows; the inputs hold one after the other. */
  readonly rows: number;
  readonly inputs: Values;
  /** Undefined when it failed. */
  readonly outputs: Values | undefined;
  /** Names of the columns, where the model takes one matrix. */
  readonly features: readonly string[] | undefined;
  readonly latencyMs: number;
  readonly key: string | undefined;
  /** One a row, to join labels by. */
  readonly keys: readonly string[] | undefined;
  readonly shadow: boolean;
  /** The same for a call and for its shadows; 0 where there are none. */
  readonly call: number;
  /** Code of the error it failed with. */
  readonly error: string | undefined;
}

/** Must be quick, and must not throw. */
export type Observer = (observation: Observation) => void;

/** What says why a version answers as it does; one entry a row: contribution by feature. */
export type Explainer = (
  version: VersionRecord,
  bytes: () => Promise<Uint8Array>,
  inputs: Values,
  features: readonly string[] | undefined,
) => Promise<readonly Json[]>;

export interface PredictOptions {
  /** A version, its number or an alias; left out: the routers choose. */
  readonly version?: string;
  /** The same key gets the same version, as long as the weights stand. */
  readonly key?: string;
  readonly keys?: readonly string[];
  readonly explain?: boolean;
  /** For calls that are no traffic, such as those of a gate: nobody is told of them. */
  readonly unobserved?: boolean;
  /** Where the rows stand in what the caller sent, for the paths of problems. */
  readonly path?: string;
}

/** What a call knows besides: which of its shadows' answers belong to it. */
interface CallOptions extends PredictOptions {
  readonly call?: number | undefined;
}

export interface Answer {
  readonly model: string;
  readonly version: string;
  readonly predictions: readonly Prediction[];
  readonly explanations?: readonly Json[];
}

export interface InferOptions {
  readonly version?: string;
  readonly key?: string;
}

export interface Inferred {
  readonly version: VersionRecord;
  readonly outputs: Values;
}

/** What a version is at the moment. */
export interface ServingStatus {
  readonly loaded: boolean;
  readonly tier: Tier | null;
  readonly memoryBytes: number | null;
}

export interface Models extends Service {
  readonly registry: Registry;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Looks at the file, then registers it. The first version of a model gets the alias `production`. */
  register(name: string, draft: VersionDraft): Promise<VersionRecord>;
  /** Rows as JSON has them. Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND, INVALID_INPUT with paths, TOO_MANY_REQUESTS. */
  predict(name: string, rows: readonly unknown[], options?: PredictOptions): Promise<Answer>;
  /** Tensors as the model takes them. */
  infer(name: string, inputs: (version: VersionRecord) => Values, options?: InferOptions): Promise<Inferred>;
  /** Throws MODEL_INCOMPATIBLE when users of the alias would notice the version. */
  checkAlias(name: string, alias: string, version: string): Promise<void>;
  /** Loads the version when it is not. */
  load(name: string, reference?: string): Promise<ServingStatus & { readonly version: VersionRecord }>;
  unload(name: string, reference?: string): Promise<void>;
  /** Throws CONFLICT while an alias names it. */
  remove(name: string, reference: string, by: string): Promise<void>;
  status(version: VersionRecord): ServingStatus;
  /** The router asked first is the one added last. Both answer how to take it out again. */
  route(router: Router): () => void;
  observe(observer: Observer): () => void;
  explainBy(explainer: Explainer): void;
  readonly loaded: { readonly models: number; readonly bytes: number };
}

export interface ModelsOptions {
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly facts: Facts;
  readonly clock: Clock;
  readonly engines: Engines;
  /** Decode pictures. */
  readonly workers: Workers;
  /** What loaded models may take, by estimate. */
  readonly memoryBytes: number;
  /** Rows that may wait for one version. */
  readonly queue: number;
}

export const DEFAULT_SERVING: ModelServing = {
  missing: false,
  batch: { size: 256, waitMs: 0 },
  cache: null,
};

/** Rows of one request. */
const MOST_ROWS = 100_000;

export function createModels(options: ModelsOptions): Models {
  const { clock, engines } = options;
  const registry = createRegistry(options);
  let calls = 0;
  const routers: Router[] = [];
  const observers: Observer[] = [];
  let explainer: Explainer | undefined;

  const residents = createResidents({
    budgetBytes: options.memoryBytes,
    clock,
    record: (name, version) => registry.version(name, version),
    load: async (record, idle) => {
      const opened = await openModel(await registry.bytes(record), engines, clock, record.measured);
      return serve(record, opened, {
        ...options,
        idle,
        preprocessors: createPreprocessors(record.serving, options.workers),
      });
    },
  });

  const choose = (name: string, key: string | undefined): Route => {
    const record = registry.require(name);
    for (let at = routers.length - 1; at >= 0; at--) {
      const route = routers[at]!(record, key);
      if (route) return route;
    }
    const version = record.aliases[PRODUCTION];
    if (version !== undefined) return { version };
    const message = `No version of '${name}' is in production. Point the alias at one: PUT /models/${name}/aliases/production {"version":"1"}.`;
    throw new MillraceError('VERSION_NOT_FOUND', message);
  };

  const routeOf = async (
    name: string,
    version: string | undefined,
    key: string | undefined,
  ): Promise<Route> => {
    if (version === undefined) return choose(name, key);
    if (isVersionId(version)) return { version };
    return { version: (await registry.version(name, version)).version };
  };

  /**
   * What was unloaded between being asked for and being run is loaded again: a request does not fail for that. What ran it
   * may also have ended, with the model in it: then the next request loads it anew.
   */
  const run = async (served: Served, inputs: Values, rows: number): Promise<Values> => {
    const { model, version } = served.record;
    if (served.closed) return (await residents.get(model, version)).run(inputs, rows);
    try {
      return await served.run(inputs, rows);
    } catch (error) {
      const isCurrent = residents.peek(model, version) === served;
      if (isMillraceError(error, 'UNAVAILABLE') && isCurrent) await residents.evict(model, version);
      throw error;
    }
  };

  const observed = async (
    served: Served,
    inputs: Values,
    rows: number,
    { key, keys, unobserved, call = 0 }: CallOptions,
    shadow = false,
  ): Promise<Values> => {
    if (observers.length === 0 || unobserved) return run(served, inputs, rows);
    const sinceMs = clock.monotonic();
    const tell = (outputs: Values | undefined, error: string | undefined): void => {
      const observation: Observation = {
        model: served.record.model,
        version: served.record.version,
        rows,
        inputs,
        outputs,
        features: served.rows?.plan.features,
        latencyMs: clock.monotonic() - sinceMs,
        key,
        keys,
        shadow,
        call,
        error,
      };
      for (const observer of observers) observer(observation);
    };
    try {
      const outputs = await run(served, inputs, rows);
      tell(outputs, undefined);
      return outputs;
    } catch (error) {
      tell(undefined, isMillraceError(error) ? error.code : 'INTERNAL');
      throw error;
    }
  };

  /** Shadows get the rows as the caller sent them, because another version may encode them otherwise. */
  const shadow = (
    name: string,
    route: Route,
    rows: readonly unknown[],
    { key, keys, call }: CallOptions,
  ): void => {
    for (const version of route.shadows ?? []) {
      const run = async (): Promise<void> => {
        const served = await residents.get(name, version);
        const encoded = await encodeRows(served, rows, '');
        await observed(served, encoded, rows.length, { key, keys, call }, true);
      };
      run().catch((error: unknown) => {
        if (isMillraceError(error, 'TOO_MANY_REQUESTS') || isMillraceError(error, 'INVALID_INPUT')) return;
        const message = `The shadow version ${version} of '${name}' could not answer.`;
        signal('platform.log', { level: 'warn', room: 'models', message, error });
      });
    }
  };

  const answerRows = async (
    served: Served,
    rows: readonly unknown[],
    options: CallOptions,
  ): Promise<Answer> => {
    const { path = '' } = options;
    const { model, version } = served.record;
    if (rows.length > 1 && served.rows && !served.rows.plan.batched) return oneByOne(served, rows, options);
    const inputs = encodeRows(served, rows, path);
    const ready = inputs instanceof Promise ? await inputs : inputs;
    const outputs = await observed(served, ready, rows.length, options);
    const predictions = decodeRows(outputs, rows.length);
    if (options.explain !== true) return { model, version, predictions };
    const explanations = await explain(served, ready);
    return { model, version, predictions, explanations };
  };

  /** A model without a first size that counts rows takes one after the other. */
  const oneByOne = async (
    served: Served,
    rows: readonly unknown[],
    { keys, ...options }: CallOptions,
  ): Promise<Answer> => {
    const answers: Answer[] = [];
    for (const [at, row] of rows.entries()) {
      const own = keys === undefined ? options : { ...options, keys: [keys[at]!] };
      answers.push(await answerRows(served, [row], own));
    }
    const { model, version } = served.record;
    const predictions = answers.flatMap((answer) => answer.predictions);
    if (options.explain !== true) return { model, version, predictions };
    return {
      model,
      version,
      predictions,
      explanations: answers.flatMap((answer) => answer.explanations ?? []),
    };
  };

  const explain = (served: Served, inputs: Values): Promise<readonly Json[]> => {
    if (!explainer) throw new MillraceError('MODEL_UNSUPPORTED', 'This platform explains no predictions.');
    const { record } = served;
    return explainer(record, () => registry.bytes(record), inputs, served.rows?.plan.features);
  };

  return {
    name: 'models',
    registry,
    start: () => registry.start(),
    stop: () => residents.close(),
    async register(name, draft) {
      await checkPreprocessing(draft.serving, options.workers);
      const opened = await openModel(draft.bytes, engines, clock);
      const { inputs, outputs, metadata } = opened.model;
      await opened.model.close();
      const isFirst = (registry.find(name)?.latest ?? 0) === 0;
      const features = featuresOf(inputs, metadata, draft.serving);
      const serving = features === undefined ? draft.serving : { ...draft.serving, features };
      const facts = { ...referenceIn(metadata), ...draft.facts };
      const signature = { inputs, outputs, measured: opened.measured };
      const version = await registry.register(name, { ...draft, serving, facts }, signature);
      if (isFirst) await registry.setAlias(name, PRODUCTION, { version: version.version, by: draft.by });
      return version;
    },
    async predict(name, rows, options = {}) {
      checkRowCount(rows.length);
      const route =
        options.version === undefined
          ? choose(name, options.key)
          : await routeOf(name, options.version, options.key);
      const found = residents.get(name, route.version);
      const served = found instanceof Promise ? await found : found;
      const given: CallOptions = route.shadows ? { ...options, call: ++calls } : options;
      if (route.shadows) shadow(name, route, rows, given);
      if (!served.cache || options.explain === true) return answerRows(served, rows, given);
      const { model, version } = served.record;
      return withCache(
        served.cache,
        rows,
        (rest) => answerRows(served, rest, given),
        (predictions) => ({ model, version, predictions }),
      );
    },
    async infer(name, give, { version, key } = {}) {
      const route = await routeOf(name, version, key);
      const served = await residents.get(name, route.version);
      const inputs = give(served.record);
      const rows = checkTensors(served, inputs);
      const outputs = await observed(served, inputs, rows, key === undefined ? {} : { key });
      return { version: served.record, outputs };
    },
    checkAlias: (name, alias, version) => registry.checkAlias(name, alias, version),
    async load(name, reference) {
      const { version: id } = await registry.version(name, reference);
      const served = await residents.get(name, id);
      return { version: served.record, ...statusOf(served) };
    },
    async remove(name, reference, by) {
      const { version } = await registry.version(name, reference);
      await registry.remove(name, version, by);
      await residents.evict(name, version);
    },
    async unload(name, reference) {
      const { version: id } = await registry.version(name, reference);
      await residents.evict(name, id);
    },
    status: ({ model, version }) => statusOf(residents.peek(model, version)),
    route: (router) => added(routers, router),
    observe: (observer) => added(observers, observer),
    explainBy(given) {
      explainer = given;
    },
    get loaded() {
      return { models: residents.count, bytes: residents.bytes };
    },
  };
}

function added<Item>(list: Item[], item: Item): () => void {
  list.push(item);
  return () => {
    const at = list.indexOf(item);
    if (at >= 0) list.splice(at, 1);
  };
}

function statusOf(served: Served | undefined): ServingStatus {
  if (!served) return { loaded: false, tier: null, memoryBytes: null };
  return { loaded: true, tier: served.tier, memoryBytes: served.model.memoryBytes };
}

/** Names of the columns as they will be served, kept with the version. Throws what is wrong with the declaration. */
function featuresOf(
  inputs: readonly ValueSpec[],
  metadata: { readonly [key: string]: string },
  serving: ModelServing,
): readonly string[] | undefined {
  if (inputs.some((spec) => !isTensorSpec(spec))) return undefined;
  return planRows(inputs, metadata, serving).features;
}

/** What the file itself says its data looked like in training. Throws INVALID_INPUT when that cannot be used. */
function referenceIn(metadata: { readonly [key: string]: string }): { readonly reference?: Json } {
  const text = metadata['millrace.reference'];
  if (text === undefined) return {};
  let reference: unknown;
  try {
    reference = JSON.parse(text);
  } catch {
    reference = undefined;
  }
  return { reference: checkReference(reference) as unknown as Json };
}

/** Throws PAYLOAD_TOO_LARGE for more rows than a request may bring. */
export function checkRowCount(rows: number): void {
  if (rows <= MOST_ROWS) return;
  const message = `${rows} rows are more than one request may bring (${MOST_ROWS}). Send several requests.`;
  throw new MillraceError('PAYLOAD_TOO_LARGE', message);
}
