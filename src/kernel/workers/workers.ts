import { type Transferable, Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../clock.ts';
import type { ErrorCode } from '../error-table.ts';
import { type ErrorDetails, MillraceError } from '../errors.ts';
import type { Service } from '../lifecycle.ts';
import { siblingModule } from '../sibling.ts';

/** What travels to a worker. */
export interface Job {
  readonly module: string;
  readonly task: string;
  readonly input: unknown;
}

export type JobReply =
  | { readonly ok: true; readonly result: unknown }
  | {
      readonly ok: false;
      readonly known: { code: ErrorCode; message: string; errors: ErrorDetails['errors'] } | undefined;
      readonly error: string | undefined;
    };

/** A function that a module exports: `(input, { transfer }) => result`, plain or async. */
export interface TaskName {
  /** Made with `siblingModule(import.meta.url, './name')`. */
  readonly module: URL;
  readonly task: string;
}

export interface RunOptions {
  /** Buffers inside `input` that are handed over instead of copied. */
  readonly transfer?: readonly Transferable[];
  /** Takes the task out of the queue, or ends the worker that runs it. */
  readonly signal?: AbortSignal;
}

/** A small pool of threads for what would hold the main thread over 5 ms: decompression, compaction, big JSON. */
export interface Workers extends Service {
  /**
   * Runs the task on the next free worker. Throws what the task throws (a MillraceError as it is, anything else as
   * INTERNAL), UNAVAILABLE when the queue is full, when its worker ends, or while stopping; the reason of `signal`.
   */
  run<Result>(name: TaskName, input: unknown, options?: RunOptions): Promise<Result>;
  /** How many threads are there at the moment. */
  readonly threads: number;
}

interface Pending {
  readonly job: Job;
  readonly transfer: readonly Transferable[];
  readonly signal: AbortSignal | undefined;
  resolve(result: unknown): void;
  reject(error: unknown): void;
  onAbort(): void;
}

interface Thread {
  readonly worker: Worker;
  running: Pending | undefined;
  idle: Timer | undefined;
}

interface WorkersOptions {
  /** Most threads; each is started when there is work for it. */
  readonly size: number;
  /** Most tasks that wait for a thread. */
  readonly queue: number;
  /** A thread without work for this long ends. */
  readonly idleMs: number;
  readonly clock: Clock;
}

export function createWorkers(options: WorkersOptions): Workers {
  return new WorkerPool(options);
}

function ended(task: string, cause: unknown): MillraceError {
  const message = `The platform worker that ran '${task}' ended. Retry; if it happens again, see the log.`;
  return new MillraceError('UNAVAILABLE', message, { cause, retryAfterMs: 100 });
}

class WorkerPool implements Workers {
  readonly name = 'workers';
  readonly #options: WorkersOptions;
  readonly #threads = new Set<Thread>();
  readonly #queue: Pending[] = [];
  #refusing = false;
  #drained: (() => void) | undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  get threads(): number {
    return this.#threads.size;
  }

  run<Result>({ module, task }: TaskName, input: unknown, options: RunOptions = {}): Promise<Result> {
    const { signal, transfer = [] } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const refusal = this.#refusal();
    if (refusal) return Promise.reject(refusal);
    return new Promise<Result>((resolve, reject) => {
      const pending: Pending = {
        job: { module: module.href, task, input },
        transfer,
        signal,
        resolve: (result) => resolve(result as Result),
        reject,
        onAbort: () => this.#abort(pending),
      };
      signal?.addEventListener('abort', pending.onAbort, { once: true });
      this.#queue.push(pending);
      this.#dispatch();
    });
  }

  /**
   * Finishes what runs and waits until the deadline, then ends all threads. Until then work is taken while the platform stops: the
   * rooms that stop before have theirs to finish.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#refusing = true;
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
      deadline.addEventListener('abort', () => resolve(), { once: true });
      if (deadline.aborted) resolve();
      this.#checkDrained();
    });
    await drained;
    const stopped = new MillraceError('UNAVAILABLE', 'The platform stops. Retry once it runs again.');
    for (const pending of this.#queue.splice(0)) this.#settle(pending).reject(stopped);
    await Promise.all([...this.#threads].map((thread) => this.#end(thread, stopped)));
  }

  #refusal(): MillraceError | undefined {
    if (this.#refusing)
      return new MillraceError('UNAVAILABLE', 'The platform stops. Retry once it runs again.');
    const free = this.#options.size - [...this.#threads].filter((thread) => thread.running).length;
    if (free > 0 || this.#queue.length < this.#options.queue) return undefined;
    const message = `${this.#queue.length} tasks wait for the platform's workers already. Retry in a moment.`;
    return new MillraceError('UNAVAILABLE', message, { retryAfterMs: 1000 });
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#freeThread();
      if (!thread) return;
      const pending = this.#queue.shift()!;
      thread.idle?.cancel();
      thread.running = pending;
      thread.worker.ref();
      try {
        thread.worker.postMessage(pending.job, [...pending.transfer]);
      } catch (error) {
        // The input cannot be cloned: the caller's fault, and the thread is as good as before.
        this.#free(thread);
        this.#settle(pending).reject(error);
      }
    }
    this.#checkDrained();
  }

  #freeThread(): Thread | undefined {
    for (const thread of this.#threads) if (!thread.running) return thread;
    return this.#threads.size < this.#options.size ? this.#startThread() : undefined;
  }

  #startThread(): Thread {
    const worker = new Worker(siblingModule(import.meta.url, './worker-main'));
    const thread: Thread = { worker, running: undefined, idle: undefined };
    this.#threads.add(thread);
    worker.on('message', (reply: JobReply) => this.#onReply(thread, reply));
    worker.on('error', (error) => this.#onGone(thread, error));
    worker.on('exit', (code) => this.#onGone(thread, new Error(`exit code ${code}`)));
    return thread;
  }

  #onReply(thread: Thread, reply: JobReply): void {
    const pending = thread.running;
    if (!pending) return;
    this.#free(thread);
    this.#settle(pending);
    if (reply.ok) pending.resolve(reply.result);
    else pending.reject(this.#toError(pending, reply));
    this.#dispatch();
  }

  #toError({ job }: Pending, { known, error }: Extract<JobReply, { ok: false }>): MillraceError {
    if (known) return new MillraceError(known.code, known.message, { errors: known.errors ?? [] });
    return new MillraceError('INTERNAL', `The task '${job.task}' failed; the log has the details.`, {
      cause: error,
    });
  }

  #free(thread: Thread): void {
    thread.running = undefined;
    thread.worker.unref();
    thread.idle = this.#options.clock.after(this.#options.idleMs, () => void this.#end(thread, undefined));
  }

  #onGone(thread: Thread, cause: unknown): void {
    if (!this.#threads.delete(thread)) return;
    thread.idle?.cancel();
    if (thread.running) this.#settle(thread.running).reject(ended(thread.running.job.task, cause));
    this.#dispatch();
  }

  #abort(pending: Pending): void {
    const place = this.#queue.indexOf(pending);
    if (place >= 0) {
      this.#queue.splice(place, 1);
      this.#settle(pending).reject(pending.signal?.reason);
      this.#checkDrained();
      return;
    }
    for (const thread of this.#threads) {
      if (thread.running === pending) void this.#end(thread, pending.signal?.reason);
    }
    this.#dispatch();
  }

  async #end(thread: Thread, reason: unknown): Promise<void> {
    this.#threads.delete(thread);
    thread.idle?.cancel();
    if (thread.running) this.#settle(thread.running).reject(reason);
    await thread.worker.terminate();
  }

  #settle(pending: Pending): Pending {
    pending.signal?.removeEventListener('abort', pending.onAbort);
    return pending;
  }

  #checkDrained(): void {
    const busy = this.#queue.length > 0 || [...this.#threads].some((thread) => thread.running);
    if (!busy) this.#drained?.();
  }
}
