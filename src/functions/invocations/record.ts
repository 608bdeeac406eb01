import type { Json, StateOperation } from '../../kernel/index.ts';
import type { LogLine } from '../invocation.ts';

export const TABLE = 'invocations';
/** Ids of those that are not finished, so that a start need not read the finished ones. */
export const PENDING = 'invocations-pending';
export const KEYS = 'invocations-keys';

/** Lines that are kept with an invocation: the last ones. */
const MOST_LINES = 200;
const MOST_ATTEMPTS = 20;

export type Attempt = {
  readonly attempt: number;
  readonly startedMs: number;
  readonly durationMs: number;
  /** Undefined when it succeeded. */
  readonly error?: AttemptError;
};

export type AttemptError = { readonly code: string; readonly name: string; readonly message: string };

/** An asynchronous invocation as it is stored. `input` and `result` are JSON texts; null: nothing was given. */
export type InvocationRecord = {
  readonly id: string;
  readonly fn: string;
  readonly state: 'waiting' | 'running' | 'succeeded' | 'failed';
  readonly acceptedMs: number;
  readonly finishedMs: number | null;
  /** Attempts that were begun, those that a crash of the platform cut short included. */
  readonly attemptsBegun: number;
  readonly attempts: readonly Attempt[];
  readonly input: string | null;
  readonly result: string | null;
  readonly error: AttemptError | null;
  readonly logs: readonly StoredLine[];
  readonly idempotencyKey: string;
  readonly traceparent: string | null;
};

export type StoredLine = { readonly level: string; readonly time: string; readonly message: string };

export function storedLine({ level, timeMs, message }: LogLine): StoredLine {
  return { level, time: new Date(timeMs).toISOString(), message: message.slice(0, 4096) };
}

export function withAttempt(
  record: InvocationRecord,
  attempt: Attempt,
  lines: readonly StoredLine[],
): InvocationRecord {
  return {
    ...record,
    attempts: [...record.attempts, attempt].slice(-MOST_ATTEMPTS),
    logs: [...record.logs, ...lines].slice(-MOST_LINES),
  };
}

export function put(record: InvocationRecord, expiresAtMs?: number): StateOperation {
  const value = JSON.parse(JSON.stringify(record)) as Json;
  const expiry = expiresAtMs === undefined ? {} : { expiresAtMs };
  return { kind: 'put', table: TABLE, key: record.id, value, ...expiry };
}
