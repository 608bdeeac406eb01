import { type Clock, isMillraceError, MillraceError, signal, type Timer } from '../../kernel/index.ts';
import type { VersionRecord } from '../registry/records.ts';
import type { Monitor } from '../watch/monitor.ts';
import { addCall, emptyStage, judgeLive, type StageEvidence, stopShare } from './live.ts';
import type { Decision, ReleaseOutcome, ReleaseRecord, ReleaseStage, ReleaseStore } from './record.ts';
import type { StageSettings } from './settings.ts';
import { type GateResult, overall, type Verdict } from './verdict.ts';

/** A call of a version, as much of it as releases need. */
export interface ReleaseObservation {
  readonly model: string;
  readonly version: string;
  readonly rows: number;
  /** Rows without a finite answer; all of them when the call failed. */
  readonly failedRows: number;
  readonly latencyMs: number;
  readonly shadow: boolean;
}

/** What a release needs of the registry. */
export interface ReleaseModels {
  version(model: string, reference: string): Promise<VersionRecord>;
  /** What the alias `production` names. */
  production(model: string): string | undefined;
  setProduction(model: string, version: string, by: string, reason: string): Promise<void>;
}

export interface RunParts {
  readonly clock: Clock;
  readonly store: ReleaseStore;
  readonly models: ReleaseModels;
  /** The gates before any traffic: schema, held-back set. May take long. */
  readonly judge: (record: ReleaseRecord) => Promise<readonly GateResult[]>;
  /** Watches the inputs and outputs of the new version; undefined where it has no reference profile. */
  readonly monitor: (
    version: VersionRecord,
    falseAlarms: (window: number) => number,
    drifted: (columns: readonly string[]) => void,
  ) => Monitor | undefined;
  readonly tell: (record: ReleaseRecord, decision: Decision) => Promise<void>;
  readonly ended: () => void;
}

/** A release under way. Its steps run one after the other; each is written down before the next begins. */
export interface ReleaseRun {
  readonly record: ReleaseRecord;
  /** Watches drift of the new version while it is judged live. */
  readonly monitor: Monitor | undefined;
  start(resumed: boolean): void;
  observe(observation: ReleaseObservation): void;
  /** Rows that both versions answered, and how many alike. */
  compared(rows: number, alike: number): void;
  labelled(version: string, right: boolean): void;
  promote(by: string): Promise<ReleaseRecord>;
  abort(by: string): Promise<ReleaseRecord>;
  stop(): void;
  settled(): Promise<void>;
}

/** How a step changes the release. */
interface Step {
  readonly decision: Decision['decision'];
  readonly reason: string;
  readonly stage?: ReleaseStage;
  readonly outcome?: ReleaseOutcome;
  readonly verdict?: Verdict;
  readonly gates?: readonly GateResult[];
  readonly by?: string;
  readonly extended?: boolean;
}

const PLATFORM = 'millrace';
/** More data than at the last look by this factor make another look: looking again at the same says nothing new. */
const MORE = 1.1;
/** Decisions that a record keeps; extensions and resumptions beyond are still told. */
const MOST_DECISIONS = 100;

const LIVE: ReadonlySet<ReleaseStage> = new Set(['shadow', 'canary', 'watch']);

export function createReleaseRun(parts: RunParts, begun: ReleaseRecord): ReleaseRun {
  const { clock, store, models } = parts;
  let record = begun;
  let evidence: StageEvidence = emptyStage(begun.baseline ?? undefined);
  let looks = 0;
  let lookedAtRows = 0;
  let monitor: Monitor | undefined;
  let timer: Timer | undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let stopped = false;

  /** Steps of one release never overlap. */
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const done = tail.then(work);
    tail = done.catch(() => undefined);
    return done;
  };

  const tellAll = async (): Promise<void> => {
    const untold = record.decisions.filter(({ number }) => number > record.told);
    for (const decision of untold) await parts.tell(record, decision);
    if (untold.length === 0) return;
    record = { ...record, told: untold.at(-1)!.number };
    await store.put(record);
  };

  const step = async (next: Step): Promise<void> => {
    const now = clock.now();
    const stage = next.stage ?? record.stage;
    const decision: Decision = {
      number: record.decisions.at(-1)!.number + 1,
      timeMs: now,
      stage: record.stage,
      decision: next.decision,
      reason: next.reason,
      verdict: next.verdict ?? null,
      gates: next.gates ?? [],
      by: next.by ?? PLATFORM,
    };
    const moved = stage !== record.stage;
    const changed: ReleaseRecord = {
      ...record,
      stage,
      stageSinceMs: moved ? now : record.stageSinceMs,
      extended: moved ? false : (next.extended ?? record.extended),
      outcome: next.outcome ?? null,
      decisions: [...record.decisions, decision].slice(-MOST_DECISIONS),
      baseline: stage === 'promoting' && moved ? evidence.current : record.baseline,
    };
    await store.put(changed);
    record = changed;
    if (moved) enter(stage);
    await tellAll();
    if (stage === 'ended') finish();
  };

  const enter = (stage: ReleaseStage): void => {
    evidence = emptyStage(stage === 'watch' && record.baseline ? record.baseline : undefined);
    looks = 0;
    lookedAtRows = 0;
    monitor = undefined;
    if (LIVE.has(stage)) void inTurn(watchDrift).catch(failed);
  };

  const watchDrift = async (): Promise<void> => {
    const { stage, settings } = record;
    if (!settings.live.drift) return;
    const version = await models.version(record.model, record.to);
    monitor = parts.monitor(
      version,
      (window) => stopShare(settings.falseStops, window),
      (columns) => {
        if (record.stage !== stage) return;
        evidence.driftWindows++;
        for (const column of columns) if (!evidence.drifted.includes(column)) evidence.drifted.push(column);
      },
    );
    evidence.watched = monitor !== undefined;
  };

  const finish = (): void => {
    timer?.cancel();
    stopped = true;
    monitor = undefined;
    parts.ended();
  };

  const gates = async (): Promise<void> => {
    const results = await parts.judge(record).catch((error: unknown) => [cannotJudge(error)]);
    const verdict = overall(results);
    const reason = reasonOf(results, verdict);
    if (verdict !== 'pass') return step({ decision: 'stop', outcome: 'stopped', stage: 'ended', reason, verdict, gates: results });
    const stage = record.from === null ? 'promoting' : 'shadow';
    return step({ decision: stage === 'shadow' ? 'advance' : 'promote', stage, reason, verdict, gates: results });
  };

  const promoting = async (): Promise<void> => {
    const { model, to, id, decisions } = record;
    await models.setProduction(model, to, `release ${id}`, decisions.at(-1)!.reason);
    const stage = record.from === null ? 'ended' : 'watch';
    if (stage === 'ended') {
      return step({ decision: 'finish', stage, outcome: 'released', reason: 'It serves, as the first version.' });
    }
    return step({ decision: 'advance', stage, reason: 'It takes all traffic, and is watched.' });
  };

  const returning = async (): Promise<void> => {
    const { model, from, to, id, decisions } = record;
    const reason = decisions.at(-1)!.reason;
    if (models.production(model) === to) await models.setProduction(model, from!, `release ${id}`, reason);
    const outcome = decisions.at(-1)!.decision === 'abort' ? 'aborted' : 'returned';
    return step({ decision: 'finish', stage: 'ended', outcome, reason: `${from} serves again.` });
  };

  /** What to do when a live stage fails. */
  const fail = (results: readonly GateResult[], verdict: Verdict): Promise<void> => {
    const reason = reasonOf(results, verdict);
    if (record.stage === 'watch') return step({ decision: 'return', stage: 'returning', reason, verdict, gates: results });
    return step({ decision: 'stop', stage: 'ended', outcome: 'stopped', reason, verdict, gates: results });
  };

  const look = async (): Promise<void> => {
    const { settings, model, from, to, stage } = record;
    const serving = models.production(model);
    if (serving !== (stage === 'watch' ? to : from)) {
      const reason = `Somebody else has put ${serving ?? 'no version'} into production.`;
      return step({ decision: 'abort', stage: 'ended', outcome: 'aborted', reason });
    }
    await monitor?.settled();
    const limits = stageLimits(record);
    const rows = evidence.candidate.rows + evidence.candidate.labelled + evidence.compared;
    const overdue = clock.now() - record.stageSinceMs >= limits.forMs;
    const more = rows > lookedAtRows * MORE || evidence.drifted.length > 0;
    if (!more && !overdue) return;
    if (more) {
      looks++;
      lookedAtRows = rows;
    }
    const results = judgeLive(evidence, record, limits.leastRows, Math.max(1, looks));
    const verdict = overall(results);
    if (verdict === 'fail') return fail(results, verdict);
    if (!overdue) return;
    if (verdict === 'pass') return pass(results);
    return wait(results, limits);
  };

  const pass = (results: readonly GateResult[]): Promise<void> => {
    const { stage } = record;
    const reason = reasonOf(results, 'pass');
    const told = { reason, verdict: 'pass', gates: results } as const;
    if (stage === 'shadow') return step({ ...told, decision: 'advance', stage: 'canary' });
    if (stage === 'canary') return step({ ...told, decision: 'promote', stage: 'promoting' });
    return step({ ...told, decision: 'finish', stage: 'ended', outcome: 'released' });
  };

  const wait = (results: readonly GateResult[], { atMostMs }: StageSettings): Promise<void> => {
    const verdict = 'not enough data';
    const told = { verdict, gates: results } as const;
    if (clock.now() - record.stageSinceMs < atMostMs) {
      if (record.extended) return Promise.resolve();
      const reason = `The stage goes on: ${reasonOf(results, verdict)}`;
      return step({ ...told, decision: 'extend', reason, extended: true });
    }
    if (record.stage === 'watch') {
      const reason = `Nothing spoke against it, but there were too few data to tell: ${reasonOf(results, verdict)}`;
      return step({ ...told, decision: 'finish', stage: 'ended', outcome: 'released', reason });
    }
    return fail(results, verdict);
  };

  /** One step further, whatever the stage. */
  const advance = async (): Promise<void> => {
    if (stopped) return;
    await tellAll();
    if (record.stage === 'gates') await gates();
    if (LIVE.has(record.stage)) await look();
    if (record.stage === 'promoting') await promoting();
    if (record.stage === 'returning') await returning();
    if (record.stage === 'ended' && !stopped) finish();
  };

  const failed = (error: unknown): void => {
    const message = `The release ${record.id} of '${record.model}' could not go on; it is tried again.`;
    signal('platform.log', { level: 'error', room: 'models', message, error });
  };

  const arm = (): void => {
    if (stopped) return;
    timer = clock.after(record.settings.lookMs, () => {
      void inTurn(advance).catch(failed).then(arm);
    });
  };

  const byHand = (made: (stage: ReleaseStage) => Step | undefined): Promise<ReleaseRecord> =>
    inTurn(async () => {
      const next = stopped ? undefined : made(record.stage);
      if (!next) {
        const message = `The release ${record.id} of '${record.model}' is ${record.stage === 'ended' ? 'over' : `at '${record.stage}'`}: this does not apply to it any more.`;
        throw new MillraceError('CONFLICT', message);
      }
      await step(next);
      await advance();
      return record;
    });

  return {
    get record() {
      return record;
    },
    get monitor() {
      return monitor;
    },
    start(resumed) {
      void inTurn(async () => {
        if (resumed && LIVE.has(record.stage)) {
          const reason = 'The platform has started again: what this stage had seen is gone, and it begins anew.';
          record = { ...record, stageSinceMs: clock.now() };
          await step({ decision: 'resume', reason });
          enter(record.stage);
        }
        await advance();
      })
        .catch(failed)
        .then(arm);
    },
    observe({ version, rows, latencyMs, failedRows, shadow }) {
      if (version === record.to) addCall(evidence.candidate, rows, latencyMs, failedRows);
      // Once the new version serves alone, the one before is what it was until then.
      else if (version === record.from && !shadow && record.stage !== 'watch') {
        addCall(evidence.current, rows, latencyMs, failedRows);
      }
    },
    compared(rows, alike) {
      evidence.compared += rows;
      evidence.alike += alike;
    },
    labelled(version, right) {
      const side = version === record.to ? evidence.candidate : version === record.from ? evidence.current : undefined;
      if (!side) return;
      side.labelled++;
      if (right) side.right++;
    },
    promote: (by) =>
      byHand((stage) =>
        stage === 'gates' || stage === 'shadow' || stage === 'canary'
          ? { decision: 'promote', stage: 'promoting', reason: `Promoted by ${by}, without the gates.`, by }
          : undefined,
      ),
    abort: (by) =>
      byHand((stage) => {
        const reason = `Aborted by ${by}.`;
        if (stage === 'watch') return { decision: 'abort', stage: 'returning', reason, by };
        if (stage === 'promoting' || stage === 'returning' || stage === 'ended') return undefined;
        return { decision: 'abort', stage: 'ended', outcome: 'aborted', reason, by };
      }),
    stop() {
      stopped = true;
      timer?.cancel();
    },
    settled: async () => {
      await tail;
    },
  };
}

/** What only somebody can mend (a held-back file that is gone, say) is a verdict; the rest is thrown, and tried again. */
function cannotJudge(error: unknown): GateResult {
  if (!isMillraceError(error) || error.action === 'retry') throw error;
  return { gate: 'held-back rows', verdict: 'fail', reason: error.message };
}

function stageLimits({ stage, settings }: ReleaseRecord): StageSettings {
  if (stage === 'shadow') return settings.shadow;
  return stage === 'canary' ? settings.canary : settings.watch;
}

/** The reasons of the gates that decide. */
function reasonOf(results: readonly GateResult[], verdict: Verdict): string {
  const deciding = results.filter((each) => each.verdict === verdict);
  return (deciding.length > 0 ? deciding : results).map(({ gate, reason }) => `${gate}: ${reason}`).join(' ');
}
