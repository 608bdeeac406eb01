import type { Socket } from 'node:net';
import type { Clock } from '../../kernel/index.ts';
import { type AnswerLine, FastAnswer } from './fast-answer.ts';
import type { HttpAnswer, WholeRequest } from './message.ts';
import { findWholeRequest, type KnownHead } from './whole-request.ts';

export interface FastPathOptions {
  readonly clock: Clock;
  /** How long a connection may be silent before its first request. */
  readonly headersTimeoutMs: number;
  /** How long it may be silent between requests. */
  readonly keepAliveMs: number;
  /** False: the request is node:http's, and the connection from here on. */
  readonly serve: (request: WholeRequest, answer: HttpAnswer) => boolean;
  /** Gives a connection to node:http. */
  readonly handOver: (socket: Socket) => void;
  /** For a connection that was opened and stayed silent. */
  readonly refuseLate: (socket: Socket) => void;
}

/**
 * Serves small requests that arrive whole without node:http, whose streams and parser cost more than all the rest of such a
 * request. It keeps nothing that is half there: a connection that sends anything else, be it half a head, a second request
 * behind the first or `Expect: 100-continue`, is handed to node:http with what it sent, and stays there.
 */
export interface FastPath {
  accept(socket: Socket): void;
  /** Ends connections that wait for a request, and each other one with its answer. */
  close(): void;
  destroy(): void;
}

export function createFastPath(options: FastPathOptions): FastPath {
  const connections = new Set<Connection>();
  const common: Common = { ...options, connections, closing: false, headers: createCommonHeaders(options) };
  return {
    accept: (socket) => void connections.add(new Connection(socket, common)),
    close() {
      common.closing = true;
      for (const connection of connections) connection.closeIdle();
    },
    destroy() {
      for (const { socket } of connections) socket.destroy();
    },
  };
}

interface Common extends FastPathOptions {
  readonly connections: Set<Connection>;
  closing: boolean;
  readonly headers: (closing: boolean) => string;
}

/** As node:http adds them; the date changes once a second. */
function createCommonHeaders({ clock, keepAliveMs }: FastPathOptions): (closing: boolean) => string {
  let [second, date] = [Number.NaN, ''];
  const keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n`;
  return (closing) => {
    const nowMs = clock.now();
    if (Math.floor(nowMs / 1000) !== second) {
      second = Math.floor(nowMs / 1000);
      date = `Date: ${new Date(nowMs).toUTCString()}\r\n`;
    }
    return date + (closing ? 'Connection: close\r\n' : keepAlive);
  };
}

class Connection implements AnswerLine {
  readonly socket: Socket;
  readonly #common: Common;
  readonly #known: KnownHead = { text: '', head: undefined };
  #answer: FastAnswer | undefined;
  /** Whether the timeout is that between requests. */
  #served = false;
  /** What came while a request was being answered. */
  #waiting: Buffer | undefined;

  constructor(socket: Socket, common: Common) {
    this.socket = socket;
    this.#common = common;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', ignore);
    // As in node:http the system's time, not the platform's: it is the client that counts with it.
    socket.setTimeout(common.headersTimeoutMs, this.#onSilence);
  }

  commonHeaders(): string {
    return this.#common.headers(this.#common.closing);
  }

  answered(): void {
    this.#answer = undefined;
    if (!this.#served) {
      this.#served = true;
      this.socket.setTimeout(this.#common.keepAliveMs);
    }
    if (this.#common.closing) this.socket.end();
    const next = this.#waiting;
    if (!next || this.#common.closing) return;
    this.#waiting = undefined;
    this.#take(next);
    // Whoever takes the connection over reads on by itself.
    if (this.#common.connections.has(this)) this.socket.resume();
  }

  closeIdle(): void {
    if (!this.#answer) this.socket.end();
  }

  readonly #onData = (bytes: Buffer): void => {
    if (!this.#answer) {
      this.#take(bytes);
      return;
    }
    this.#waiting = this.#waiting ? Buffer.concat([this.#waiting, bytes]) : bytes;
    this.socket.pause();
  };

  readonly #onSilence = (): void => {
    // It is the handler who is waited for. The timeout has to be armed anew after it fired.
    if (this.#answer) this.#served = false;
    else if (this.#served) this.socket.destroy();
    else this.#common.refuseLate(this.socket);
  };

  readonly #onEnd = (): void => void this.socket.end();

  readonly #onClose = (): void => {
    this.#common.connections.delete(this);
    this.#answer?.lost();
  };

  #take(bytes: Buffer): void {
    const found = this.#common.closing ? undefined : findWholeRequest(bytes, this.#known);
    if (!found) {
      this.#handOver(bytes);
      return;
    }
    const { method, url, headers } = found.head;
    const request = { method, url, headers, socket: this.socket, complete: true, body: found.body } as const;
    const answer = new FastAnswer(this);
    this.#answer = answer;
    if (this.#common.serve(request, answer)) return;
    this.#answer = undefined;
    this.#handOver(bytes);
  }

  #handOver(bytes: Buffer): void {
    const { socket } = this;
    this.#common.connections.delete(this);
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', ignore);
    socket.setTimeout(0, this.#onSilence);
    socket.pause();
    socket.unshift(bytes);
    this.#common.handOver(socket);
    socket.resume();
  }
}

/** What follows is `close`. */
const ignore = (): void => undefined;
