import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';

/** A small request whose head and body arrived at once; it has what doors read of node:http's. */
export interface WholeRequest {
  readonly method: string;
  readonly url: string;
  /** Lower-case names; shared by requests with the same head. */
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
  readonly complete: true;
  readonly body: Buffer;
}

export type HttpRequest = IncomingMessage | WholeRequest;

export function isWhole(request: HttpRequest): request is WholeRequest {
  return 'body' in request;
}

/** What doors use of a response: node:http's `ServerResponse` is one, and so is `FastAnswer`. */
export interface HttpAnswer {
  statusCode: number;
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  readonly writableFinished: boolean;
  readonly writableLength: number;
  readonly socket: Socket | null;
  setHeader(name: string, value: string): unknown;
  appendHeader(name: string, value: string): unknown;
  /** Headers as an object, or as a flat list: name, value, name, value, … */
  writeHead(statusCode: number, headers?: OutgoingHttpHeaders | string[]): unknown;
  flushHeaders(): void;
  /** False: wait for `drain` before writing more. */
  write(chunk: string | Uint8Array): boolean;
  end(body?: string | Uint8Array, encoding?: BufferEncoding): unknown;
  destroy(): unknown;
  on(event: AnswerEvent, listener: () => void): unknown;
  off(event: AnswerEvent, listener: () => void): unknown;
}

/** `close` comes last, whether the answer was sent (`writableFinished`) or its client has gone. */
export type AnswerEvent = 'close' | 'drain' | 'finish';
