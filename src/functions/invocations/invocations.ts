import { createHash } from 'node:crypto';
import {
  type Clock,
  type FunctionManifest,
  type Ids,
  isMillraceError,
  MillraceError,
  type Random,
  type Service,
  type StateStore,
  signal,
} from '../../kernel/index.ts';
import type { Dispatcher, InvocationOutcome } from '../invocation.ts';
import type { InvocationsConfig } from './config.ts';
import {
  type Attempt,
  type AttemptError,
  type InvocationRecord,
  KEYS,
  PENDING,
  put,
  type StoredLine,
  storedLine,
  TABLE,
  withAttempt,
} from './record.ts';

export interface SubmitOptions {
  /** The same key with the same input gives the same invocation. */
  readonly idempotencyKey?: string;
  /** Whose key it is. */
  readonly principal?: string;
  readonly traceparent?: string;
}

/**
 * Invocations that outlive their caller. I1 an id is given only when the invocation is stored durably; I2 each is run
 * until it succeeds or its function's retries are used up, across restarts; I3 it may run more than once (a crash
 * between its end and the note of it), under one idempotency key.
 */
export interface Invocations extends Service {
  /** Resolves to the id. Throws FUNCTION_NOT_FOUND, TOO_MANY_REQUESTS, IDEMPOTENCY_KEY_REUSED. */
  submit(fn: string, input: Uint8Array | undefined, options?: SubmitOptions): Promise<string>;
  /** Throws INVOCATION_NOT_FOUND. */
  read(id: string): Promise<InvocationRecord>;
  /** Resolves when it has ended. Throws INVOCATION_NOT_FOUND. */
  finished(id: string): Promise<InvocationRecord>;
}

export interface InvocationsDependencies {
  readonly dispatcher: Dispatcher & { find(name: string): FunctionManifest | undefined };
  readonly state: StateStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly config: InvocationsConfig;
}

const PAUSE_MAX_MS = 5 * 60_000;
const DEFAULT_RETRY = { attempts: 1, backoffMs: 200 };

export function createInvocations(dependencies: InvocationsDependencies): Invocations {
  const { dispatcher, state, clock, ids, random, config } = dependencies;
  const waiting: string[] = [];
  const listeners = new Map<string, ((record: InvocationRecord) => void)[]>();
  const stopping = new AbortController();
  let pending = 0;
  let running = 0;
  let idle: (() => void) | undefined;

  const submit = async (
    fn: string,
    input: Uint8Array | undefined,
    options: SubmitOptions,
  ): Promise<string> => {
    if (stopping.signal.aborted)
      throw new MillraceError('UNAVAILABLE', 'The platform is stopping. Try again.');
    if (pending >= config.invocationBacklog) throw full(config.invocationBacklog);
    const record = newRecord(fn, input, options, ids.next(), clock.now());
    const key = keyOf(fn, options);
    const hash = createHash('sha256')
      .update(input ?? '')
      .digest('base64url');
    const expiresAtMs = clock.now() + config.invocationRetention;
    const known = key === undefined ? undefined : await earlier(key, hash);
    if (known !== undefined) return known;
    pending++;
    try {
      await state.transact([
        put(record),
        { kind: 'put', table: PENDING, key: record.id, value: fn },
        ...(key === undefined
          ? []
          : [
              {
                kind: 'put',
                table: KEYS,
                key,
                value: { id: record.id, hash },
                expiresAtMs,
                expect: 0,
              } as const,
            ]),
      ]);
    } catch (error) {
      pending--;
      // The same key came twice at once: the first has taken it.
      const first =
        key !== undefined && isMillraceError(error, 'STATE_CONFLICT') ? await earlier(key, hash) : undefined;
      if (first !== undefined) return first;
      throw error;
    }
    waiting.push(record.id);
    work();
    return record.id;
  };

  const read = async (id: string): Promise<InvocationRecord> => {
    const found = await find(state, id);
    if (found) return found;
    const message = `There is no invocation '${id}', or its result is no longer kept.`;
    throw new MillraceError('INVOCATION_NOT_FOUND', message);
  };

  const earlier = async (key: string, hash: string): Promise<string | undefined> => {
    const found = (await state.get(KEYS, key))?.value as { id: string; hash: string } | undefined;
    if (!found || found.hash === hash) return found?.id;
    throw new MillraceError(
      'IDEMPOTENCY_KEY_REUSED',
      'This Idempotency-Key came before with another input. Use a fresh key for each invocation.',
    );
  };

  /** Takes from the queue as many as may run at the same time. */
  const work = (): void => {
    while (running < config.invocationWorkers && waiting.length > 0 && !stopping.signal.aborted) {
      const id = waiting.shift()!;
      running++;
      void attempt(id)
        .catch((error: unknown) => {
          const message = `The invocation ${id} could not be run or noted; it is tried again.`;
          signal('platform.log', { level: 'error', room: 'functions', message, error });
          later(id, 1000);
        })
        .finally(() => {
          running--;
          if (running === 0) idle?.();
          work();
        });
    }
  };

  const later = (id: string, delayMs: number): void => {
    clock.after(delayMs, () => {
      waiting.push(id);
      work();
    });
  };

  const attempt = async (id: string): Promise<void> => {
    const stored = await find(state, id);
    if (!stored || stored.finishedMs !== null) return;
    const begun: InvocationRecord = { ...stored, state: 'running', attemptsBegun: stored.attemptsBegun + 1 };
    await state.transact([put(begun)]);
    const lines: StoredLine[] = [];
    const startedMs = clock.now();
    const outcome = await dispatch(begun, lines);
    if (outcome === 'refused') {
      await state.transact([put({ ...stored, state: 'waiting' })]);
      if (!stopping.signal.aborted) later(id, pauseMs(1, 500));
      return;
    }
    const error = outcome.status === 'error' ? errorOf(outcome) : undefined;
    const done: Attempt = {
      attempt: begun.attemptsBegun,
      startedMs,
      durationMs: outcome.durationMs,
      ...(error ? { error } : {}),
    };
    await note(withAttempt(begun, done, lines), outcome, error);
  };

  /** Runs it; `refused` when there was no place for it, which is no attempt. */
  const dispatch = async (
    record: InvocationRecord,
    lines: StoredLine[],
  ): Promise<InvocationOutcome | 'refused'> => {
    const context = {
      invocationId: record.id,
      idempotencyKey: record.idempotencyKey,
      attempt: record.attemptsBegun,
      depth: 0,
      trigger: 'invoke',
      onLog: (line: Parameters<typeof storedLine>[0]) =>
        void (lines.length < 200 && lines.push(storedLine(line))),
      ...(record.traceparent === null ? {} : { traceparent: record.traceparent }),
    } as const;
    const input = record.input === null ? undefined : Buffer.from(record.input);
    try {
      return await dispatcher.dispatch(record.fn, { kind: 'direct', input }, context);
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      if (error.action === 'retry') return 'refused';
      const failure = { code: 'FUNCTION_FAILED', name: error.code, message: error.message } as const;
      return { status: 'error', error: failure, durationMs: 0, cold: false };
    }
  };

  const note = async (
    record: InvocationRecord,
    outcome: InvocationOutcome,
    error: AttemptError | undefined,
  ): Promise<void> => {
    const retry = dispatcher.find(record.fn)?.retry ?? DEFAULT_RETRY;
    if (error && RETRIED.has(error.code) && record.attemptsBegun < retry.attempts) {
      await state.transact([put({ ...record, state: 'waiting', error })]);
      later(record.id, pauseMs(record.attemptsBegun, retry.backoffMs));
      return;
    }
    const ended: InvocationRecord = {
      ...record,
      state: error ? 'failed' : 'succeeded',
      finishedMs: clock.now(),
      error: error ?? null,
      result: resultText(outcome),
      input: null,
    };
    await state.transact([
      put(ended, clock.now() + config.invocationRetention),
      { kind: 'delete', table: PENDING, key: record.id },
    ]);
    pending--;
    for (const listener of listeners.get(record.id) ?? []) listener(ended);
    listeners.delete(record.id);
  };

  /** Doubles from attempt to attempt; full jitter over the upper half. */
  const pauseMs = (attempts: number, backoffMs: number): number =>
    Math.min(PAUSE_MAX_MS, backoffMs * 2 ** (attempts - 1)) * (0.5 + random.float() / 2);

  return {
    name: 'invocations',
    async submit(fn, input, options = {}) {
      if (dispatcher.find(fn)) return submit(fn, input, options);
      throw new MillraceError(
        'FUNCTION_NOT_FOUND',
        `There is no function '${fn}'. GET /functions lists what there is.`,
      );
    },
    read,
    async finished(id) {
      // Registered before it is read: its end cannot fall in between.
      let settle: (record: InvocationRecord) => void = () => undefined;
      const ended = new Promise<InvocationRecord>((resolve) => (settle = resolve));
      listeners.set(id, [...(listeners.get(id) ?? []), settle]);
      const now = await read(id).catch((error: unknown) => {
        listeners.delete(id);
        throw error;
      });
      if (now.finishedMs === null) return ended;
      listeners.delete(id);
      return now;
    },
    /** Takes up what was accepted before and is not finished. */
    async start() {
      for (let after = '', page = await state.list(PENDING, {}); page.length > 0; ) {
        waiting.push(...page.map(({ key }) => key));
        pending += page.length;
        after = page.at(-1)!.key;
        page = await state.list(PENDING, { after });
      }
      work();
    },
    refuse: () => stopping.abort(),
    async stop(deadline) {
      stopping.abort();
      if (running === 0 || deadline.aborted) return;
      await new Promise<void>((resolve) => {
        idle = resolve;
        deadline.addEventListener('abort', () => resolve(), { once: true });
      });
    },
  };
}

const RETRIED = new Set(['FUNCTION_FAILED', 'FUNCTION_TIMED_OUT', 'FUNCTION_CRASHED']);

async function find(state: StateStore, id: string): Promise<InvocationRecord | undefined> {
  return (await state.get(TABLE, id))?.value as InvocationRecord | undefined;
}

function newRecord(
  fn: string,
  input: Uint8Array | undefined,
  options: SubmitOptions,
  id: string,
  acceptedMs: number,
): InvocationRecord {
  return {
    id,
    fn,
    state: 'waiting',
    acceptedMs,
    finishedMs: null,
    attemptsBegun: 0,
    attempts: [],
    input: input === undefined ? null : Buffer.from(input).toString(),
    result: null,
    error: null,
    logs: [],
    idempotencyKey: options.idempotencyKey ?? id,
    traceparent: options.traceparent ?? null,
  };
}

function keyOf(fn: string, { idempotencyKey, principal = '' }: SubmitOptions): string | undefined {
  if (idempotencyKey === undefined) return undefined;
  if (idempotencyKey === '' || idempotencyKey.length > 255) {
    throw new MillraceError('BAD_REQUEST', 'An Idempotency-Key has 1 to 255 characters. Send another.');
  }
  return createHash('sha256')
    .update(JSON.stringify([principal, fn, idempotencyKey]))
    .digest('base64url');
}

function errorOf({ error }: InvocationOutcome & { status: 'error' }): AttemptError {
  return { code: error.code, name: error.name, message: error.message };
}

function resultText(outcome: InvocationOutcome): string | null {
  if (outcome.status === 'error' || outcome.value.kind !== 'json' || !outcome.value.json) return null;
  return Buffer.from(outcome.value.json).toString();
}

function full(most: number): MillraceError {
  return new MillraceError('TOO_MANY_REQUESTS', `${most} invocations wait already. Try again later.`, {
    retryAfterMs: 5000,
  });
}
