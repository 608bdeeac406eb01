import type { Json } from '../../kernel/index.ts';
import type { OpenApiOperation, OpenApiParameter } from './route.ts';

const object = (properties: { readonly [name: string]: Json }): Json => ({ type: 'object', properties });
const text: Json = { type: 'string' };
const number: Json = { type: 'number' };
const numberOrNull: Json = { type: ['number', 'null'] };
const list = (items: Json): Json => ({ type: 'array', items });

export const OBSERVE_SCHEMAS: { readonly [name: string]: Json } = {
  LogLine: {
    ...(object({
      time: text,
      level: { enum: ['debug', 'info', 'warn', 'error'] },
      source: { enum: ['function', 'platform'] },
      name: { type: 'string', description: 'The function, or the room of the platform.' },
      app: text,
      message: text,
      invocationId: text,
      traceId: text,
      attributes: { type: 'object' },
      dropped: { type: 'integer', description: 'The line stands for so many that were dropped.' },
    }) as { [name: string]: Json }),
    required: ['time', 'level', 'source', 'name', 'message'],
  },
  Series: object({
    kind: { enum: ['stream', 'function', 'route'] },
    name: text,
    points: list(
      object({
        time: text,
        seconds: { type: 'number', description: 'Length of the step.' },
        counts: { type: 'object', additionalProperties: number },
        p50Ms: number,
        p90Ms: number,
        p99Ms: number,
      }),
    ),
  }),
  Overview: object({
    time: text,
    state: text,
    version: text,
    streams: list(object({ name: text, perSecond: number, lag: number, history: list(number) })),
    functions: list(object({ name: text, perSecond: number, p50Ms: numberOrNull, p99Ms: numberOrNull })),
    routes: list(object({ name: text, perSecond: number, p99Ms: numberOrNull })),
  }),
};

const query = (name: string, description: string, schema: Json = text): OpenApiParameter => ({
  name,
  in: 'query',
  description,
  schema,
});

const TIME = 'a time (2026-01-31T12:00:00Z) or so long ago (10m)';

export const OBSERVE_OPERATIONS = {
  getLogs: {
    operationId: 'getLogs',
    summary: 'Search the logs of functions and of the platform, or follow them',
    parameters: [
      query('name', 'A function, an app, or a room of the platform.'),
      query('level', 'This level and those above it.', { enum: ['debug', 'info', 'warn', 'error'] }),
      query('since', `From then on: ${TIME}.`),
      query('until', `Before then: ${TIME}.`),
      query('text', 'Found in the message, whatever the case.'),
      query('invocation', 'The id of one invocation.'),
      query('limit', 'The newest so many lines; 200 unless told, 10,000 with since.', { type: 'integer' }),
      query('follow', 'Go on with lines as they come.', { type: 'boolean' }),
    ],
    responses: {
      200: {
        description:
          'A line of JSON for each, oldest first; events with `Accept: text/event-stream`, which follows.',
        content: {
          'application/x-ndjson': { schema: { $ref: '#/components/schemas/LogLine' } },
          'text/event-stream': { schema: text },
        },
      },
    },
  },
  getSamples: {
    operationId: 'getSamples',
    summary: 'Counters and latencies over time',
    description: 'Percentiles are off by at most 4.9 % of their value.',
    parameters: [
      query('kind', 'Of streams, functions or routes alone.', { enum: ['stream', 'function', 'route'] }),
      query('name', 'Of this stream, function or route (`api GET /streams`) alone.'),
      query('from', `From then on: ${TIME}; ten minutes ago unless told.`),
      query('to', `Before then: ${TIME}; now unless told.`),
      query('step', 'Length of a point, such as 1m; chosen to give about 100 points if left out.'),
    ],
    responses: {
      200: {
        description: 'A series for each that had something to count.',
        content: {
          'application/json': { schema: object({ series: list({ $ref: '#/components/schemas/Series' }) }) },
        },
      },
    },
  },
  getOverview: {
    operationId: 'getOverview',
    summary: 'What happens now: rates, latencies and lag of streams, functions and routes',
    parameters: [query('internal', "The platform's own streams too.", { type: 'boolean' })],
    responses: {
      200: {
        description: 'Rates of the last 10 to 20 seconds; history in steps of 10 s, oldest first.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Overview' } } },
      },
    },
  },
} satisfies { readonly [name: string]: OpenApiOperation };
