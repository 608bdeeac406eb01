import type { Json } from '../../kernel/index.ts';
import type { InstanceSpec } from '../port.ts';
import type { CallOperation, LogLevel, Payload, WireHeaders } from '../protocol.ts';
import { fromAnswer, plainArgument, toArgument } from './arguments.ts';
import type { Capture } from './capture.ts';
import type { Link } from './link.ts';
import { fromPayload, toPayload, transferable } from './payload.ts';
import { PlatformError } from './platform-error.ts';
import type { Running } from './running.ts';

/** What the instance offers to every invocation. */
export interface Surroundings {
  readonly spec: InstanceSpec;
  readonly link: Link;
  readonly capture: Capture;
  readonly env: { readonly [name: string]: string };
}

interface Named {
  readonly name: string;
}

export interface EmitOptions {
  readonly key?: string;
  readonly headers?: { readonly [name: string]: string };
}

/** How this invocation emits and reads state: at once by round trips, or held until the commit of its records. */
export interface Effects {
  emit(stream: string, value: unknown, options: EmitOptions | undefined): Promise<void>;
  state(name: string, record: unknown): unknown;
}

/**
 * The handler's second argument. Plain closures, so that handlers may take it apart (`({ emit, log }) => …`). Nothing of
 * it is remembered between invocations.
 */
export function createContext(
  around: Surroundings,
  running: Running,
  effects: Effects,
  idempotencyKey = running.idempotencyKey,
): object {
  const { link, capture, spec } = around;
  const log = (level: LogLevel) => (message: unknown, attributes?: unknown) =>
    capture.log(running, level, String(message), attributes);
  let logger: object | undefined;
  const context = {
    get signal() {
      return running.signal;
    },
    get log() {
      logger ??= { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
      return logger;
    },
    deadline: running.deadlineMs,
    attempt: running.attempt,
    invocationId: running.invocationId,
    idempotencyKey,
    traceId: running.traceId,
    env: around.env,
    emit: (stream: Named | string, value: unknown, options?: EmitOptions) =>
      effects.emit(nameOf(stream, 'ctx.emit', 'stream'), value, options),
    invoke: (fn: Named | string, input?: unknown) =>
      invoke(link, running, nameOf(fn, 'ctx.invoke', 'function'), input),
    state: (handle: Named | string, record: unknown) =>
      effects.state(nameOf(handle, 'ctx.state', 'state'), record),
    read: (stream: Named | string, after?: unknown, options?: { readonly limit?: number }) =>
      readPage(link, running, nameOf(stream, 'ctx.read', 'stream'), after, options?.limit),
    secret: (name: string) => readSecret(around, running, name),
  };
  if (spec.providers.length > 0) addProviders(context, around, running);
  return context;
}

function nameOf(handle: Named | string, what: string, kind: string): string {
  const name = typeof handle === 'string' ? handle : handle?.name;
  if (typeof name === 'string' && name !== '') return name;
  throw new TypeError(
    `${what} takes a ${kind} as its first argument, as \`${kind}(…)\` of millrace makes it.`,
  );
}

function invoke(link: Link, running: Running, fn: string, input: unknown): Promise<unknown> {
  return rejecting(() => {
    const payload = toPayload(input, `The input of '${fn}'`);
    const operation = ['invoke', fn, payload] as const;
    return link.call(running, operation, transferable(payload), (answer) => fromPayload(answer as Payload));
  });
}

/** What is thrown on the way to a promise becomes its rejection, while the promise itself is handed on as it is. */
function rejecting<Value>(begin: () => Promise<Value>): Promise<Value> {
  try {
    return begin();
  } catch (error) {
    return Promise.reject(error);
  }
}

async function readPage(
  link: Link,
  running: Running,
  stream: string,
  after: unknown,
  limit: number | undefined,
): Promise<unknown> {
  const cursor = after === undefined ? undefined : (plainArgument(after) as Json);
  const page = await link.call(running, ['read', stream, cursor, limit]);
  return JSON.parse(new TextDecoder().decode(page as Uint8Array));
}

async function readSecret({ spec, link }: Surroundings, running: Running, name: string): Promise<string> {
  if (!spec.secrets.includes(name)) {
    throw new PlatformError(
      'FORBIDDEN',
      `'${spec.fn}' does not declare the secret '${name}'. Add it to \`secrets\` in its options.`,
    );
  }
  return (await link.call(running, ['secret', name])) as string;
}

/** Header values are text; anything else would arrive as something the handler did not write. */
export function wireHeaders(headers: EmitOptions['headers']): WireHeaders | undefined {
  if (headers === undefined) return undefined;
  const entries = Object.entries(headers);
  const wrong = entries.find(([, value]) => typeof value !== 'string');
  if (wrong) throw new TypeError(`The header '${wrong[0]}' of a record must be a string.`);
  return entries;
}

/** Effects of invocations that do not come from a stream: each emit is a round trip that ends when it is durable. */
export function directEffects({ link, spec }: Surroundings, running: Running): Effects {
  return {
    emit: (stream, value, options) =>
      rejecting(() => {
        const payload = toPayload(value, `A record for '${stream}'`);
        if (payload === undefined) throw notJson(stream);
        const headers = wireHeaders(options?.headers);
        const operation: CallOperation = ['emit', stream, payload, options?.key, headers];
        return link.call(running, operation, transferable(payload)) as Promise<void>;
      }),
    state() {
      throw new PlatformError(
        'BAD_REQUEST',
        `Keyed state belongs to the records of a stream, and '${spec.fn}' was called without one. Emit a record instead.`,
      );
    },
  };
}

export function notJson(stream: string): TypeError {
  return new TypeError(`What is emitted to '${stream}' cannot be written as JSON. Give a JSON value.`);
}

/** `ctx.kv(handle).get('a')` becomes a call of provider `kv`, resource by the handle's name, method `get`. */
function addProviders(context: object, { spec, link }: Surroundings, running: Running): void {
  for (const provider of spec.providers) {
    const resourceOf = (handle: Named | string): unknown => {
      const resource = nameOf(handle, `ctx.${provider}`, provider);
      const methods = new Proxy(Object.create(null) as object, {
        get: (_target, method) =>
          // Not a promise: `await ctx.kv(handle)` must not become a call.
          typeof method !== 'string' || method === 'then'
            ? undefined
            : (...args: unknown[]) =>
                rejecting(() => {
                  const wire = args.map(toArgument);
                  const operation = ['provider', provider, resource, method, wire] as const;
                  return link.call(running, operation, undefined, fromAnswer);
                }),
      });
      return methods;
    };
    Object.defineProperty(context, provider, { value: resourceOf, enumerable: true });
  }
}
