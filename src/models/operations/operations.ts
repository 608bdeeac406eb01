import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BlobStore,
  type Clock,
  DEFAULT_OPERATIONS,
  type Facts,
  type Ids,
  MillraceError,
  type ModelManifest,
  type ModelOperations,
  type ModelTruth,
  type Random,
  type Service,
  type StateStore,
  sha256,
  siblingModule,
  signal,
  type Workers,
} from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import { createLabels, type Labels } from '../labels/labels.ts';
import type { VersionRecord } from '../registry/records.ts';
import { PRODUCTION } from '../registry/registry.ts';
import { unfit } from '../releases/live-labels.ts';
import type { ReleaseRecord } from '../releases/record.ts';
import { createReleases, type Releases } from '../releases/releases.ts';
import { judgeSchema } from '../releases/schema-gate.ts';
import type { ReleaseSettings } from '../releases/settings.ts';
import type { JudgeHeldBackInput } from '../releases/tasks.ts';
import type { GateResult } from '../releases/verdict.ts';
import { createRetraining, type Retraining } from '../retraining/retraining.ts';
import { checkTriggers } from '../retraining/triggers.ts';
import type { Models, Observation } from '../service.ts';
import { createMonitor } from '../watch/monitor.ts';
import { createWatcher, driftOptions, type Watcher } from '../watch/watcher.ts';
import { countAlike, countUnfinished, createPairs } from './compare.ts';
import { answerHeldBack } from './held-back.ts';
import { createOperationsStore } from './store.ts';
import type { Prepared, PrepareInput } from './tasks.ts';

/** Models in operation: watched, released step by step, and retrained. */
export interface Operations extends Service {
  readonly watcher: Watcher;
  readonly labels: Labels;
  readonly releases: Releases;
  readonly retraining: Retraining;
  start(): Promise<void>;
  stop(): Promise<void>;
  of(model: string): ModelOperations;
  /** Throws MODEL_NOT_FOUND. */
  set(model: string, operations: ModelOperations): Promise<void>;
  /** What an app says about its model; `folder` holds the files that it names. */
  adopt(manifest: ModelManifest, folder: string): Promise<void>;
  /**
   * A deployment brings a version. With gates, and another version in production, it is released step by step, and true is
   * answered; a release that is under way gives way to it.
   */
  takesOver(model: string, version: string, by: string): Promise<boolean>;
  /** The rows that versions are judged on. Throws INVALID_INPUT. */
  setHeldBack(model: string, bytes: Uint8Array): Promise<{ readonly rows: number }>;
  /**
   * Begins to release a version by what the model's gates say. Throws MODEL_NOT_FOUND, VERSION_NOT_FOUND, CONFLICT while another
   * release is under way. `heldBack` names other rows than the model's own (a key of the blob store).
   */
  release(
    model: string,
    version: string,
    by: string,
    more?: { readonly id?: string; readonly heldBack?: string },
  ): Promise<ReleaseRecord>;
  /** Resolves when nothing is being counted, judged or decided at the moment. */
  settled(): Promise<void>;
}

export interface OperationsOptions {
  readonly models: Models;
  readonly streams: Streams;
  readonly workers: Workers;
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly facts: Facts;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
}

const OPERATION_TASKS = siblingModule(import.meta.url, './tasks');
const RELEASE_TASKS = siblingModule(import.meta.url, '../releases/tasks');
/** Rows of a window of drift while a release is judged. */
const RELEASE_WINDOW = { rows: 500, everyMs: null, leastRows: 500 };
/** The bootstrap draws the same rows for the same version, whenever it is judged. */
const seedOf = (version: string): number => Number.parseInt(version.slice(0, 8), 16) || 1;

export function createOperations(options: OperationsOptions): Operations {
  const { models, state, blobs, workers, clock } = options;
  const { registry } = models;
  const store = createOperationsStore(state);
  const version = (model: string, reference: string): Promise<VersionRecord> =>
    registry.version(model, reference);
  const watcher = createWatcher({ ...options, version, operations: store.of });
  const pairs = createPairs<Observation>();
  const stops: (() => void)[] = [];

  const production = (model: string): string | undefined => registry.find(model)?.aliases[PRODUCTION];

  const heldBackOf = async (model: string, key: string | undefined): Promise<Uint8Array | undefined> => {
    const found = key ?? heldBackKey(model);
    return (await blobs.info(found)) ? blobs.get(found) : undefined;
  };

  const judge = async (record: ReleaseRecord): Promise<readonly GateResult[]> => {
    const { model, to, from, settings } = record;
    const next = await version(model, to);
    const current = from === null ? null : await version(model, from);
    const schema = judgeSchema(current, next);
    const { gates } = store.of(model);
    if (schema.verdict === 'fail' || !gates) return [schema];
    const bytes = await heldBackOf(model, settings.heldBack);
    if (!bytes) return [schema, ...withoutRows(gates.metrics.length > 0 || gates.fairness !== null)];
    const heldBack = await answerHeldBack(models, record, gates, bytes, options);
    const input: JudgeHeldBackInput = { heldBack, settings, seed: seedOf(to) };
    return [schema, ...(await workers.run<GateResult[]>({ module: RELEASE_TASKS, task: 'judge' }, input))];
  };

  const releases = createReleases({
    ...options,
    judge,
    models: {
      version,
      production,
      setProduction: async (model, to, by, reason) => {
        await registry.setAlias(model, PRODUCTION, { version: to, by, reason, breaking: true });
      },
    },
    monitor: async (record, falseAlarms, drifted) => {
      const reference = await watcher.referenceOf(record);
      if (!reference) return undefined;
      return createMonitor({
        workers,
        reference,
        features: record.serving.features,
        options: { ...driftOptions(store.of(record.model).watch), windows: RELEASE_WINDOW, falseAlarms },
        judged: async ({ inputs, outputs }) => {
          drifted(
            [...inputs, ...outputs].filter(({ reasons }) => reasons.length > 0).map(({ name }) => name),
          );
        },
        learned: async () => {},
        failed: (error) => notWatched(record.model, error),
      });
    },
  });

  const labels = createLabels({ ...options, operations: store, version, labelled: releases.labelled });

  const truthOf = (model: string): ModelTruth => {
    const { gates, watch } = store.of(model);
    return gates ?? watch.labels ?? { output: null, threshold: 0.5 };
  };

  /** What a release under way wants to know of a call. */
  const tellRelease = (call: Observation): void => {
    const { model, rows, outputs, latencyMs, shadow } = call;
    const run = releases.watching(model, call.version);
    if (!run) return;
    const failedRows = outputs ? countUnfinished(outputs, rows) : rows;
    releases.observe({ model, version: call.version, rows, failedRows, latencyMs, shadow });
    const { to, stage } = run.record;
    const isCandidate = call.version === to;
    if (!outputs) return;
    if (isCandidate) run.monitor?.observe(call.inputs, outputs, rows, clock.now());
    if (stage !== 'shadow' || call.call === 0) return;
    const other = pairs.meet(call.call, isCandidate ? 'candidate' : 'current', call);
    if (other?.outputs && other.rows === rows) {
      run.compared(rows, countAlike(outputs, other.outputs, rows, truthOf(model)));
    }
  };

  const observe = (call: Observation): void => {
    const { outputs, shadow } = call;
    if (outputs && !shadow) watcher.observe({ ...call, outputs });
    if (outputs && !shadow && call.keys) labels.observe({ ...call, outputs, keys: call.keys });
    if (releases.active(call.model)) tellRelease(call);
  };

  const release: Operations['release'] = async (model, reference, by, { id, heldBack } = {}) => {
    registry.require(model);
    const settings = settingsOf(store.of(model), heldBack);
    const next = await version(model, reference);
    checkFits(settings, next);
    return releases.begin({ model, version: reference, by, settings, ...(id === undefined ? {} : { id }) });
  };

  const retraining = createRetraining({
    ...options,
    operations: store,
    release,
    labelDelay: labels.delayOf,
    releaseOf: (model, id) => releases.get(model, id),
  });

  return {
    name: 'models operations',
    retraining,
    release,
    async takesOver(model, next, by) {
      const serving = production(model);
      if (!store.of(model).gates || serving === undefined || serving === next) return false;
      const active = releases.active(model);
      if (active?.to === next) return true;
      if (active) await releases.abort(model, active.id, by);
      await release(model, next, by);
      return true;
    },
    watcher,
    labels,
    releases,
    of: store.of,
    async start() {
      await store.load();
      stops.push(models.observe(observe));
      stops.push(models.route(({ name, aliases }, key) => releases.route(name, aliases[PRODUCTION], key)));
      await watcher.start();
      await labels.start();
      await releases.start();
      await retraining.start();
    },
    async stop() {
      for (const stop of stops) stop();
      await retraining.stop();
      await releases.stop();
      await labels.stop();
      await watcher.stop();
    },
    async set(model, operations) {
      registry.require(model);
      checkTriggers(operations.retrain);
      await store.set(model, operations);
    },
    async adopt({ name, operations = DEFAULT_OPERATIONS }, folder) {
      const file = operations.gates?.heldBack;
      if (file != null) await blobs.put(heldBackKey(name), await readFile(join(folder, file)));
      await store.set(name, operations);
    },
    async setHeldBack(model, bytes) {
      registry.require(model);
      const input: PrepareInput = { bytes, label: null, by: null };
      const { rows } = await workers.run<Prepared>({ module: OPERATION_TASKS, task: 'prepare' }, input);
      await blobs.put(heldBackKey(model), bytes);
      return { rows };
    },
    async settled() {
      await watcher.settled();
      await labels.settled();
      await retraining.settled();
      await releases.settled();
    },
  };
}

const heldBackKey = (model: string): string => `models/held-back/${sha256(model).slice(0, 32)}`;

const NO_GATES: ReleaseSettings['gates'] = {
  metrics: [],
  latency: { p99Ms: null, slowerBy: 1.5 },
  fairness: null,
  leastRows: 200,
};

function settingsOf({ gates, release }: ModelOperations, heldBack: string | undefined): ReleaseSettings {
  const { metrics, latency, fairness, leastRows } = gates ?? NO_GATES;
  const settings = { ...release, gates: { metrics, latency, fairness, leastRows } };
  return heldBack === undefined ? settings : { ...settings, heldBack };
}

/** A gate whose metric is of something else than the version predicts would stop it at the end of a long day. Throws INVALID_INPUT. */
function checkFits(settings: ReleaseSettings, { model, version, metrics }: VersionRecord): void {
  const found = unfit(settings, metrics);
  if (!found) return;
  const { metric, predicts } = found;
  const fitting = predicts === 'values' ? 'mae, rmse or r2' : 'accuracy, auc, logLoss or another of classes';
  const message = `The version ${version} of '${model}' predicts ${predicts}, as its metrics tell, and ${metric} is of the other. Name ${fitting} in gates.metrics and release.live.labels.metrics.`;
  throw new MillraceError('INVALID_INPUT', message);
}

/** Gates that need rows cannot pass without them; where none does, the live stages judge alone. */
function withoutRows(needed: boolean): GateResult[] {
  if (!needed) return [];
  const reason =
    'There are no held-back rows. Name a file with gates.heldBack, or PUT rows to /models/{name}/held-back.';
  return [{ gate: 'held-back rows', verdict: 'not enough data', reason }];
}

/** Without windows the drift gate has too few data, and the release does not pass. */
function notWatched(model: string, error: unknown): void {
  const message = `The release of '${model}' could not be watched for drift.`;
  signal('platform.log', { level: 'warn', room: 'models', message, error });
}
