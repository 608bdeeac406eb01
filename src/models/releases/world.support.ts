import { memoryStateStore } from '../../adapters/memory/index.ts';
import {
  createIds,
  createWorkers,
  type Json,
  manualClock,
  type Random,
  type StateStore,
  seededRandom,
} from '../../kernel/index.ts';
import type { VersionRecord } from '../registry/records.ts';
import { createMonitor, DEFAULT_DRIFT } from '../watch/monitor.ts';
import { buildReference, type Reference } from '../watch/reference.ts';
import { type Answers, type HeldBack, judgeHeldBack } from './held-back.ts';
import { createReleases, type Releases } from './releases.ts';
import { judgeSchema } from './schema-gate.ts';
import { DEFAULT_RELEASE, type ReleaseSettings } from './settings.ts';

/** What is wrong with a version, or nothing. */
export type Fault = 'none' | 'schema' | 'worse' | 'slow' | 'unfair' | 'drifting' | 'failing';

export const FAULTS: readonly Fault[] = ['schema', 'worse', 'slow', 'unfair', 'drifting', 'failing'];

/** Gates that a careful owner of a model would set. */
export const CAREFUL: ReleaseSettings = {
  ...DEFAULT_RELEASE,
  gates: {
    metrics: [{ metric: 'accuracy', limit: 0.85, margin: 0.02, relative: true }],
    latency: { p99Ms: null, slowerBy: 1.5 },
    fairness: { by: 'region', of: 'selection', gap: 0.1, margin: 0.05 },
    leastRows: 200,
  },
};

const HELD_BACK_ROWS = 6000;

interface Row {
  readonly features: readonly [number, number];
  readonly region: string;
  readonly label: number;
}

function drawRow(random: Random): Row {
  const features = [random.float(), random.float()] as const;
  const likely = features[0] + features[1] > 1 ? 0.9 : 0.1;
  return {
    features,
    region: random.float() < 0.4 ? 'north' : 'south',
    label: random.float() < likely ? 1 : 0,
  };
}

/** Right as often as the rows allow, but for 3 % of whims of its own; a worse one errs on 7 % more. */
function decide(row: Row, fault: Fault, random: Random): number {
  const best = row.features[0] + row.features[1] > 1 ? 1 : 0;
  const whims = fault === 'worse' ? 0.03 + 0.0625 : 0.03;
  if (random.float() < whims) return 1 - best;
  return fault === 'unfair' && row.region === 'north' && random.float() < 0.5 ? 1 : best;
}

/** Log-normal, with a pause now and then. */
function latency(fault: Fault, random: Random): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());
  const pause = random.float() < 0.01 ? 5 : 1;
  return 0.2 * Math.exp(0.4 * normal) * pause * (fault === 'slow' ? 2 : 1);
}

function answersOf(rows: readonly Row[], fault: Fault, random: Random): Answers {
  const decisions = Float64Array.from(rows, (row) => decide(row, fault, random));
  const scores = decisions.map((decision) => (decision === 1 ? 0.9 : 0.1));
  return { decisions, scores, latenciesMs: Float64Array.from({ length: 400 }, () => latency(fault, random)) };
}

function heldBack(fault: Fault, random: Random): HeldBack {
  const rows = Array.from({ length: HELD_BACK_ROWS }, () => drawRow(random));
  return {
    labels: Float64Array.from(rows, ({ label }) => label),
    kind: 'classes',
    groups: rows.map(({ region }) => region),
    candidate: answersOf(rows, fault, random),
    current: answersOf(rows, 'none', random),
  };
}

/** What the version was trained on: the same world, or another. */
function referenceFor(fault: Fault, random: Random): Reference {
  const rows = Array.from({ length: 5000 }, () => drawRow(random));
  const shift = fault === 'drifting' ? 0.3 : 0;
  const columns = ['age', 'income'].map((name, at) => ({
    name,
    values: rows.map(({ features }) => features[at]! * (1 - shift)),
  }));
  const values = rows.map((row) => decide(row, 'none', random));
  return buildReference(columns, [{ name: 'decision', values }]);
}

export function versionRecord(version: string, fault: Fault = 'none'): VersionRecord {
  const type = fault === 'schema' ? 'string' : 'int64';
  return {
    model: 'credit',
    version,
    number: 1,
    sha256: version,
    bytes: 1,
    createdMs: 0,
    by: 'test',
    serving: { missing: false, batch: { size: 1, waitMs: 0 }, cache: null, features: ['age', 'income'] },
    inputs: [{ name: 'x', type: 'float32', dims: [null, 2] }],
    outputs: [{ name: 'decision', type, dims: [null] }],
    metrics: {},
    tags: {},
    lineage: {},
    card: '',
    facts: {},
  };
}

export interface Told {
  readonly type: string;
  readonly [field: string]: Json;
}

/**
 * A model with users, a good version in production and one to be released, whose faults are known: real gates, real drift, real
 * state; predictions, their truth and their latency are drawn.
 */
export function createWorld(fault: Fault, seed: number, settings: ReleaseSettings = CAREFUL) {
  const clock = manualClock();
  const random = seededRandom(seed);
  const workers = createWorkers({ size: 1, queue: 64, idleMs: 60_000, clock });
  const told: Told[] = [];
  const aliases = new Map([['credit', 'good']]);
  const reference = referenceFor(fault, random);
  let state: StateStore = memoryStateStore({ clock });

  const make = (): Releases =>
    createReleases({
      state,
      clock,
      random,
      ids: createIds(clock, random),
      facts: { record: async (_stream, _key, fact) => void told.push(fact) },
      models: {
        version: async (_model, reference) => versionRecord(reference, reference === 'new' ? fault : 'none'),
        production: (model) => aliases.get(model),
        setProduction: async (model, version) => void aliases.set(model, version),
      },
      judge: async (record) => [
        judgeSchema(versionRecord('good'), versionRecord('new', fault)),
        ...judgeHeldBack(heldBack(fault, random), record.settings, seededRandom(seed)),
      ],
      monitor: async (_version, falseAlarms, drifted) =>
        createMonitor({
          workers,
          reference,
          features: ['age', 'income'],
          options: { ...DEFAULT_DRIFT, windows: { rows: 500, everyMs: null, leastRows: 500 }, falseAlarms },
          judged: async ({ inputs, outputs }) => {
            const columns = [...inputs, ...outputs].filter((each) => each.reasons.length > 0);
            drifted(columns.map(({ name }) => name));
          },
          learned: async () => {},
          failed: (error) => {
            throw error;
          },
        }),
    });

  let releases = make();
  const answered = { old: 0, new: 0 };

  /** One call of `version`, as the service would tell it. */
  const call = (version: string, rows: readonly Row[], shadow: boolean): void => {
    const ownFault = version === 'new' ? fault : 'none';
    const failed = ownFault === 'failing' && random.float() < 0.05;
    const failedRows = failed ? rows.length : 0;
    const latencyMs = latency(ownFault, random);
    releases.observe({ model: 'credit', version, rows: rows.length, failedRows, latencyMs, shadow });
    const watching = releases.watching('credit', version);
    if (version !== 'new' || !watching?.monitor) return;
    const data = Float32Array.from(rows.flatMap(({ features }) => features));
    const decisions = Float32Array.from(rows, (row) => decide(row, ownFault, random));
    watching.monitor.observe(
      { x: { type: 'float32', dims: [rows.length, 2], data } },
      { decision: { type: 'float32', dims: [rows.length], data: decisions } },
      rows.length,
      clock.now(),
    );
  };

  return {
    clock,
    told,
    answered,
    aliases,
    get releases() {
      return releases;
    },
    get state() {
      return state;
    },
    /** Begins again with what is stored, as after a crash. */
    restart(store: StateStore = state): Promise<void> {
      state = store;
      releases = make();
      return releases.start();
    },
    useStore(store: StateStore): void {
      state = store;
      releases = make();
    },
    begin: () => releases.begin({ model: 'credit', version: 'new', by: 'tester', settings }),
    /** Traffic for a while: `rows` in single calls every ten seconds. */
    async run(forMs: number, rowsPerLook = 200): Promise<void> {
      for (let passedMs = 0; passedMs < forMs; passedMs += settings.lookMs) {
        for (let sent = 0; sent < rowsPerLook; sent++) {
          const production = aliases.get('credit')!;
          const route = releases.route('credit', production, `user ${random.integer(10_000)}`);
          const row = [drawRow(random)];
          const version = route?.version ?? production;
          if (version === 'new') answered.new++;
          else answered.old++;
          call(version, row, false);
          for (const each of route?.shadows ?? []) call(each, row, true);
        }
        await releases.settled();
        clock.advance(settings.lookMs);
        await releases.settled();
      }
    },
    [Symbol.asyncDispose]: () => workers.stop!(AbortSignal.timeout(1000)),
  };
}
