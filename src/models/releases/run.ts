import {
  type Clock,
  isMillraceError,
  MillraceError,
  type ModelStage,
  signal,
  type Timer,
} from '../../kernel/index.ts';
import { labelsIn } from '../labels/label-counts.ts';
import type { VersionRecord } from '../registry/records.ts';
import type { Monitor } from '../watch/monitor.ts';
import {
  addCall,
  addTruth,
  emptyStage,
  judgeLive,
  type Labelled,
  type StageEvidence,
  stopShare,
} from './live.ts';
import type { Decision, ReleaseOutcome, ReleaseRecord, ReleaseStage, ReleaseStore } from './record.ts';
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
  ) => Promise<Monitor | undefined>;
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
  labelled(labelled: Labelled): void;
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

export function createReleaseRun(parts: RunParts, record: ReleaseRecord): ReleaseRun {
  return new Run(parts, record);
}

class Run implements ReleaseRun {
  readonly #parts: RunParts;
  #record: ReleaseRecord;
  #evidence: StageEvidence;
  #looks = 0;
  #lookedAtRows = 0;
  #monitor: Monitor | undefined;
  #timer: Timer | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(parts: RunParts, record: ReleaseRecord) {
    this.#parts = parts;
    this.#record = record;
    this.#evidence = emptyStage(record.baseline ?? undefined);
  }

  get record(): ReleaseRecord {
    return this.#record;
  }

  get monitor(): Monitor | undefined {
    return this.#monitor;
  }

  start(resumed: boolean): void {
    const begin = async (): Promise<void> => {
      if (resumed && LIVE.has(this.#record.stage)) await this.#resume();
      await this.#advance();
    };
    void this.#inTurn(begin)
      .catch((error: unknown) => this.#failed(error))
      .then(() => this.#arm());
  }

  observe({ version, rows, latencyMs, failedRows, shadow }: ReleaseObservation): void {
    const { to, from, stage } = this.#record;
    if (version === to) addCall(this.#evidence.candidate, rows, latencyMs, failedRows);
    // Once the new version serves alone, the one before is what it was until then.
    else if (version === from && !shadow && stage !== 'watch') {
      addCall(this.#evidence.current, rows, latencyMs, failedRows);
    }
  }

  compared(rows: number, alike: number): void {
    this.#evidence.compared += rows;
    this.#evidence.alike += alike;
  }

  labelled(labelled: Labelled): void {
    const { to, from } = this.#record;
    const { candidate, current } = this.#evidence;
    if (labelled.version === to) addTruth(candidate, labelled);
    else if (labelled.version === from) addTruth(current, labelled);
  }

  promote(by: string): Promise<ReleaseRecord> {
    return this.#byHand((stage) => {
      if (stage !== 'gates' && stage !== 'shadow' && stage !== 'canary') return undefined;
      const reason = `Promoted by ${by}, without the gates.`;
      return { decision: 'promote', stage: 'promoting', reason, by };
    });
  }

  abort(by: string): Promise<ReleaseRecord> {
    return this.#byHand((stage) => {
      const reason = `Aborted by ${by}.`;
      if (stage === 'watch') return { decision: 'abort', stage: 'returning', reason, by };
      if (stage === 'promoting' || stage === 'returning' || stage === 'ended') return undefined;
      return { decision: 'abort', stage: 'ended', outcome: 'aborted', reason, by };
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async settled(): Promise<void> {
    await this.#tail;
  }

  /** Steps of one release never overlap. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#tail.then(work);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  #failed(error: unknown): void {
    const { id, model } = this.#record;
    const message = `The release ${id} of '${model}' could not go on; it is tried again.`;
    signal('platform.log', { level: 'error', room: 'models', message, error });
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(this.#record.settings.lookMs, () => {
      void this.#inTurn(() => this.#advance())
        .catch((error: unknown) => this.#failed(error))
        .then(() => this.#arm());
    });
  }

  #byHand(made: (stage: ReleaseStage) => Step | undefined): Promise<ReleaseRecord> {
    return this.#inTurn(async () => {
      const { stage, id, model } = this.#record;
      const next = this.#stopped ? undefined : made(stage);
      if (!next) {
        const message = `The release ${id} of '${model}' is at '${stage}': this does not apply to it any more.`;
        throw new MillraceError('CONFLICT', message);
      }
      await this.#step(next);
      await this.#advance();
      return this.#record;
    });
  }

  /** One step further, whatever the stage. */
  async #advance(): Promise<void> {
    if (this.#stopped) return;
    await this.#tellAll();
    if (this.#record.stage === 'gates') await this.#gates();
    if (LIVE.has(this.#record.stage)) await this.#look();
    if (this.#record.stage === 'promoting') await this.#promoting();
    if (this.#record.stage === 'returning') await this.#returning();
    if (this.#record.stage === 'ended' && !this.#stopped) this.#finish();
  }

  async #tellAll(): Promise<void> {
    const untold = this.#record.decisions.filter(({ number }) => number > this.#record.told);
    for (const decision of untold) await this.#parts.tell(this.#record, decision);
    if (untold.length === 0) return;
    this.#record = { ...this.#record, told: untold.at(-1)!.number };
    await this.#parts.store.put(this.#record);
  }

  /** Writes a decision down, then acts on it, then tells of it. */
  async #step(next: Step): Promise<void> {
    const record = this.#record;
    const now = this.#parts.clock.now();
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
      stageSinceMs: moved || next.decision === 'resume' ? now : record.stageSinceMs,
      extended: moved ? false : (next.extended ?? record.extended),
      outcome: next.outcome ?? null,
      decisions: [...record.decisions, decision].slice(-MOST_DECISIONS),
      baseline: stage === 'promoting' && moved ? this.#evidence.current : record.baseline,
    };
    await this.#parts.store.put(changed);
    this.#record = changed;
    if (moved) this.#enter(stage);
    await this.#tellAll();
    if (stage === 'ended') this.#finish();
  }

  #enter(stage: ReleaseStage): void {
    const { baseline } = this.#record;
    this.#evidence = emptyStage(stage === 'watch' && baseline ? baseline : undefined);
    this.#looks = 0;
    this.#lookedAtRows = 0;
    this.#monitor = undefined;
    if (!LIVE.has(stage)) return;
    void this.#inTurn(() => this.#watchDrift()).catch((error: unknown) => this.#failed(error));
  }

  async #resume(): Promise<void> {
    const reason = 'The platform has started again: what this stage had seen is gone, and it begins anew.';
    await this.#step({ decision: 'resume', reason });
    this.#enter(this.#record.stage);
  }

  async #watchDrift(): Promise<void> {
    const { settings, model, to } = this.#record;
    if (!settings.live.drift) return;
    const evidence = this.#evidence;
    const version = await this.#parts.models.version(model, to);
    const falseAlarms = (window: number): number => stopShare(settings.falseStops, window);
    const monitor = await this.#parts.monitor(version, falseAlarms, (columns) => {
      evidence.driftWindows++;
      for (const column of columns) if (!evidence.drifted.includes(column)) evidence.drifted.push(column);
    });
    if (evidence !== this.#evidence) return;
    this.#monitor = monitor;
    evidence.watched = monitor !== undefined;
  }

  #finish(): void {
    this.stop();
    this.#monitor = undefined;
    this.#parts.ended();
  }

  async #gates(): Promise<void> {
    const gates = await this.#parts.judge(this.#record).catch((error: unknown) => [cannotJudge(error)]);
    const verdict = overall(gates);
    const told = { reason: reasonOf(gates, verdict), verdict, gates } as const;
    if (verdict !== 'pass')
      return this.#step({ ...told, decision: 'stop', outcome: 'stopped', stage: 'ended' });
    if (this.#record.from === null) return this.#step({ ...told, decision: 'promote', stage: 'promoting' });
    return this.#step({ ...told, decision: 'advance', stage: 'shadow' });
  }

  async #promoting(): Promise<void> {
    const { model, from, to, id, decisions } = this.#record;
    await this.#parts.models.setProduction(model, to, `release ${id}`, decisions.at(-1)!.reason);
    if (from !== null) {
      return this.#step({
        decision: 'advance',
        stage: 'watch',
        reason: 'It takes all traffic, and is watched.',
      });
    }
    const reason = 'It serves, as the first version.';
    return this.#step({ decision: 'finish', stage: 'ended', outcome: 'released', reason });
  }

  async #returning(): Promise<void> {
    const { model, from, to, id, decisions } = this.#record;
    const { reason, decision } = decisions.at(-1)!;
    const { models } = this.#parts;
    if (models.production(model) === to) await models.setProduction(model, from!, `release ${id}`, reason);
    const outcome = decision === 'abort' ? 'aborted' : 'returned';
    return this.#step({ decision: 'finish', stage: 'ended', outcome, reason: `${from} serves again.` });
  }

  /** Looks at what a live stage has shown, when there is more of it or its time is over. */
  async #look(): Promise<void> {
    const { model, from, to, stage } = this.#record;
    const serving = this.#parts.models.production(model);
    if (serving !== (stage === 'watch' ? to : from)) {
      const reason = `Somebody else has put ${serving ?? 'no version'} into production.`;
      return this.#step({ decision: 'abort', stage: 'ended', outcome: 'aborted', reason });
    }
    await this.#monitor?.settled();
    const limits = stageLimits(this.#record);
    const { candidate, compared, drifted } = this.#evidence;
    const rows = candidate.rows + labelsIn(candidate.labels) + compared;
    const overdue = this.#parts.clock.now() - this.#record.stageSinceMs >= limits.forMs;
    const more = rows > this.#lookedAtRows * MORE || drifted.length > 0;
    if (!more && !overdue) return;
    if (more) {
      this.#looks++;
      this.#lookedAtRows = rows;
    }
    const gates = judgeLive(this.#evidence, this.#record, limits.leastRows, Math.max(1, this.#looks));
    const verdict = overall(gates);
    if (verdict === 'fail') return this.#fail(gates, verdict);
    if (!overdue) return;
    return verdict === 'pass' ? this.#pass(gates) : this.#wait(gates, limits);
  }

  #fail(gates: readonly GateResult[], verdict: Verdict): Promise<void> {
    const told = { reason: reasonOf(gates, verdict), verdict, gates } as const;
    if (this.#record.stage === 'watch')
      return this.#step({ ...told, decision: 'return', stage: 'returning' });
    return this.#step({ ...told, decision: 'stop', stage: 'ended', outcome: 'stopped' });
  }

  #pass(gates: readonly GateResult[]): Promise<void> {
    const { stage } = this.#record;
    const told = { reason: reasonOf(gates, 'pass'), verdict: 'pass', gates } as const;
    if (stage === 'shadow') return this.#step({ ...told, decision: 'advance', stage: 'canary' });
    if (stage === 'canary') return this.#step({ ...told, decision: 'promote', stage: 'promoting' });
    return this.#step({ ...told, decision: 'finish', stage: 'ended', outcome: 'released' });
  }

  /** Too few data: the stage goes on, but not for ever. */
  async #wait(gates: readonly GateResult[], { atMostMs }: ModelStage): Promise<void> {
    const verdict = 'not enough data';
    const lacking = reasonOf(gates, verdict);
    const { stage, stageSinceMs, extended } = this.#record;
    if (this.#parts.clock.now() - stageSinceMs < atMostMs) {
      if (extended) return;
      const reason = `The stage goes on: ${lacking}`;
      return this.#step({ decision: 'extend', reason, verdict, gates, extended: true });
    }
    if (stage !== 'watch') return this.#fail(gates, verdict);
    const reason = `Nothing spoke against it, but there were too few data to tell: ${lacking}`;
    return this.#step({ decision: 'finish', stage: 'ended', outcome: 'released', reason, verdict, gates });
  }
}

/** What only somebody can mend (a held-back file that is gone, say) is a verdict; the rest is thrown, and tried again. */
function cannotJudge(error: unknown): GateResult {
  if (!isMillraceError(error) || error.action === 'retry') throw error;
  return { gate: 'held-back rows', verdict: 'fail', reason: error.message };
}

function stageLimits({ stage, settings }: ReleaseRecord): ModelStage {
  if (stage === 'shadow') return settings.shadow;
  return stage === 'canary' ? settings.canary : settings.watch;
}

/** The reasons of the gates that decide. */
function reasonOf(results: readonly GateResult[], verdict: Verdict): string {
  const deciding = results.filter((each) => each.verdict === verdict);
  return (deciding.length > 0 ? deciding : results).map(({ gate, reason }) => `${gate}: ${reason}`).join(' ');
}
