import type { Clock, Timer } from '../../kernel/index.ts';
import type { FunctionError, InvocationOutcome, InvocationValue, LogLine } from '../invocation.ts';
import type { Instance, InstanceEnd, InstanceListener, InstanceSpec, Runtime } from '../port.ts';
import type { CallOperation, FromInstance, ToInstance, WireError } from '../protocol.ts';
import { RequestPump, ResponseBody } from './bodies.ts';
import type { Outcome } from './stats.ts';
import { errorOf, failure, fromPayload, recordsValue, toWire } from './wire.ts';
import { type Work, whenGone } from './work.ts';

/** What an instance tells its pool. */
export interface PoolSide {
  readonly clock: Clock;
  readonly timeoutMs: number;
  ready(instance: LiveInstance): void;
  /** The code could not be loaded, or the instance ended before it was ready. */
  startFailed(instance: LiveInstance, error: FunctionError): void;
  /** A place has become free, or the instance takes nothing more. */
  freed(instance: LiveInstance): void;
  ended(instance: LiveInstance): void;
  settle(work: Work, outcome: InvocationOutcome, kind: Outcome): void;
  /** What an invocation asks of the platform; undefined when the invocation has ended. */
  call(work: Work | undefined, operation: CallOperation, answer: (message: CallAnswer) => void): void;
  log(line: LogLine, invocationId: string, traceId: string): void;
}

export type CallAnswer =
  | {
      readonly kind: 'answer';
      readonly value: string | Uint8Array | undefined | object | number | boolean | null;
    }
  | { readonly kind: 'refusal'; readonly code: string; readonly message: string };

interface Slot {
  readonly work: Work;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  pump: RequestPump | undefined;
  body: ResponseBody | undefined;
}

/**
 * One running instance as its pool sees it: what is in flight on it, and until when. After a deadline has passed it is
 * condemned: it gets nothing new, its other invocations go on to their own deadlines, then it is ended.
 */
export class LiveInstance implements InstanceListener {
  readonly #pool: PoolSide;
  readonly #instance: Instance;
  /** In the order they began; all have the same timeout, so the first is the first to expire. */
  readonly #slots = new Map<number, Slot>();
  state: 'starting' | 'ready' | 'draining' | 'ended' = 'starting';
  readonly startedMs: number;
  #served = 0;
  #nextId = 1;
  #timer: Timer | undefined;

  constructor(pool: PoolSide, runtime: Runtime, spec: InstanceSpec) {
    this.#pool = pool;
    this.startedMs = pool.clock.monotonic();
    this.#instance = runtime.open(spec, this);
  }

  get inFlight(): number {
    return this.#slots.size;
  }

  run(work: Work): void {
    const { clock, timeoutMs } = this.#pool;
    const id = this.#nextId++;
    work.startedMs = clock.monotonic();
    work.cold ||= this.#served === 0;
    this.#served++;
    const transfers: ArrayBuffer[] = [];
    const { invocationId, idempotencyKey, attempt } = work.context;
    const ownKey = idempotencyKey === invocationId ? undefined : idempotencyKey;
    const event = toWire(work.event, transfers);
    const wallDeadlineMs = clock.now() + timeoutMs;
    const slot: Slot = { work, deadlineMs: work.startedMs + timeoutMs, pump: undefined, body: undefined };
    this.#slots.set(id, slot);
    this.#instance.send(
      ['run', id, event, invocationId, work.traceId, ownKey, attempt, wallDeadlineMs],
      transfers,
    );
    if (event[0] === 'http' && event[8] === true && work.event.kind === 'http') {
      slot.pump = new RequestPump(this.#line, id, work.event.body as AsyncIterable<Uint8Array>);
    }
    whenGone(work, () => this.#gone(id, work));
    this.#timer ??= clock.after(timeoutMs, () => this.#expire());
  }

  /** Gives it nothing more and ends it when the last invocation has. */
  drain(): void {
    if (this.state === 'ended') return;
    this.state = 'draining';
    if (this.#slots.size === 0) this.end();
  }

  end(): void {
    this.#instance.end();
  }

  received(messages: readonly FromInstance[]): void {
    for (const message of messages) this.#receiveOne(message);
  }

  ended(end: InstanceEnd): void {
    const before = this.state;
    this.state = 'ended';
    this.#timer?.cancel();
    const error: FunctionError = {
      code: 'FUNCTION_CRASHED',
      name: CRASH_NAMES[end.reason],
      message: `The instance of the function ended. ${end.message}`,
      ...(end.stack === undefined ? {} : { stack: end.stack }),
    };
    for (const [id, slot] of [...this.#slots]) this.#fail(id, slot, error, 'crash');
    if (before === 'starting') this.#pool.startFailed(this, { ...error, name: `Start${error.name}` });
    this.#pool.ended(this);
  }

  readonly #line = {
    send: (message: ToInstance, transfer?: readonly ArrayBuffer[]): void =>
      this.#instance.send(message, transfer),
  };

  #receiveOne(message: FromInstance): void {
    switch (message[0]) {
      case 'ok':
        this.#succeed(message[1], { kind: 'json', json: fromPayload(message[2]) });
        break;
      case 'reply':
        this.#reply(message);
        break;
      case 'records':
        this.#succeed(message[1], recordsValue(message));
        break;
      case 'error':
        this.#failWith(message[1], message[2]);
        break;
      case 'call':
        this.#call(message[1], message[2], message[3]);
        break;
      case 'log':
        this.#log(message);
        break;
      case 'chunk':
        this.#slots.get(message[1])?.body?.push(message[2]);
        break;
      case 'chunkEnd':
        this.#bodyEnded(message[1], message[2]);
        break;
      case 'credit':
        this.#slots.get(message[1])?.pump?.credit(message[2]);
        break;
      case 'ready':
        if (this.state === 'starting') this.state = 'ready';
        this.#pool.ready(this);
        break;
      case 'failed':
        this.state = 'draining';
        this.#pool.startFailed(this, errorOf(message[1]));
        this.end();
        break;
    }
  }

  #succeed(id: number, value: InvocationValue): void {
    const slot = this.#slots.get(id);
    if (!slot) return;
    const { work } = slot;
    const durationMs = this.#pool.clock.monotonic() - work.startedMs;
    this.#pool.settle(work, { status: 'ok', value, durationMs, cold: work.cold }, 'ok');
    this.#remove(id, slot);
  }

  /** A streamed response settles the work at its head; the place stays taken until the body has ended. */
  #reply(message: Extract<FromInstance, readonly ['reply', ...unknown[]]>): void {
    const [, id, statusCode, headers, body, streams] = message;
    if (!streams) {
      this.#succeed(id, { kind: 'http', response: { statusCode, headers, body: fromPayload(body) } });
      return;
    }
    const slot = this.#slots.get(id);
    if (!slot) return;
    slot.body = new ResponseBody(this.#line, id);
    const value: InvocationValue = { kind: 'http', response: { statusCode, headers, body: slot.body } };
    const durationMs = this.#pool.clock.monotonic() - slot.work.startedMs;
    this.#pool.settle(slot.work, { status: 'ok', value, durationMs, cold: slot.work.cold }, 'ok');
  }

  #bodyEnded(id: number, error: string | undefined): void {
    const slot = this.#slots.get(id);
    if (!slot) return;
    slot.body?.end(error === undefined ? undefined : new Error(error));
    this.#remove(id, slot);
  }

  #failWith(id: number, error: WireError): void {
    const slot = this.#slots.get(id);
    if (slot) this.#fail(id, slot, errorOf(error), 'error');
  }

  #fail(id: number, slot: Slot, error: FunctionError, kind: Outcome): void {
    const { work } = slot;
    const durationMs = this.#pool.clock.monotonic() - work.startedMs;
    slot.body?.end(new Error(error.message));
    this.#pool.settle(work, failure(error, durationMs, work.cold), kind);
    this.#remove(id, slot);
  }

  #remove(id: number, slot: Slot): void {
    slot.pump?.stop();
    this.#slots.delete(id);
    if (this.state === 'ended') return;
    if (this.state === 'draining' && this.#slots.size === 0) this.end();
    this.#pool.freed(this);
  }

  #gone(id: number, work: Work): void {
    if (this.#slots.get(id)?.work === work) this.#instance.send(['cancel', id, 'gone']);
  }

  /** The timer is armed for the oldest when it began, and armed again for the oldest that is left. */
  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#pool.clock.monotonic();
    for (const [id, slot] of this.#slots) {
      if (slot.deadlineMs > nowMs) {
        this.#timer = this.#pool.clock.after(slot.deadlineMs - nowMs, () => this.#expire());
        return;
      }
      this.#instance.send(['cancel', id, 'deadline']);
      if (this.state === 'ready') this.state = 'draining';
      this.#fail(id, slot, this.#timedOut(), 'timeout');
    }
  }

  #timedOut(): FunctionError {
    return {
      code: 'FUNCTION_TIMED_OUT',
      name: 'TimeoutError',
      message: `The function did not answer within ${this.#pool.timeoutMs} ms. Raise its \`timeout\`, or find what it waits for.`,
    };
  }

  #call(callId: number, id: number, operation: CallOperation): void {
    this.#pool.call(this.#slots.get(id)?.work, operation, (answer) => {
      if (answer.kind === 'refusal') {
        this.#instance.send(['refusal', callId, answer.code, answer.message]);
        return;
      }
      const { value } = answer;
      // Bytes come from rooms that may still need them, as views of anything: a copy is what can be sent.
      const plain = value instanceof Uint8Array ? new Uint8Array(value) : value;
      this.#instance.send(['answer', callId, plain as never]);
    });
  }

  #log(message: Extract<FromInstance, readonly ['log', ...unknown[]]>): void {
    const [, id, invocationId, traceId, level, text, attributes] = message;
    const line: LogLine = {
      level,
      timeMs: this.#pool.clock.now(),
      message: text,
      ...(attributes === undefined ? {} : { attributes: asObject(JSON.parse(attributes)) }),
    };
    this.#slots.get(id)?.work.context.onLog?.(line);
    this.#pool.log(line, invocationId, traceId);
  }
}

function asObject(value: unknown): { readonly [name: string]: unknown } {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as { readonly [name: string]: unknown }) : { value };
}

const CRASH_NAMES = {
  ended: 'Ended',
  exited: 'ProcessExit',
  error: 'UncaughtError',
  memory: 'OutOfMemory',
} as const;
