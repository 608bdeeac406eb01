import type { Json } from '../../kernel/index.ts';
import type { OpenApiContent, OpenApiOperation } from './route.ts';

const text = (description?: string): Json => ({
  type: 'string',
  ...(description === undefined ? {} : { description }),
});
const number = (description?: string): Json => ({
  type: 'number',
  ...(description === undefined ? {} : { description }),
});
const object = (properties: { readonly [name: string]: Json }, required = Object.keys(properties)): Json => ({
  type: 'object',
  required,
  properties,
});
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const jsonContent = (schema: Json): OpenApiContent => ({ 'application/json': { schema } });

const error = object({ code: text(), name: text('Class of the error.'), message: text() });

export const FUNCTION_SCHEMAS: { readonly [name: string]: Json } = {
  FunctionStats: object({
    invocations: number('Since the platform started.'),
    errors: number(),
    throttled: number('Refused because too many waited.'),
    perSecond: number('Over the last one to two minutes.'),
    errorRate: number('0 to 1, over the same time.'),
    latencyMs: {
      type: ['object', 'null'],
      properties: { p50: number(), p99: number() },
      description: 'Over the same time, to 10 %; null without invocations.',
    },
  }),
  Function: object({
    name: text(),
    app: text(),
    version: text(),
    instances: number('Those that are ready.'),
    starting: number(),
    inFlight: number('Invocations that run.'),
    queued: number('Invocations that wait for an instance.'),
    stats: reference('FunctionStats'),
    configuration: { type: 'object', description: 'As in the manifest of its app.' },
  }),
  Invocation: object(
    {
      id: text(),
      function: text(),
      state: { enum: ['waiting', 'running', 'succeeded', 'failed'] },
      accepted: { type: 'string', format: 'date-time' },
      finished: { type: 'string', format: 'date-time' },
      result: { description: 'What the handler returned.' },
      error,
      attempts: {
        type: 'array',
        items: object(
          {
            attempt: number(),
            started: { type: 'string', format: 'date-time' },
            durationMs: number(),
            error,
          },
          ['attempt', 'started', 'durationMs'],
        ),
      },
      logs: {
        type: 'array',
        items: object({ level: text(), time: { type: 'string', format: 'date-time' }, message: text() }),
      },
    },
    ['id', 'function', 'state', 'accepted', 'attempts', 'logs'],
  ),
};

export const FUNCTION_OPERATIONS = {
  invoke: {
    operationId: 'invokeFunction',
    summary: 'Call a function by name',
    description:
      'The body is the input, as JSON. Waits for the result, unless `Prefer: respond-async` asks for an id: then the invocation is stored before the answer and survives a restart. With an `Idempotency-Key` the same request is one invocation however often it is sent.',
    parameters: [
      { name: 'Prefer', in: 'header', description: '`respond-async`', schema: text() },
      { name: 'Idempotency-Key', in: 'header', description: '1 to 255 characters.', schema: text() },
      { name: 'traceparent', in: 'header', description: 'W3C trace context.', schema: text() },
    ],
    requestBody: { content: jsonContent({}) },
    responses: {
      200: { description: 'What the handler returned.', content: jsonContent({}) },
      202: {
        description: 'Accepted and stored.',
        content: jsonContent(object({ id: text(), location: text('Where its state and result are.') })),
      },
      204: { description: 'The handler returned nothing.' },
    },
  },
  list: {
    operationId: 'listFunctions',
    summary: 'The functions that are deployed',
    responses: {
      200: {
        description: 'By name.',
        content: jsonContent(object({ functions: { type: 'array', items: reference('Function') } })),
      },
    },
  },
  read: {
    operationId: 'getFunction',
    summary: 'A function: configuration, instances, rates, latency',
    responses: { 200: { description: 'The function.', content: jsonContent(reference('Function')) } },
  },
  invocation: {
    operationId: 'getInvocation',
    summary: 'An asynchronous invocation: state, result, attempts, logs',
    responses: { 200: { description: 'The invocation.', content: jsonContent(reference('Invocation')) } },
  },
} as const satisfies { readonly [name: string]: OpenApiOperation };
