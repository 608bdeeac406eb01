import { MillraceError } from '../../kernel/index.ts';
import type { FunctionError, InvocationOutcome, RecordsResult, StateValues } from '../invocation.ts';
import { backoffMs } from './backoff.ts';
import { packValues } from './pending-state.ts';
import type { RunnerContext } from './runner-context.ts';
import { settle } from './settle.ts';
import type { Waiter, Work } from './types.ts';
import { encodeWork, offsetAt, part, sizeOf } from './work.ts';

/** Records that come again, by key: the one that failed first. */
interface Leftover {
  readonly records: Waiter[];
  delayMs: number;
}

/**
 * Runs one work to its end: every record is finished, dead, or back in its partition behind its key.
 *
 * R1 what throws is halved until the record that throws is alone; only then is that an attempt.
 * R2 after a failure of a record, no later record of its key is tried before it.
 * R3 emits and state of a record count only when it succeeded.
 */
export function createWorkRunner(context: RunnerContext): (work: Work) => Promise<void> {
  return async (work) => {
    const run = createRun(context, work);
    await run.handle(work);
    if (!context.over.aborted) run.giveBackKeys();
  };
}

function createRun(context: RunnerContext, work: Work) {
  const { queue } = work;
  const leftovers = new Map<number, Leftover>();

  const keyAt = (sub: Work, at: number): number | undefined => {
    const slab = sub.slabs[at]!;
    const index = sub.indexes[at]!;
    return slab.keyLength[index]! < 0 ? undefined : slab.keyHash[index]!;
  };

  const leave = (sub: Work, at: number, delayMs: number): void => {
    const key = keyAt(sub, at) ?? queue.locks.anonymous();
    const waiter = { queue, slab: sub.slabs[at]!, index: sub.indexes[at]! };
    const before = leftovers.get(key);
    if (before) before.records.push(waiter);
    else leftovers.set(key, { records: [waiter], delayMs });
  };

  const heldBack = (sub: Work, at: number): boolean => {
    const key = keyAt(sub, at);
    return key !== undefined && leftovers.has(key);
  };

  /** Leaves records whose key has failed in this work meanwhile. */
  const withoutHeldBack = (sub: Work): Work => {
    if (leftovers.size === 0) return sub;
    const free: number[] = [];
    for (let at = 0; at < sizeOf(sub); at++) {
      if (heldBack(sub, at)) leave(sub, at, 0);
      else free.push(at);
    }
    return free.length === sizeOf(sub) ? sub : part(sub, free);
  };

  const fail = async (sub: Work, at: number, error: FunctionError, alone: boolean): Promise<void> => {
    const { retry } = context.manifest();
    const offset = offsetAt(sub, at);
    const before = queue.failures.get(offset);
    const failure = {
      attempts: (before?.attempts ?? 0) + 1,
      firstMs: before?.firstMs ?? context.clock.now(),
      alone,
    };
    if (failure.attempts < retry.attempts) {
      queue.failures.set(offset, failure);
      const { random, config } = context;
      return leave(sub, at, backoffMs(random, retry.backoffMs, failure.attempts, config.maxBackoffMs));
    }
    const letter = await context.graveyard.bury(sub, at, error, failure);
    context.committer.add(part(sub, [at]), [letter]);
  };

  const finish = async (sub: Work, result: RecordsResult, asBatch: boolean): Promise<void> => {
    const settled = await settle(context, sub, result, asBatch);
    if (context.over.aborted) return;
    if ('error' in settled) return thrown(sub, settled.error);
    const { failed, skipped, done, appends } = settled;
    if (sizeOf(done) > 0) {
      settled.write();
      context.committer.add(done, appends);
    }
    if (failed.size + skipped.size === 0) return;
    for (let at = 0; at < sizeOf(sub); at++) {
      const offset = offsetAt(sub, at);
      const error = failed.get(offset);
      if (error) await fail(sub, at, error, false);
      else if (skipped.has(offset)) leave(sub, at, 0);
    }
  };

  const thrown = async (sub: Work, error: FunctionError): Promise<void> => {
    if (sizeOf(sub) === 1) return fail(sub, 0, error, true);
    await halves(sub, sizeOf(sub) >> 1);
  };

  const halves = async (sub: Work, middle: number): Promise<void> => {
    const positions = sub.indexes.map((_, at) => at);
    await handle(part(sub, positions.slice(0, middle)));
    await handle(part(sub, positions.slice(middle)));
  };

  const handle = async (all: Work): Promise<void> => {
    const sub = withoutHeldBack(all);
    if (sizeOf(sub) === 0 || context.over.aborted) return;
    const state = await prefetch(context, sub);
    if (state.records < sizeOf(sub)) return halves(sub, state.records);
    const answer = await dispatch(context, sub, state.values);
    if (!answer || context.over.aborted) return;
    const { outcome, asBatch } = answer;
    if (outcome.status === 'error') return thrown(sub, outcome.error);
    if (outcome.value.kind !== 'records') return thrown(sub, notRecords(outcome.value.kind));
    await finish(sub, outcome.value.result, asBatch);
  };

  const giveBackKeys = (): void => {
    for (const key of work.locks) if (!leftovers.has(key)) queue.locks.release(key);
    for (const [key, { records, delayMs }] of leftovers) {
      queue.locks.holdBack(key, records);
      if (delayMs === 0) queue.locks.due(key);
      else
        void context.wait(delayMs).then(() => {
          queue.locks.due(key);
          context.wake();
        });
    }
  };

  return { handle, giveBackKeys };
}

function notRecords(kind: string): FunctionError {
  return {
    code: 'RESULT_INVALID',
    name: 'TypeError',
    message: `The instance answered a records event with '${kind}'.`,
  };
}

/** Values of the states that the function is known to read, for as many records as their bytes allow. */
async function prefetch(
  context: RunnerContext,
  sub: Work,
): Promise<{ values: ReadonlyMap<string, StateValues>; records: number }> {
  const values = new Map<string, StateValues>();
  let records = sizeOf(sub);
  for (const name of context.learned) {
    const state = await context.state(name, sub.queue.partition);
    const packed = packValues(state, sub, context.clock.now(), context.config.eventStateBytes);
    values.set(name, packed.values);
    records = Math.min(records, packed.records);
  }
  return { values, records };
}

/** The first read of a state that nobody knew this function reads; from then on it is sent along. */
async function readState(context: RunnerContext, sub: Work, name: string): Promise<StateValues> {
  const state = await context.state(name, sub.queue.partition);
  context.learned.add(name);
  const packed = packValues(state, sub, context.clock.now(), context.config.eventStateBytes);
  if (packed.records === sizeOf(sub)) return packed.values;
  throw new MillraceError(
    'PAYLOAD_TOO_LARGE',
    `The values of state '${name}' for ${sizeOf(sub)} records are larger than ${context.config.eventStateBytes} bytes together. The records come again in smaller batches.`,
  );
}

/**
 * Sends an event, and again as long as nobody takes it: a full queue or a platform that is stopping is no failure of the record.
 * Undefined when the session was over or draining first: the records stay where they are.
 */
async function dispatch(
  context: RunnerContext,
  sub: Work,
  state: ReadonlyMap<string, StateValues>,
): Promise<{ outcome: InvocationOutcome; asBatch: boolean } | undefined> {
  const { clock, dispatcher } = context;
  for (let refusals = 1; !context.over.aborted; refusals++) {
    const { name, version, batch } = context.manifest();
    const asBatch = batch !== null;
    const begin = clock.monotonic();
    try {
      const outcome = await dispatcher.dispatch(
        name,
        {
          kind: 'records',
          stream: sub.queue.stream,
          partition: sub.queue.partition,
          batches: encodeWork(sub),
          records: sizeOf(sub),
          asBatch,
          state,
          readState: (wanted) => readState(context, sub, wanted),
        },
        {
          invocationId: context.ids.next(),
          idempotencyKey: idempotencyKey(context, sub, asBatch),
          attempt: attemptOf(sub),
          depth: 0,
          trigger: 'stream',
          signal: context.over,
        },
        version,
      );
      context.observe(clock.monotonic() - begin, sizeOf(sub));
      return { outcome, asBatch };
    } catch (error) {
      if (context.draining()) return undefined;
      await context.park(refusedFor(context, error, refusals));
    }
  }
  return undefined;
}

const REFUSED_BASE_MS = 20;
const REFUSED_MAX_MS = 5000;

function refusedFor(context: RunnerContext, error: unknown, refusals: number): number {
  const asked = error instanceof MillraceError ? (error.retryAfterMs ?? 0) : 0;
  return asked + 1 + backoffMs(context.random, REFUSED_BASE_MS, refusals, REFUSED_MAX_MS);
}

/** For a batch: names these records; one record's is this with its offset behind it. */
function idempotencyKey(context: RunnerContext, sub: Work, asBatch: boolean): string {
  const place = `${context.group}/${sub.queue.topic}/${sub.queue.partition}`;
  return asBatch ? `${place}/${offsetAt(sub, 0)}-${offsetAt(sub, sizeOf(sub) - 1)}` : place;
}

function attemptOf(sub: Work): number {
  const { failures } = sub.queue;
  let attempts = 0;
  if (failures.size === 0) return 1;
  for (let at = 0; at < sizeOf(sub); at++)
    attempts = Math.max(attempts, failures.get(offsetAt(sub, at))?.attempts ?? 0);
  return attempts + 1;
}
