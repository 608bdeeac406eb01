import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  type AnswerOf,
  type Api,
  type CallOf,
  Reader,
  readResponse,
  SaslAuthenticate,
  SaslHandshake,
  SIZE_BYTES,
  writeRequest,
} from '../../streams/kafka-protocol/index.ts';
import { ConnectionLost } from './failure.ts';
import { FrameReader } from './frame-reader.ts';
import { answerWithinMs, type KafkaOptions } from './options.ts';
import { authenticate, refused } from './sasl.ts';

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

interface Waiting {
  readonly correlationId: number;
  readonly read: (reader: Reader) => unknown;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * One connection to one broker. A broker answers the requests of a connection in their order, one after the other, so what
 * waits (a long poll, a rebalance) has connections of its own.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #clientId: string;
  readonly #answerWithinMs: number;
  readonly #place: string;
  readonly #waiting: Waiting[] = [];
  #correlationId = 0;
  #closed = false;

  private constructor(socket: Socket, { host, port }: BrokerAddress, options: KafkaOptions) {
    this.#socket = socket;
    this.#clientId = options.clientId;
    this.#answerWithinMs = answerWithinMs(options);
    this.#place = `${host}:${port}`;
    const frames = new FrameReader((frame) => this.#answered(frame));
    socket.on('data', (chunk: Buffer) => {
      try {
        frames.add(chunk);
      } catch (error) {
        this.#end(error as Error);
      }
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('it was closed')));
  }

  /** Connected, with TLS and authenticated where the options say so. */
  static async open(address: BrokerAddress, options: KafkaOptions): Promise<Connection> {
    const socket = await openSocket(address, options);
    const connection = new Connection(socket, address, options);
    if (options.sasl) {
      try {
        await connection.#authenticate(options.sasl);
      } catch (error) {
        connection.close();
        throw error;
      }
    }
    return connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends at once; resolves to the answer. Throws ConnectionLost. */
  call<Of extends Api>(
    of: Of,
    version: number,
    request: CallOf<Of>,
    withinMs = this.#answerWithinMs,
  ): Promise<AnswerOf<Of>> {
    const { promise, resolve, reject } = Promise.withResolvers<AnswerOf<Of>>();
    if (this.#closed) {
      reject(new ConnectionLost(`The connection to ${this.#place} is closed.`));
      return promise;
    }
    const correlationId = ++this.#correlationId & 0x7fffffff;
    const chunks = writeRequest(of, version, { correlationId, clientId: this.#clientId }, request);
    // Answers come in order: behind one that is overdue nothing can be told apart any more.
    const timer = setTimeout(() => this.#end(new Error(`${of.name} is not answered in time`)), withinMs);
    timer.unref();
    const read = (reader: Reader): unknown => readResponse(reader, of, version);
    this.#waiting.push({ correlationId, read, resolve, reject, timer });
    this.#socket.cork();
    for (const chunk of chunks) this.#socket.write(chunk);
    this.#socket.uncork();
    return promise;
  }

  close(): void {
    this.#end(new Error('this side closed it'));
  }

  #answered(frame: Buffer): void {
    const waiting = this.#waiting.shift();
    const reader = new Reader(frame, SIZE_BYTES);
    if (!waiting || reader.int32() !== waiting.correlationId)
      throw new Error('it sent an answer to no request');
    clearTimeout(waiting.timer);
    try {
      waiting.resolve(waiting.read(reader) as never);
    } catch (error) {
      waiting.reject(error as Error);
      throw error;
    }
  }

  #end(cause: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    const error = new ConnectionLost(`The connection to ${this.#place} ended: ${cause.message}.`, { cause });
    for (const { reject, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      reject(error);
    }
  }

  async #authenticate(sasl: NonNullable<KafkaOptions['sasl']>): Promise<void> {
    const { errorCode, mechanisms } = await this.call(SaslHandshake, 1, { mechanism: sasl.mechanism });
    if (errorCode !== 0) throw refused(`it takes ${mechanisms.join(', ')}, not ${sasl.mechanism}`);
    await authenticate(sasl, async (message) => {
      const answer = await this.call(SaslAuthenticate, 2, { authBytes: message });
      if (answer.errorCode !== 0) throw refused(answer.errorMessage ?? 'name or password are wrong');
      return answer.authBytes;
    });
  }
}

function openSocket({ host, port }: BrokerAddress, options: KafkaOptions): Promise<Socket> {
  const { tls } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = tls ? connectTls({ ...nameFor(host), ...tls, host, port }) : connectTcp({ host, port });
  const fail = (why: string, cause?: Error): void => {
    socket.destroy();
    reject(new ConnectionLost(`${host}:${port} cannot be reached: ${why}.`, { cause }));
  };
  const failed = (error: Error): void => fail(error.message, error);
  const timer = setTimeout(() => fail('it does not answer'), answerWithinMs(options));
  socket.once('error', failed);
  socket.once(tls ? 'secureConnect' : 'connect', () => {
    clearTimeout(timer);
    socket.off('error', failed);
    socket.setNoDelay(true);
    resolve(socket);
  });
  socket.once('close', () => {
    clearTimeout(timer);
    fail('it closed the connection');
  });
  return promise;
}

/** TLS has no names for addresses; certificates are checked against the address itself. */
const nameFor = (host: string): { servername?: string } => (isIP(host) === 0 ? { servername: host } : {});
