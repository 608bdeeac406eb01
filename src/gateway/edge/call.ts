import type { HttpAnswer, HttpRequest } from '../http/message.ts';
import type { EdgeRoute } from './routes.ts';

/** One request on its way through the edge port. */
export class Call {
  readonly request: HttpRequest;
  readonly response: HttpAnswer;
  /** Without the query. */
  readonly path: string;
  /** What follows the `?`, undecoded. */
  readonly search: string;
  /** Of this request's span. */
  readonly traceparent: string;
  /** Headers of any answer, success or not: name, value, name, value, … */
  readonly headers: string[];
  /** There where the client waits for `100 Continue` before it sends its body. */
  askForBody: (() => void) | undefined;
  route: EdgeRoute | undefined;
  params: { readonly [name: string]: string } = {};
  clientIp = '';
  /** Read once, although a change of versions may have it checked twice. */
  body: Buffer | Promise<Buffer> | undefined;
  counted = false;
  /** Why a streamed body was cut off. */
  bodyFault: unknown;
  #controller: AbortController | undefined;

  constructor(
    request: HttpRequest,
    response: HttpAnswer,
    target: readonly [path: string, search: string],
    traceparent: string,
    askForBody: (() => void) | undefined,
  ) {
    this.request = request;
    this.response = response;
    [this.path, this.search] = target;
    this.traceparent = traceparent;
    this.headers = ['Traceparent', traceparent];
    this.askForBody = askForBody;
  }

  /** Fires when the client has gone before its answer was sent. */
  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  gone(): void {
    this.#controller?.abort();
  }
}

/** Path and query of a request target: `/a?b`, or `http://host/a?b` as proxies are sent it (RFC 9112, section 3.2). */
export function splitTarget(url: string): readonly [path: string, search: string] {
  if (url === '*') return ['/', ''];
  const target = url.charCodeAt(0) === 0x2f ? url : url.replace(/^https?:\/\/[^/?]*/i, '') || '/';
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}
