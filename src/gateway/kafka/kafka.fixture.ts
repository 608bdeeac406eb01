import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { Chunks } from './chunks.ts';
import type { AnswerOf, Api, CallOf } from './codec/fields.ts';
import { readResponse, writeRequest } from './codec/frame.ts';
import { Reader } from './codec/reader.ts';

/** A client of the Kafka protocol driven by hand, over a real socket. */
export interface TestClient {
  readonly socket: Socket;
  /** Sends one request and resolves to its answer; several may be under way. */
  call<Of extends Api>(of: Of, version: number, message: CallOf<Of>): Promise<AnswerOf<Of>>;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
  close(): void;
}

interface Waiting {
  readonly api: Api;
  readonly version: number;
  readonly correlationId: number;
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/** Connects to `HOST:PORT`. Answers must come in the order of the requests, or the test fails. */
export function testClient(address: string, clientId = 'test'): TestClient {
  const [host, port] = [
    address.slice(0, address.lastIndexOf(':')),
    address.slice(address.lastIndexOf(':') + 1),
  ];
  const socket = connect(Number(port), host);
  const waiting: Waiting[] = [];
  const arrived = new Chunks();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let correlationId = 0;
  let size: number | undefined;

  const onFrame = (frame: Buffer): void => {
    const next = waiting.shift();
    if (!next) throw new Error('An answer that nobody asked for.');
    const reader = new Reader(frame);
    const answers = reader.int32();
    if (answers !== next.correlationId) {
      next.reject(new Error(`Answer ${answers} where ${next.correlationId} was due.`));
    } else next.resolve(readResponse(reader, next.api, next.version));
  };

  socket.setNoDelay(true);
  socket.on('data', (chunk) => {
    arrived.push(chunk as Buffer);
    for (;;) {
      if (size === undefined && arrived.sizeBytes >= 4) size = arrived.take(4).readInt32BE(0);
      if (size === undefined || arrived.sizeBytes < size) return;
      onFrame(arrived.take(size));
      size = undefined;
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    for (const each of waiting.splice(0)) each.reject(new Error('The connection has ended.'));
    end();
  });

  return {
    socket,
    ended,
    call(api, version, message) {
      const header = { correlationId: correlationId++, clientId };
      const answer = new Promise<unknown>((resolve, reject) => {
        waiting.push({ api, version, correlationId: header.correlationId, resolve, reject });
      });
      socket.write(Buffer.concat(writeRequest(api, version, header, message)));
      return answer as Promise<AnswerOf<typeof api>>;
    },
    close: () => socket.destroy(),
  };
}
