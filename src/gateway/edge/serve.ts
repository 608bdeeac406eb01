import type { Dispatcher, HttpReply } from '../../functions/index.ts';
import { type Clock, type Ids, MillraceError, type Secrets, signal, signalled } from '../../kernel/index.ts';
import type { HttpAnswer, HttpRequest, WholeRequest } from '../http/message.ts';
import { answerError } from '../http/problem.ts';
import { type AddressSet, clientAddress } from './addresses.ts';
import { createBodyReader, hasBody, streamedBody } from './body.ts';
import { type Cacheable, cacheKey, createResponseCache } from './cache.ts';
import { Call, splitTarget } from './call.ts';
import { checkAddress, checkBody, checkKey, checkRate, idempotencyKey, isGone, readQuery } from './checks.ts';
import { corsHeaders, preflightHeaders, preflightMethod } from './cors.ts';
import { functionFailure, noRoute, otherMethods, stopping } from './errors.ts';
import { createKeyring } from './keys.ts';
import type { Query } from './query.ts';
import { createReplyWriter } from './reply.ts';
import type { EdgeRoute, RouteTable } from './routes.ts';
import { traceOf } from './trace.ts';

export interface EdgeServeOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly dispatcher: Dispatcher;
  readonly secrets: Pick<Secrets, 'read'>;
  readonly table: RouteTable;
  readonly trustedProxies: AddressSet | undefined;
  readonly cacheBytes: number;
  /** What whole bodies that are being received may hold together. */
  readonly bodyBudgetBytes: number;
  readonly bodyTimeoutMs: number;
  /** How long a client may take nothing of its answer. */
  readonly stallMs: number;
}

export interface EdgeServe {
  /** `askForBody` is there for a client that waits for `100 Continue`. */
  serve(request: HttpRequest, response: HttpAnswer, askForBody?: () => void): void;
  /** Takes a request that came whole where there is a route for it that does not stream bodies. */
  serveWhole(request: WholeRequest, answer: HttpAnswer): boolean;
  refuse(): void;
}

/** Requests that one connection may have waiting for their answers, sent one behind the other (pipelined). */
const MOST_PIPELINED = 64;

export function createEdgeServe(options: EdgeServeOptions): EdgeServe {
  const server = new EdgeServer(options);
  return {
    serve: (request, response, askForBody) => server.serve(request, response, askForBody),
    serveWhole: (request, answer) => server.serveWhole(request, answer),
    refuse: () => server.refuse(),
  };
}

class EdgeServer {
  readonly #options: EdgeServeOptions;
  readonly #keyring;
  readonly #bodies;
  readonly #cache;
  readonly #writer;
  readonly #waiting = new WeakMap<object, number>();
  #refusing = false;

  constructor(options: EdgeServeOptions) {
    const { clock } = options;
    this.#options = options;
    this.#keyring = createKeyring(options.secrets, clock);
    this.#bodies = createBodyReader({
      clock,
      timeoutMs: options.bodyTimeoutMs,
      budgetBytes: options.bodyBudgetBytes,
    });
    this.#cache = createResponseCache(clock, options.cacheBytes);
    this.#writer = createReplyWriter(clock, options.stallMs);
  }

  refuse(): void {
    this.#refusing = true;
  }

  serveWhole(request: WholeRequest, answer: HttpAnswer): boolean {
    const { url, method } = request;
    // A path that has to be decoded may be one that is refused.
    if (url.includes('%') || url.includes('/.')) return false;
    const match = this.#options.table.router.find(method, splitTarget(url)[0]);
    if (!match || match.route.trigger.streamBody) return false;
    this.serve(request, answer);
    return true;
  }

  serve(request: HttpRequest, response: HttpAnswer, askForBody?: () => void): void {
    const { socket } = request;
    const waiting = (this.#waiting.get(socket) ?? 0) + 1;
    if (waiting > MOST_PIPELINED) {
      socket.destroy();
      return;
    }
    this.#waiting.set(socket, waiting);
    const traceparent = traceOf(request.headers.traceparent as string | undefined, this.#options.ids);
    const target = splitTarget(request.url ?? '/');
    const call = new Call(request, response, target, traceparent, askForBody);
    this.#watch(call);
    this.#answer(call).catch((error: unknown) => {
      for (let at = 0; at < call.headers.length && !response.headersSent; at += 2) {
        response.appendHeader(call.headers[at]!, call.headers[at + 1]!);
      }
      answerError(request, response, error);
    });
  }

  #watch(call: Call): void {
    const { clock } = this.#options;
    const { request, response } = call;
    const { socket } = request;
    const startMs = clock.monotonic();
    const bytesBefore = socket.bytesWritten;
    response.on('close', () => {
      this.#waiting.set(socket, this.#waiting.get(socket)! - 1);
      if (!response.writableFinished) call.gone();
      if (!signalled('http.served')) return;
      signal('http.served', {
        door: 'edge',
        route: call.route?.path ?? 'none',
        method: request.method ?? '',
        status: response.statusCode,
        durationMs: clock.monotonic() - startMs,
        bytes: socket.bytesWritten - bytesBefore,
      });
    });
  }

  async #answer(call: Call): Promise<void> {
    if (this.#refusing) throw stopping();
    call.clientIp = clientAddress(call.request, this.#options.trustedProxies);
    // A deployment while the body arrived: the request is checked again, to be served wholly by one version.
    for (let attempt = 0; ; attempt++) {
      const { router } = this.#options.table;
      const match = router.find(call.request.method ?? 'GET', call.path);
      if (!match) {
        this.#answerUnrouted(call);
        return;
      }
      this.#enter(call, match.route, match.params);
      try {
        if (await this.#answerRouted(call, match.route, router)) return;
      } catch (error) {
        if (!isGone(error) || attempt >= 10) throw error;
        await new Promise(setImmediate);
      }
    }
  }

  #enter(call: Call, route: EdgeRoute, params: Call['params']): void {
    const isFirst = call.route === undefined;
    call.route = route;
    call.params = params;
    const { cors } = route.trigger;
    if (isFirst && cors) call.headers.push(...corsHeaders(cors, call.request.headers.origin));
  }

  /** OPTIONS, a method that the path is not served for, or a path that nobody serves. */
  #answerUnrouted(call: Call): void {
    const { request, response } = call;
    const { router } = this.#options.table;
    const methods: string[] = router.methods(call.path);
    if (methods.length === 0 && request.url !== '*') throw noRoute(call.path);
    if (methods.includes('GET')) methods.push('HEAD');
    const allow = [...methods, 'OPTIONS'].sort();
    const asked = preflightMethod(request);
    const cors = asked === undefined ? undefined : router.find(asked, call.path)?.route.trigger.cors;
    if (request.method === 'OPTIONS') {
      const granted = cors ? preflightHeaders(cors, request.headers.origin!, methods) : [];
      this.#sendEmpty(call, ['Allow', allow.join(', '), ...granted]);
      return;
    }
    response.setHeader('Allow', allow.join(', '));
    throw otherMethods(request.method ?? '', call.path, allow);
  }

  #sendEmpty(call: Call, headers: readonly string[]): void {
    const { request, response } = call;
    const reply = { statusCode: 204, headers: [], body: undefined };
    void this.#writer.write(request, response, reply, [...call.headers, ...headers]);
  }

  /** False when the routes have changed meanwhile. */
  async #answerRouted(call: Call, route: EdgeRoute, router: RouteTable['router']): Promise<boolean> {
    checkAddress(route, call);
    const key = route.trigger.keys ? await checkKey(route, call, this.#keyring) : '';
    checkRate(route, call, key);
    const query = readQuery(route, call.search);
    const body = await this.#readBody(call, route);
    if (router !== this.#options.table.router) return false;
    const cacheName = body === undefined ? cacheKey(route, call.request) : undefined;
    if (cacheName === undefined) await this.#send(call, await this.#invoke(call, route, query, body, true));
    else await this.#answerCached(call, route, query, cacheName);
    return true;
  }

  async #readBody(call: Call, route: EdgeRoute): Promise<Buffer | AsyncIterable<Uint8Array> | undefined> {
    const { request } = call;
    const { streamBody, maxBodyBytes } = route.trigger;
    const declaredBytes = Number(request.headers['content-length'] ?? 0);
    if (!hasBody(request) && !streamBody) {
      if (route.body && route.method !== 'GET') checkBody(route, EMPTY);
      return undefined;
    }
    // A body that is refused by its length alone is not asked for.
    if (declaredBytes <= maxBodyBytes) {
      call.askForBody?.();
      call.askForBody = undefined;
    }
    if (streamBody) {
      return streamedBody(request, maxBodyBytes, (fault) => {
        call.bodyFault = fault;
      });
    }
    const body = await (call.body ??= this.#bodies.whole(request, maxBodyBytes));
    checkBody(route, body);
    return body;
  }

  async #invoke(
    call: Call,
    route: EdgeRoute,
    query: Query,
    body: Buffer | AsyncIterable<Uint8Array> | undefined,
    cancellable: boolean,
  ): Promise<Invoked> {
    const { ids, clock, dispatcher } = this.#options;
    const { request } = call;
    const invocationId = ids.next();
    const event = {
      kind: 'http',
      method: route.method,
      url: request.url ?? '/',
      route: route.path,
      params: call.params,
      query,
      headers: plainHeaders(request),
      clientIp: call.clientIp,
      body,
    } as const;
    const context = {
      invocationId,
      traceparent: call.traceparent,
      idempotencyKey: idempotencyKey(request.headers['idempotency-key']) ?? invocationId,
      attempt: 1,
      depth: 0,
      trigger: 'http',
      ...(cancellable ? { signal: call.signal } : {}),
    } as const;
    const outcome = await dispatcher.dispatch(route.fn, event, context, route.version);
    if (outcome.status === 'error') {
      call.headers.push('Millrace-Invocation-Id', invocationId);
      if (call.bodyFault) throw call.bodyFault;
      throw functionFailure(route, outcome.error, invocationId, call.traceparent, clock.now());
    }
    if (outcome.value.kind === 'http') return { reply: outcome.value.response, invocationId };
    throw new MillraceError('INTERNAL', `The function '${route.fn}' answered a request with something else.`);
  }

  async #send(call: Call, { reply, invocationId }: Invoked): Promise<void> {
    call.headers.push('Millrace-Invocation-Id', invocationId);
    await this.#writer.write(call.request, call.response, reply, call.headers);
  }

  /** From the cache; else the first of those who miss fills it, and the others wait for that. */
  async #answerCached(call: Call, route: EdgeRoute, query: Query, key: string): Promise<void> {
    if (this.#sendCached(call, route, key)) return;
    const running = this.#cache.filling.get(key);
    if (running && (await running) && this.#sendCached(call, route, key)) return;
    if (running) return this.#send(call, await this.#invoke(call, route, query, undefined, true));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#cache.filling.set(key, promise);
    let kept = false;
    let invoked: Invoked;
    try {
      // Others may wait for it: the one who asked first cannot call it off.
      invoked = await this.#invoke(call, route, query, undefined, false);
      kept = isWhole(invoked.reply) && this.#cache.store(route, key, invoked.reply);
    } finally {
      this.#cache.filling.delete(key);
      resolve(kept);
    }
    addVary(call, route);
    await this.#send(call, invoked);
  }

  #sendCached(call: Call, route: EdgeRoute, key: string): boolean {
    const hit = this.#cache.find(key);
    if (!hit) return false;
    addVary(call, route);
    call.headers.push('Age', String(hit.ageSeconds));
    void this.#writer.write(call.request, call.response, hit.reply, call.headers);
    return true;
  }
}

interface Invoked {
  readonly reply: HttpReply;
  readonly invocationId: string;
}

const EMPTY = Buffer.alloc(0);

function isWhole(reply: HttpReply): reply is HttpReply & Cacheable {
  return reply.body === undefined || reply.body instanceof Uint8Array;
}

function addVary(call: Call, { trigger }: EdgeRoute): void {
  const vary = trigger.cache?.vary ?? [];
  if (vary.length > 0) call.headers.push('Vary', vary.join(', '));
}

/** node:http gives every header of a request as text, but `set-cookie`, which requests do not have, as a list. */
function plainHeaders({ headers }: HttpRequest): { readonly [name: string]: string } {
  if (headers['set-cookie'] === undefined) return headers as { [name: string]: string };
  return { ...headers, 'set-cookie': headers['set-cookie'].join(', ') } as { [name: string]: string };
}
