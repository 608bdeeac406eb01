import type {
  FunctionDescription,
  Functions,
  InvocationContext,
  InvocationOutcome,
  InvocationRecord,
  Invocations,
} from '../../functions/index.ts';
import { type Ids, type Json, MillraceError } from '../../kernel/index.ts';
import { type CompiledSchema, createSchemaCompiler } from '../../streams/index.ts';
import { checkDepth, decodeUtf8, parseJson } from '../http/json.ts';
import type { Exchange } from './exchange.ts';
import { FUNCTION_OPERATIONS, FUNCTION_SCHEMAS } from './functions.openapi.ts';
import type { RouteGroup } from './route.ts';

export interface FunctionRoutesOptions {
  readonly functions: Functions;
  readonly invocations: Invocations;
  readonly ids: Ids;
}

const ofFunction = ([name]: readonly string[]): string => `function/${name}`;

/** Functions by name: call them, wait or not, and see how they are. */
export function functionRoutes({ functions, invocations, ids }: FunctionRoutesOptions): RouteGroup {
  const check = createInputCheck(functions);

  const invoke = async (exchange: Exchange): Promise<void> => {
    const name = exchange.params[0]!;
    const body = await exchange.body();
    check(name, body);
    const input = body.length === 0 ? undefined : body;
    const traceparent = exchange.header('traceparent');
    const trace = traceparent === undefined ? {} : { traceparent };
    const key = exchange.header('idempotency-key');
    if (key === undefined && !wantsNoAnswer(exchange.header('prefer'))) {
      const context = contextOf(ids.next(), trace);
      answer(
        exchange,
        context.invocationId,
        await functions.dispatch(name, { kind: 'direct', input }, context),
      );
      return;
    }
    const caller = { principal: exchange.principal.id, ...trace };
    const id = await invocations.submit(
      name,
      input,
      key === undefined ? caller : { ...caller, idempotencyKey: key },
    );
    if (wantsNoAnswer(exchange.header('prefer'))) accepted(exchange, id);
    else answerStored(exchange, await invocations.finished(id));
  };

  return {
    name: 'functions',
    description: 'Functions: call them by name, and see how they are.',
    schemas: FUNCTION_SCHEMAS,
    hot: [
      {
        method: 'POST',
        path: '/functions/{name}',
        whole: true,
        action: 'invoke',
        resource: ofFunction,
        operation: FUNCTION_OPERATIONS.invoke,
        handle: invoke,
      },
    ],
    routes: [
      {
        method: 'GET',
        path: '/functions',
        action: 'read',
        resource: () => 'function/*',
        operation: FUNCTION_OPERATIONS.list,
        handle: (context) => context.json({ functions: functions.list().map(viewOf) }),
      },
      {
        method: 'GET',
        path: '/functions/{name}',
        action: 'read',
        resource: ofFunction,
        operation: FUNCTION_OPERATIONS.read,
        handle: (context) => context.json(viewOf(functions.describe(context.req.param('name')!))),
      },
      {
        method: 'GET',
        path: '/invocations/{id}',
        action: 'read',
        resource: ([id]) => `invocation/${id}`,
        operation: FUNCTION_OPERATIONS.invocation,
        handle: async (context) =>
          context.json(invocationOf(await invocations.read(context.req.param('id')!))),
      },
    ],
  };
}

function contextOf(invocationId: string, trace: { readonly traceparent?: string }): InvocationContext {
  return { invocationId, idempotencyKey: invocationId, attempt: 1, depth: 0, trigger: 'invoke', ...trace };
}

const TEXT_BYTES = 16 * 1024;

/** RFC 7240. */
function wantsNoAnswer(prefer: string | undefined): boolean {
  return prefer?.split(/[,;]/).some((part) => part.trim().toLowerCase() === 'respond-async') ?? false;
}

/** Refuses what cannot be an input before a function sees it; parses only where a schema has to be kept. */
function createInputCheck(functions: Functions): (name: string, body: Buffer) => void {
  const compiler = createSchemaCompiler();
  const compiled = new WeakMap<object, CompiledSchema>();
  return (name, body) => {
    if (body.length === 0) return;
    const manifest = functions.find(name);
    if (manifest?.input === undefined) {
      decodeUtf8(body);
      checkDepth(body);
      return;
    }
    let schema = compiled.get(manifest);
    if (!schema) compiled.set(manifest, (schema = compiler.compile(manifest.input)));
    const errors = schema.problems(parseJson(body), body.length);
    if (errors.length === 0) return;
    throw new MillraceError('INVALID_INPUT', `The input does not fit the schema of '${name}'.`, { errors });
  };
}

function answer(exchange: Exchange, invocationId: string, outcome: InvocationOutcome): void {
  const headers = { 'Millrace-Invocation-Id': invocationId };
  if (outcome.status === 'error') throw failureOf(outcome.error);
  const json = outcome.value.kind === 'json' ? outcome.value.json : undefined;
  // Small text leaves in one piece with its head; bytes would be a second one.
  if (json) exchange.json(200, json.length > TEXT_BYTES ? json : Buffer.from(json).toString(), headers);
  else exchange.empty(204, headers);
}

function failureOf({ code, name, message }: { code: string; name: string; message: string }): MillraceError {
  const text = name === '' || message.startsWith(name) ? message : `${name}: ${message}`;
  return new MillraceError(code as MillraceError['code'], text);
}

function accepted(exchange: Exchange, id: string): void {
  const location = `/invocations/${id}`;
  exchange.json(202, JSON.stringify({ id, location }), {
    Location: location,
    'Preference-Applied': 'respond-async',
    'Millrace-Invocation-Id': id,
  });
}

function answerStored(exchange: Exchange, record: InvocationRecord): void {
  if (record.error) throw failureOf(record.error);
  const headers = { 'Millrace-Invocation-Id': record.id };
  if (record.result === null) exchange.empty(204, headers);
  else exchange.json(200, record.result, headers);
}

function viewOf({ manifest, ...description }: FunctionDescription): object {
  const {
    name: _name,
    version: _version,
    entry: _entry,
    exportName: _export,
    env,
    ...configuration
  } = manifest;
  // Values of `env` are configuration, but people put things there that do not belong into answers.
  return { ...description, configuration: { ...configuration, env: Object.keys(env) } };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();

function invocationOf(record: InvocationRecord): { [field: string]: Json } {
  return {
    id: record.id,
    function: record.fn,
    state: record.state,
    accepted: timeOf(record.acceptedMs),
    ...(record.finishedMs === null ? {} : { finished: timeOf(record.finishedMs) }),
    ...(record.result === null ? {} : { result: JSON.parse(record.result) as Json }),
    ...(record.error ? { error: record.error } : {}),
    attempts: record.attempts.map(({ startedMs, ...attempt }) => ({
      ...attempt,
      started: timeOf(startedMs),
    })),
    logs: record.logs,
  };
}
