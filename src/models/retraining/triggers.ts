import { cronCalendar } from '../../functions/index.ts';
import { type Clock, MillraceError, type ModelRetraining, type RetrainTrigger } from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import { recordsOf } from './history.ts';
import type { RetrainCursor } from './store.ts';

export interface Triggers {
  /** Facts from now on count. */
  beginning(retrain: ModelRetraining): RetrainCursor;
  /** The first fact since the cursor that asks for a retraining; the same cursor again when there is nothing new. */
  look(model: string, retrain: ModelRetraining, cursor: RetrainCursor): Promise<Found>;
}

export interface Found {
  readonly fact?: string;
  /** Of drift: when the window began in which it was seen. */
  readonly sinceMs?: number;
  readonly next: RetrainCursor;
}

const DRIFT = 'millrace.drift';
const PAGE = 500;

interface DriftFact {
  readonly type: string;
  readonly id: string;
  readonly began: readonly string[];
  readonly window?: { readonly from: string };
}

/** Throws INVALID_INPUT for a calendar that is none. */
export function checkTriggers(retrain: ModelRetraining | null): void {
  for (const [index, trigger] of (retrain?.on ?? []).entries()) {
    if (trigger.kind !== 'cron') continue;
    try {
      cronCalendar(trigger.expression, trigger.timezone);
    } catch (error) {
      const message = `'${trigger.expression}' in '${trigger.timezone}' is no calendar: ${(error as Error).message}`;
      throw new MillraceError('INVALID_INPUT', message, {
        errors: [{ path: `/retrain/on/${index}`, message }],
      });
    }
  }
}

export function createTriggers({
  streams,
  clock,
}: {
  readonly streams: Streams;
  readonly clock: Clock;
}): Triggers {
  /** The end of this stream of facts, or its start where it is not there yet. */
  const driftEnd = (): number => streams.find(DRIFT)?.bounds[0]?.lastStableOffset ?? 0;

  const lookForDrift = async (
    model: string,
    columns: readonly string[],
    from: number,
  ): Promise<{ readonly fact?: string; readonly sinceMs?: number; readonly offset: number }> => {
    if (!streams.find(DRIFT)) return { offset: from };
    const start = Math.max(from, streams.find(DRIFT)!.bounds[0]?.logStartOffset ?? 0);
    const { records, nextOffset } = await streams.read({ topic: DRIFT, partition: 0 }, start, {
      limit: PAGE,
    });
    for (const { key, value, offset, timeMs } of records) {
      if (value === null || key === null || Buffer.from(key).toString() !== model) continue;
      const { type, id, began, window } = JSON.parse(Buffer.from(value).toString()) as DriftFact;
      // A metric that decays is drift of the whole: it counts where no columns are named.
      const decayed = type === 'decay.detected' && columns.length === 0;
      if (type !== 'drift.detected' && !decayed) continue;
      const asked = columns.length === 0 || began.some((column) => columns.includes(column));
      const sinceMs = window ? Date.parse(window.from) : timeMs;
      if (asked) return { fact: `drift/${id}`, sinceMs, offset: offset + 1 };
    }
    return { offset: Math.max(from, nextOffset) };
  };

  const lookAt = async (
    model: string,
    trigger: RetrainTrigger,
    { stream }: ModelRetraining,
    cursor: RetrainCursor,
  ): Promise<Found> => {
    if (trigger.kind === 'drift') {
      const { fact, sinceMs, offset } = await lookForDrift(model, trigger.columns, cursor.drift);
      const next = offset === cursor.drift ? cursor : { ...cursor, drift: offset };
      return fact === undefined ? { next } : { fact, sinceMs: sinceMs!, next };
    }
    if (trigger.kind === 'records') {
      const records = recordsOf(streams, stream);
      if (records - cursor.records < trigger.count) return { next: cursor };
      return { fact: `records/${records}`, next: { ...cursor, records } };
    }
    const dueMs = cronCalendar(trigger.expression, trigger.timezone).next(cursor.cronMs);
    const now = clock.now();
    if (dueMs === undefined || dueMs > now) return { next: cursor };
    // Due times that were missed are one run.
    return { fact: `cron/${new Date(dueMs).toISOString()}`, next: { ...cursor, cronMs: now } };
  };

  return {
    beginning: ({ stream }) => ({
      drift: driftEnd(),
      records: streams.find(stream) ? recordsOf(streams, stream) : 0,
      cronMs: clock.now(),
    }),
    async look(model, retrain, cursor) {
      if (!streams.find(retrain.stream)) return { next: cursor };
      let next = cursor;
      for (const trigger of retrain.on) {
        const found = await lookAt(model, trigger, retrain, next);
        next = found.next;
        // Whatever set it off, what came until now is learnt from: counting begins anew.
        if (found.fact !== undefined) {
          return { ...found, next: { ...next, records: recordsOf(streams, retrain.stream) } };
        }
      }
      return { next };
    },
  };
}
