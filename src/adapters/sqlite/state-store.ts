import { Worker } from 'node:worker_threads';
import {
  type Clock,
  checkLease,
  checkStateKey,
  checkStateOperations,
  checkStateRange,
  encodeStateValue,
  type Json,
  MillraceError,
  type StateEntry,
  type StateOperation,
  type StateStore,
  siblingModule,
} from '../../kernel/index.ts';
import type {
  EncodedOperation,
  StateRead,
  StateReply,
  StateRow,
  StateWrite,
  WorkerFailure,
  WriteOutcome,
} from './state-protocol.ts';

/** Most calls in one transaction, and most that may wait; past it callers get UNAVAILABLE. */
const TURN_CALLS = 1000;
const WAITING_CALLS = 100_000;

interface Waiting<Request, Result> {
  readonly request: Request;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

type WaitingRead = Waiting<StateRead, readonly StateRow[]>;
type WaitingWrite = Waiting<StateWrite, number | undefined>;

/** What is with the worker at the moment; one turn at a time, so that the calls of a sync's length share the next. */
interface Turn {
  readonly reads: readonly WaitingRead[];
  readonly writes: readonly WaitingWrite[];
}

const errorOf = ({ code, message }: WorkerFailure): MillraceError => new MillraceError(code, message);

function toEntry({ key, text, version, expiresAtMs }: StateRow): StateEntry {
  const value = JSON.parse(text) as Json;
  return { key, value, version, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
}

function encodeOperation(operation: StateOperation): EncodedOperation {
  const { kind, table, key, expect } = operation;
  const put = kind === 'put' ? operation : undefined;
  const text = put ? encodeStateValue(put.value) : '';
  return { kind, table, key, expect, text, expiresAtMs: put?.expiresAtMs };
}

function settleWrite(write: WaitingWrite, outcome: WriteOutcome): void {
  if ('conflict' in outcome) write.reject(new MillraceError('STATE_CONFLICT', outcome.conflict));
  else write.resolve(outcome.token);
}

interface SqliteStateOptions {
  /** The database file; its folder must be there. */
  readonly path: string;
  readonly clock: Clock;
}

/**
 * The state store on SQLite, in a worker: no sync holds the main thread. Calls that arrive while a transaction is being
 * synced share the next one.
 *
 * Q1 one turn is with the worker at a time; reads of a turn are answered before its writes are synced.
 * Q2 if the worker ends unexpectedly, the calls with it get UNAVAILABLE (whether writes took effect is unknown) and the
 *    next call starts a new one, which recovers from the write-ahead log.
 * Q3 after the disk reported an error, every write is refused until the store is opened anew.
 */
export function sqliteStateStore(options: SqliteStateOptions): StateStore {
  return new SqliteStateStore(options);
}

class SqliteStateStore implements StateStore {
  readonly name = 'state';
  readonly #path: string;
  readonly #clock: Clock;
  #worker: Worker | undefined;
  #ready = false;
  #closed = false;
  #broken: WorkerFailure | undefined;
  #turn: Turn | undefined;
  #reads: WaitingRead[] = [];
  #writes: WaitingWrite[] = [];
  #opening: PromiseWithResolvers<void> | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor({ path, clock }: SqliteStateOptions) {
    this.#path = path;
    this.#clock = clock;
  }

  start(): Promise<void> {
    this.#open();
    return this.#opening?.promise ?? Promise.resolve();
  }

  /** Finishes what waits; new calls are refused from now on. */
  async stop(): Promise<void> {
    this.#closed = true;
    const drained = Promise.withResolvers<void>();
    this.#drained = drained;
    this.#settle();
    await drained.promise;
    await this.#end();
  }

  async get(table: string, key: string): Promise<StateEntry | undefined> {
    checkStateKey(table, key);
    const [row] = await this.#read({ kind: 'get', table, key });
    return row && toEntry(row);
  }

  async list(table: string, range = {}): Promise<readonly StateEntry[]> {
    return (await this.#read({ kind: 'list', table, ...checkStateRange(table, range) })).map(toEntry);
  }

  async transact(operations: readonly StateOperation[]): Promise<void> {
    checkStateOperations(operations);
    await this.#write({ kind: 'transact', operations: operations.map(encodeOperation) });
  }

  async acquireLease(name: string, owner: string, ttlMs: number): Promise<number | undefined> {
    checkLease(name, owner, ttlMs);
    return this.#write({ kind: 'acquire', name, owner, ttlMs });
  }

  async releaseLease(name: string, owner: string): Promise<void> {
    await this.#write({ kind: 'release', name, owner });
  }

  #read(request: StateRead): Promise<readonly StateRow[]> {
    return this.#enqueue(this.#reads, request);
  }

  #write(request: StateWrite): Promise<number | undefined> {
    if (this.#broken) return Promise.reject(errorOf(this.#broken));
    return this.#enqueue(this.#writes, request);
  }

  #enqueue<Request, Result>(queue: Waiting<Request, Result>[], request: Request): Promise<Result> {
    if (this.#closed) {
      return Promise.reject(
        new MillraceError('UNAVAILABLE', 'The state store is closed. Start the platform again.'),
      );
    }
    if (queue.length >= WAITING_CALLS) {
      const message = `More than ${WAITING_CALLS} calls wait for the state store. Retry in a moment.`;
      return Promise.reject(new MillraceError('UNAVAILABLE', message, { retryAfterMs: 1000 }));
    }
    return new Promise((resolve, reject) => {
      queue.push({ request, resolve, reject });
      this.#open();
      this.#worker?.ref();
      // Calls of the same tick travel together.
      if (queue.length === 1) queueMicrotask(() => this.#send());
    });
  }

  /** The worker keeps the process alive only while somebody waits for it. */
  #settle(): void {
    if (this.#turn || this.#reads.length + this.#writes.length > 0) return;
    this.#worker?.unref();
    this.#drained?.resolve();
  }

  #send(): void {
    if (!this.#ready || this.#turn || this.#reads.length + this.#writes.length === 0) return;
    const turn = { reads: this.#reads.splice(0, TURN_CALLS), writes: this.#writes.splice(0, TURN_CALLS) };
    this.#turn = turn;
    this.#worker?.postMessage({
      nowMs: this.#clock.now(),
      reads: turn.reads.map((read) => read.request),
      writes: turn.writes.map((write) => write.request),
    });
  }

  #open(): void {
    if (this.#worker) return;
    const opening = Promise.withResolvers<void>();
    opening.promise.catch(() => undefined);
    this.#opening = opening;
    const worker = new Worker(siblingModule(import.meta.url, './state-worker'), {
      workerData: { path: this.#path },
    });
    this.#worker = worker;
    worker.on('message', (reply: StateReply) => this.#onReply(reply));
    worker.on('error', (error) => this.#onGone(worker, error));
    worker.on('exit', () => this.#onGone(worker, undefined));
  }

  #onReply(reply: StateReply): void {
    if (reply.kind === 'ready') {
      this.#ready = true;
      this.#opening?.resolve();
    } else if (reply.kind === 'failed') {
      this.#fail(errorOf(reply.failure));
    } else if (reply.kind === 'reads') {
      this.#onReads(reply.results);
      return;
    } else {
      const { writes } = this.#turn ?? { writes: [] };
      this.#turn = undefined;
      this.#onWrites(writes, reply.results);
    }
    this.#send();
    this.#settle();
  }

  #onReads(results: Extract<StateReply, { kind: 'reads' }>['results']): void {
    for (const [index, read] of (this.#turn?.reads ?? []).entries()) {
      const result = results[index]!;
      if ('code' in result) read.reject(errorOf(result));
      else read.resolve(result);
    }
  }

  #onWrites(writes: readonly WaitingWrite[], results: readonly WriteOutcome[] | WorkerFailure): void {
    if (!('code' in results)) {
      for (const [index, write] of writes.entries()) settleWrite(write, results[index]!);
      return;
    }
    if (results.code === 'DISK_FAILED') this.#broken = results;
    for (const write of writes) write.reject(errorOf(results));
  }

  #onGone(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    const message =
      "The state store's worker ended unexpectedly; a write that was under way may or may not have taken effect. " +
      'Retry: the next call starts it again.';
    this.#fail(new MillraceError('UNAVAILABLE', message, { cause, retryAfterMs: 100 }));
  }

  /** Everything that waits gets the error; the next call starts over. */
  #fail(error: MillraceError): void {
    this.#worker = undefined;
    this.#ready = false;
    const waiting = [
      ...(this.#turn?.reads ?? []),
      ...(this.#turn?.writes ?? []),
      ...this.#reads,
      ...this.#writes,
    ];
    this.#turn = undefined;
    this.#reads = [];
    this.#writes = [];
    this.#opening?.reject(error);
    for (const each of waiting) each.reject(error);
    this.#settle();
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined;
    const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    worker.ref();
    worker.postMessage('close');
    await gone;
  }
}
