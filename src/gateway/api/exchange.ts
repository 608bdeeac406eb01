import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Principal } from '../../kernel/index.ts';
import { readBody } from '../http/body.ts';
import type { HttpAnswer, HttpRequest } from '../http/message.ts';
import type { Setting } from './setting.ts';

/** One request on a hot route and its answer, without a framework. A `NodeExchange` has node:http's own streams. */
export class Exchange<Request extends HttpRequest = HttpRequest, Answer extends HttpAnswer = HttpAnswer> {
  readonly request: Request;
  readonly response: Answer;
  /** Decoded values of the path's parameters, in order. */
  readonly params: readonly string[];
  /** What follows the `?`, undecoded; empty when there is none. */
  readonly search: string;
  readonly principal: Principal;
  readonly setting: Setting;

  constructor(
    request: Request,
    response: Answer,
    params: readonly string[],
    search: string,
    principal: Principal,
    setting: Setting,
  ) {
    this.request = request;
    this.response = response;
    this.params = params;
    this.search = search;
    this.principal = principal;
    this.setting = setting;
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** The whole body, bounded. */
  body(limitBytes: number = this.setting.bodyBytes): Buffer | Promise<Buffer> {
    return readBody(this.request, limitBytes);
  }

  query(): URLSearchParams {
    return new URLSearchParams(this.search);
  }

  json(status: number, text: string | Uint8Array, headers: OutgoingHttpHeaders = {}): void {
    this.send(status, 'application/json', text, headers);
  }

  /** An answer without a body. */
  empty(status: number, headers: OutgoingHttpHeaders): void {
    this.response.writeHead(status, headers);
    this.response.end();
  }

  send(status: number, type: string, body: string | Uint8Array, headers: OutgoingHttpHeaders = {}): void {
    if (this.response.headersSent) return;
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    this.response.writeHead(status, { 'Content-Type': type, 'Content-Length': length, ...headers });
    this.response.end(this.request.method === 'HEAD' ? undefined : body);
  }
}

export type NodeExchange = Exchange<IncomingMessage, ServerResponse>;
