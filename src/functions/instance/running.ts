import type { RunMessage } from '../protocol.ts';
import { type LogBudget, newBudget } from './log-budget.ts';

/** One invocation in flight inside the instance. */
export class Running {
  readonly id: number;
  readonly invocationId: string;
  readonly traceId: string;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly deadlineMs: number;
  /** On the channel's monotonic clock. */
  readonly startedMs: number;
  readonly budget: LogBudget = newBudget();
  calls = 0;
  ended = false;
  #cancelled: 'deadline' | 'gone' | undefined;
  #controller: AbortController | undefined;

  constructor(message: RunMessage, startedMs: number) {
    const [, id, , invocationId, traceId, idempotencyKey, attempt, deadlineMs] = message;
    this.id = id;
    this.invocationId = invocationId;
    this.traceId = traceId;
    this.idempotencyKey = idempotencyKey ?? invocationId;
    this.attempt = attempt;
    this.deadlineMs = deadlineMs;
    this.startedMs = startedMs;
  }

  /** Made when a handler first asks: most never do, and an AbortController costs more than the rest of the call. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#cancelled) this.#abort(this.#cancelled);
    }
    return this.#controller.signal;
  }

  get cancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  cancel(reason: 'deadline' | 'gone'): void {
    this.#cancelled ??= reason;
    if (this.#controller) this.#abort(this.#cancelled);
  }

  #abort(reason: 'deadline' | 'gone'): void {
    this.#controller!.abort(
      reason === 'deadline'
        ? new DOMException('The deadline of the invocation has passed.', 'TimeoutError')
        : new DOMException('The caller of the invocation has gone.', 'AbortError'),
    );
  }
}
