import { ERROR_TABLE, type ErrorCode } from './error-table.ts';

/** One problem with one place of the input. `path` is a JSON Pointer ('' for the whole). */
export interface InputProblem {
  readonly path: string;
  readonly message: string;
}

export interface ErrorDetails {
  /** Every problem found, so that the caller mends them in one go. */
  readonly errors?: readonly InputProblem[];
  /** When a retry makes sense, milliseconds from now. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The error that crosses walls. `message` says what happened and the remedy, in one or two plain sentences. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  readonly code: ErrorCode;
  readonly errors: readonly InputProblem[];
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { stackTraceLimit } = Error;
    // Under load refusals come by the thousand, and a stack costs more than all else about them.
    if (code === 'TOO_MANY_REQUESTS') Error.stackTraceLimit = 0;
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.errors = details.errors ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }

  get status(): number {
    return ERROR_TABLE[this.code].status;
  }

  get action(): 'fix' | 'retry' | 'stop' {
    return ERROR_TABLE[this.code].action;
  }
}

export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code);
}

/** RFC 9457 problem details. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly errors?: readonly InputProblem[];
}

export function toProblem(error: unknown): Problem {
  const known = error instanceof MillraceError ? error : internalError(error);
  return {
    type: `urn:millrace:error:${known.code}`,
    title: ERROR_TABLE[known.code].title,
    status: known.status,
    code: known.code,
    detail: known.message,
    ...(known.errors.length > 0 ? { errors: known.errors } : {}),
  };
}

/** Wraps what nobody expected; the original stays as the cause for the log and is not shown to clients. */
function internalError(cause: unknown): MillraceError {
  return new MillraceError('INTERNAL', 'Something went wrong inside the platform; its log has the details.', {
    cause,
  });
}
