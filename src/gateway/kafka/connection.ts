import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { type Clock, type Principal, signal, signalled } from '../../kernel/index.ts';
import {
  type Api,
  ApiVersions,
  Malformed,
  Reader,
  type RequestHeader,
  type ResponseOf,
  readRequest,
  readRequestHeader,
  SaslAuthenticate,
  SaslHandshake,
  SIZE_BYTES,
  writeResponse,
} from '../../streams/kafka-protocol/index.ts';
import { authenticateRaw, errorResponse } from './answers.ts';
import type { Authorizer } from './authorizer.ts';
import type { Budget } from './budget.ts';
import { Chunks } from './chunks.ts';
import { KAFKA_ERRORS, KafkaError } from './errors.ts';
import type { BrokerAddress, Handler, RequestContext } from './handler.ts';
import type { MemoryPool } from './memory-pool.ts';
import type { Outgoing } from './outgoing.ts';
import type { Quotas } from './quotas.ts';
import { type HandlerRegistry, versionsOf } from './registry.ts';
import { RequestMemory } from './request-memory.ts';
import type { Session } from './sasl/session.ts';

export interface ConnectionLimits {
  /** Largest request. */
  readonly requestBytes: number;
  /** Requests of one connection that wait for their turn; past it nothing more is read. */
  readonly queuedRequests: number;
  /** Bytes of one connection's requests that are not answered; past it no other begins to be read. */
  readonly unansweredBytes: number;
}

export interface ConnectionParts {
  readonly socket: Socket;
  readonly session: Session;
  readonly authorize: Authorizer;
  readonly quotas: Quotas;
  readonly clock: Clock;
  readonly registry: HandlerRegistry;
  readonly budget: Budget;
  readonly outgoing: Outgoing;
  readonly memory: MemoryPool;
  readonly limits: ConnectionLimits;
  readonly advertised: BrokerAddress | undefined;
  /** The door's: fires when it stops. */
  readonly closing: AbortSignal;
}

/** An answer's place in the order of requests. */
interface Slot {
  readonly bytes: number;
  readonly memory: RequestMemory;
  chunks: readonly Uint8Array[] | undefined;
}

/** Of a client that has not said who it is: enough for any step of an authentication. */
const STRANGER_BYTES = 64 * 1024;
/** The header without a client id. */
const SHORTEST_REQUEST_BYTES = 10;
const FOR_STRANGERS: ReadonlySet<number> = new Set([
  ApiVersions.key,
  SaslHandshake.key,
  SaslAuthenticate.key,
]);
/** Who has not said who they are may do nothing; no guard has let them in. */
const NOBODY: Principal = Object.freeze({ id: 'nobody', kind: 'sasl' });

/**
 * One client. Requests are handled in the order they came, the next when the one before is answered or has called
 * `proceed`; answers leave in that order. C1 what is not answered yet is bounded, per connection in number and over
 * all connections in bytes: past it the socket is not read. C2 nothing begins while the client does not take what was
 * answered. C3 whatever is no request ends the connection, and nothing else.
 */
export class Connection {
  readonly #parts: ConnectionParts;
  readonly #socket: Socket;
  readonly #arrived: Chunks;
  readonly #queue: Buffer[] = [];
  readonly #slots: Slot[] = [];
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  readonly #peer: string;
  readonly #resume = (): void => this.#granted();
  /** Size of the frame that is arriving; its bytes are taken from the budget. */
  #frameBytes: number | undefined;
  #waitsForBudget = false;
  /** Taken from the budget and not given back. */
  #heldBytes = 0;
  #running = false;
  #refusing = false;
  #corked = false;
  #mutedUntilMs = 0;
  lastActivityMs: number;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#socket = parts.socket;
    this.#arrived = new Chunks((bytes) => parts.memory.take(bytes));
    this.#peer = plainAddress(parts.socket.remoteAddress);
    this.#signal = AbortSignal.any([this.#ended.signal, parts.closing]);
    this.lastActivityMs = parts.clock.monotonic();
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on('drain', () => this.#advance());
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#onClose());
  }

  /** Nothing is being handled or answered. */
  get idle(): boolean {
    return this.#slots.length === 0 && this.#queue.length === 0;
  }

  /** Whoever is there has said who they are, or need not. */
  get isKnown(): boolean {
    return this.#parts.session.principal !== undefined;
  }

  /** A request has begun to arrive and is not complete. */
  get arriving(): boolean {
    return this.#frameBytes !== undefined || this.#arrived.sizeBytes > 0;
  }

  /** Takes no more requests, answers those that have begun, then ends. */
  refuse(): void {
    this.#refusing = true;
    for (const frame of this.#queue.splice(0)) this.#give(frame.length);
    if (this.idle) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.lastActivityMs = this.#parts.clock.monotonic();
    if (this.#refusing) return;
    this.#arrived.push(chunk);
    this.#parse();
  }

  #parse(): void {
    for (;;) {
      if (this.#waitsForBudget) return;
      if (this.#queue.length >= this.#parts.limits.queuedRequests) return void this.#socket.pause();
      if (this.#frameBytes === undefined && !this.#beginFrame()) return;
      if (this.#frameBytes === undefined || this.#arrived.sizeBytes < this.#frameBytes) return;
      this.#queue.push(this.#arrived.take(this.#frameBytes));
      this.#frameBytes = undefined;
      this.#advance();
    }
  }

  /** Reads the size of the next frame and takes its bytes from the budget; false when either has to wait. */
  #beginFrame(): boolean {
    if (this.#arrived.sizeBytes < SIZE_BYTES) return false;
    if (this.#heldBytes >= this.#parts.limits.unansweredBytes) {
      this.#socket.pause();
      return false;
    }
    const size = this.#arrived.takeInt32();
    const most = this.isKnown ? this.#parts.limits.requestBytes : STRANGER_BYTES;
    const least = this.#parts.session.raw ? 0 : SHORTEST_REQUEST_BYTES;
    if (size < least || size > most) {
      this.#end(`it announces a request of ${size} bytes; at most ${most} are taken`);
      return false;
    }
    this.#frameBytes = size;
    this.#heldBytes += size;
    if (this.#parts.budget.take(size, this.#resume)) return true;
    this.#waitsForBudget = true;
    this.#socket.pause();
    return false;
  }

  #give(bytes: number): void {
    const { limits, budget } = this.#parts;
    budget.give(bytes);
    const waited = this.#heldBytes >= limits.unansweredBytes;
    this.#heldBytes -= bytes;
    if (waited && this.#heldBytes < limits.unansweredBytes) this.#readOn();
  }

  /** One reason not to read is gone; `#parse` looks for others. */
  #readOn(): void {
    if (this.#waitsForBudget || this.#refusing) return;
    this.#socket.resume();
    setImmediate(() => this.#parse());
  }

  #granted(): void {
    this.#waitsForBudget = false;
    this.#socket.resume();
    this.#parse();
  }

  /** Begins what may begin. */
  #advance(): void {
    while (!this.#running && this.#queue.length > 0 && !this.#socket.writableNeedDrain) {
      if (this.#isMuted()) return;
      const frame = this.#queue.shift()!;
      if (this.#queue.length === this.#parts.limits.queuedRequests - 1) this.#readOn();
      this.#begin(frame);
    }
  }

  #isMuted(): boolean {
    const leftMs = this.#mutedUntilMs - this.#parts.clock.monotonic();
    if (leftMs <= 0) return false;
    this.#parts.clock.after(leftMs, () => this.#advance());
    return true;
  }

  #begin(frame: Buffer): void {
    const memory = new RequestMemory(this.#parts.memory, frame);
    const slot: Slot = { bytes: frame.length, memory, chunks: undefined };
    this.#slots.push(slot);
    this.#running = true;
    let proceeded = false;
    const proceed = (): void => {
      if (proceeded) return;
      proceeded = true;
      this.#running = false;
      // Not within the handler that called: it may still be at its own first steps.
      process.nextTick(() => this.#advance());
    };
    const done = (chunks: readonly Uint8Array[]): void => {
      slot.chunks = chunks;
      this.#give(slot.bytes);
      memory.answered();
      this.#flush();
      proceed();
    };
    try {
      const answer = this.#serve(frame, memory, proceed);
      if (answer instanceof Promise) {
        answer.then(done, (error: unknown) => this.#failed(slot, error));
      } else done(answer);
    } catch (error) {
      this.#failed(slot, error);
    }
  }

  #failed(slot: Slot, error: unknown): void {
    this.#give(slot.bytes);
    slot.chunks = [];
    if (error instanceof Malformed || error instanceof KafkaError) {
      this.#end(error.message);
      return;
    }
    signal('platform.log', {
      level: 'error',
      room: 'gateway',
      message: `A request of a Kafka client at ${this.#peer} failed.`,
      error,
    });
    this.#socket.destroy();
  }

  #serve(
    frame: Buffer,
    memory: RequestMemory,
    proceed: () => void,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]> {
    const { session } = this.#parts;
    if (session.raw) return authenticateRaw(session, frame);
    const reader = new Reader(frame);
    const header = readRequestHeader(reader);
    const handler = this.#parts.registry.find(header.apiKey);
    if (!handler) throw new Malformed(`there is no API ${header.apiKey}`);
    const { api } = handler;
    const { principal } = session;
    if (!principal && !FOR_STRANGERS.has(api.key)) throw new Malformed(`${api.name} needs authentication`);
    const versions = versionsOf(handler);
    if (header.apiVersion < versions.from || header.apiVersion > versions.to) {
      return this.#unsupported(handler, header);
    }
    const request = readRequest(reader, api, header.apiVersion);
    const begun = this.#parts.clock.monotonic();
    const write = (response: ResponseOf<Api> | undefined): readonly Uint8Array[] => {
      const chunks =
        response === undefined ? [] : writeResponse(api, header.apiVersion, header.correlationId, response);
      if (signalled('kafka.served')) {
        const durationMs = this.#parts.clock.monotonic() - begun;
        signal('kafka.served', { api: api.name, durationMs, bytes: sizeOf(chunks) });
      }
      return chunks;
    };
    const refused = (error: unknown): readonly Uint8Array[] => {
      const response = errorResponse(handler, error);
      if (!response) throw error;
      return write(response);
    };
    try {
      const answer = handler.handle(request, this.#contextOf(api.name, header, memory, proceed));
      return answer instanceof Promise ? answer.then(write).catch(refused) : write(answer);
    } catch (error) {
      return refused(error);
    }
  }

  /** A client that asks for newer versions than are known learns which are (KIP-511); others have asked before. */
  #unsupported({ api }: Handler, header: RequestHeader): readonly Uint8Array[] {
    if (api.key !== ApiVersions.key) {
      throw new Malformed(`version ${header.apiVersion} of ${api.name} is not served`);
    }
    const apiKeys = this.#parts.registry.advertised.map(({ apiKey, versions }) => ({
      apiKey,
      minVersion: versions.from,
      maxVersion: versions.to,
    }));
    const response = { errorCode: KAFKA_ERRORS.UNSUPPORTED_VERSION, apiKeys };
    return writeResponse(ApiVersions, 0, header.correlationId, response);
  }

  #contextOf(api: string, header: RequestHeader, memory: RequestMemory, proceed: () => void): RequestContext {
    const { authorize, session, advertised, outgoing, quotas } = this.#parts;
    const principal = session.principal ?? NOBODY;
    const { clientId } = header;
    return {
      version: header.apiVersion,
      clientId,
      principal,
      session,
      peer: this.#peer,
      broker: advertised ?? {
        host: plainAddress(this.#socket.localAddress),
        port: this.#socket.localPort ?? 0,
      },
      mostResponseBytes: outgoing.mostBytes,
      signal: this.#signal,
      permits: (action, resource) => authorize({ principal, host: this.#peer, api, action, resource }),
      proceed,
      hold: () => memory.hold(),
      lend: (bytes) => memory.lend(bytes),
      throttle: (key, bytes) => {
        const quietMs = quotas.use(principal.name ?? principal.id, clientId ?? '', key, bytes);
        this.#mutedUntilMs = Math.max(this.#mutedUntilMs, this.#parts.clock.monotonic() + quietMs);
        return quietMs;
      },
      endAfterAnswer: () => this.refuse(),
    };
  }

  /** Sends the answers whose turn it is; all of one turn of the event loop leave in one write. */
  #flush(): void {
    while (this.#slots[0]?.chunks) {
      const { chunks, memory } = this.#slots.shift()!;
      if (chunks!.length === 0) continue;
      if (!this.#corked) {
        this.#corked = true;
        this.#socket.cork();
        process.nextTick(() => {
          this.#corked = false;
          this.#socket.uncork();
        });
      }
      this.#send(chunks!, memory);
    }
    if (this.#refusing && this.idle) this.#socket.end();
  }

  #send(chunks: readonly Uint8Array[], memory: RequestMemory): void {
    const { outgoing } = this.#parts;
    const bytes = sizeOf(chunks);
    outgoing.add(bytes);
    for (const chunk of chunks.slice(0, -1)) this.#socket.write(chunk);
    // Called when the system has it, and when the connection ends before.
    this.#socket.write(chunks.at(-1)!, (error) => {
      outgoing.taken(bytes);
      if (!error) memory.taken();
    });
  }

  #end(why: string): void {
    const message = `The connection of a Kafka client at ${this.#peer} was ended: ${why}`;
    signal('platform.log', { level: 'debug', room: 'gateway', message });
    this.#socket.destroy();
  }

  #onClose(): void {
    const { budget } = this.#parts;
    this.#refusing = true;
    this.#ended.abort();
    if (this.#waitsForBudget) budget.forget(this.#resume);
    else if (this.#frameBytes !== undefined) budget.give(this.#frameBytes);
    for (const frame of this.#queue.splice(0)) budget.give(frame.length);
  }
}

const sizeOf = (chunks: readonly Uint8Array[]): number =>
  chunks.reduce((sum, chunk) => sum + chunk.length, 0);

/** `::ffff:10.0.0.1`, an IPv4 address on a socket for both, is `10.0.0.1`. */
function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}
