import {
  isMillraceError,
  type Json,
  MillraceError,
  type StateOperation,
  type StateStore,
} from '../../kernel/index.ts';
import type { Evidence } from './live.ts';
import type { ReleaseSettings } from './settings.ts';
import type { GateResult, Verdict } from './verdict.ts';

/**
 * gates → shadow → canary → promoting → watch → ended, in this order; any of the first three may end early, and `watch` may go
 * through `returning`. `promoting` and `returning` are written down before traffic moves, so that a crash in between is finished
 * and not forgotten.
 */
export type ReleaseStage = 'gates' | 'shadow' | 'canary' | 'promoting' | 'watch' | 'returning' | 'ended';

/** How it ended: with the new version, without it, back from it, or by hand. */
export type ReleaseOutcome = 'released' | 'stopped' | 'returned' | 'aborted';

export interface Decision {
  /** 1, 2, … within the release. */
  readonly number: number;
  readonly timeMs: number;
  /** The stage it was made in. */
  readonly stage: ReleaseStage;
  readonly decision:
    | 'begin'
    | 'advance'
    | 'extend'
    | 'resume'
    | 'promote'
    | 'finish'
    | 'stop'
    | 'return'
    | 'abort';
  readonly reason: string;
  readonly verdict: Verdict | null;
  readonly gates: readonly GateResult[];
  readonly by: string;
}

export interface ReleaseRecord {
  readonly id: string;
  readonly model: string;
  /** The version that serves until then; null for a model's first. */
  readonly from: string | null;
  readonly to: string;
  readonly by: string;
  readonly createdMs: number;
  readonly stage: ReleaseStage;
  readonly stageSinceMs: number;
  /** Whether the stage has been extended for want of data. */
  readonly extended: boolean;
  readonly outcome: ReleaseOutcome | null;
  readonly settings: ReleaseSettings;
  readonly decisions: readonly Decision[];
  /** Number of the last decision that is in the log. */
  readonly told: number;
  /** What the version before showed while both served: what the new one is compared with once it serves alone. */
  readonly baseline: Evidence | null;
}

/** What releases keep in the StateStore: each release, and which one is under way for a model. */
export interface ReleaseStore {
  /** Throws CONFLICT while another release of the model is under way; the same id again is the release that is there. */
  begin(record: ReleaseRecord): Promise<ReleaseRecord>;
  put(record: ReleaseRecord): Promise<void>;
  get(model: string, id: string): Promise<ReleaseRecord | undefined>;
  /** Newest first. */
  list(model: string, limit?: number): Promise<readonly ReleaseRecord[]>;
  underWay(): Promise<readonly ReleaseRecord[]>;
}

const RELEASES = 'models.releases';
const UNDER_WAY = 'models.releases.active';

const recordKey = (model: string, id: string): string => `${model}/${id}`;
const asJson = (value: object): Json => value as unknown as Json;

export function createReleaseStore(state: StateStore): ReleaseStore {
  const get = async (model: string, id: string): Promise<ReleaseRecord | undefined> =>
    (await state.get(RELEASES, recordKey(model, id)))?.value as unknown as ReleaseRecord | undefined;
  const write = (record: ReleaseRecord): StateOperation => ({
    kind: 'put',
    table: RELEASES,
    key: recordKey(record.model, record.id),
    value: asJson(record),
  });
  return {
    get,
    async begin(record) {
      const { model, id } = record;
      const there = await get(model, id);
      if (there) return there;
      const claim: StateOperation = { kind: 'put', table: UNDER_WAY, key: model, value: id, expect: 0 };
      try {
        await state.transact([claim, write(record)]);
      } catch (error) {
        if (!isMillraceError(error, 'STATE_CONFLICT')) throw error;
        throw busy(model, String((await state.get(UNDER_WAY, model))?.value ?? 'unknown'));
      }
      return record;
    },
    put: (record) =>
      state.transact([
        write(record),
        ...(record.stage === 'ended' && record.told === record.decisions.at(-1)!.number
          ? [{ kind: 'delete', table: UNDER_WAY, key: record.model } as const]
          : []),
      ]),
    async list(model, limit = 50) {
      const entries = await state.list(RELEASES, { prefix: `${model}/`, reverse: true, limit });
      return entries.map((entry) => entry.value as unknown as ReleaseRecord);
    },
    async underWay() {
      const found: ReleaseRecord[] = [];
      for (let after: string | undefined; ; ) {
        const page = await state.list(UNDER_WAY, { limit: 1000, ...(after === undefined ? {} : { after }) });
        for (const entry of page) {
          const record = await get(entry.key, String(entry.value));
          if (record) found.push(record);
        }
        after = page.at(-1)?.key;
        if (page.length < 1000) return found;
      }
    },
  };
}

function busy(model: string, id: string): MillraceError {
  const message = `The release ${id} of '${model}' is under way. Wait for it, or abort it: DELETE /models/${model}/releases/${id}.`;
  return new MillraceError('CONFLICT', message);
}
