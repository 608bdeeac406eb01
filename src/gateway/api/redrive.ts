import type { StreamConsumers } from '../../functions/index.ts';
import { type Json, MillraceError } from '../../kernel/index.ts';
import { parseJson } from '../http/json.ts';
import { bodyOf } from './context-body.ts';
import type { OpenApiOperation, RouteGroup } from './route.ts';

export interface RedriveRoutesOptions {
  readonly consumers: Pick<StreamConsumers, 'redrive'>;
}

/** Dead letters of stream functions over HTTP. */
export function redriveRoutes({ consumers }: RedriveRoutesOptions): RouteGroup {
  return {
    name: 'dead letters',
    description: 'Records that a function gave up on.',
    routes: [
      {
        method: 'POST',
        path: '/functions/{name}/redrive',
        action: 'invoke',
        resource: ([name]) => `function/${name}`,
        operation: REDRIVE,
        handle: async (context) => {
          const body = await bodyOf(context);
          const record = body.length === 0 ? undefined : recordOf(parseJson(body));
          const name = context.req.param('name') ?? '';
          return context.json(await consumers.redrive(name, record === undefined ? {} : { record }), 202);
        },
      },
    ],
  };
}

function recordOf(body: Json): number | undefined {
  const given = typeof body === 'object' && body !== null && !Array.isArray(body);
  const record = given ? (body as { readonly [name: string]: Json }).record : null;
  if (given && record === undefined) return undefined;
  if (typeof record === 'number' && Number.isSafeInteger(record) && record >= 0) return record;
  const message = "'record' must be an offset of the dead-letter stream, a whole number from 0 on.";
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/record', message }] });
}

const COUNT: Json = { type: 'integer', minimum: 0 };

const REDRIVE: OpenApiOperation = {
  operationId: 'redrive',
  summary: 'Give dead letters to their function again, to it alone',
  description:
    'Without a record: all that were not given again before. Answers when they are durably on their way.',
  requestBody: {
    required: false,
    content: {
      'application/json': {
        schema: {
          type: 'object',
          properties: {
            record: { ...COUNT, description: 'Offset of one record of the dead-letter stream.' },
          },
        },
      },
    },
  },
  responses: {
    202: {
      description:
        'How many are on their way, and how many stay because the function no longer reads their stream.',
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['redriven', 'left'],
            properties: { redriven: COUNT, left: COUNT },
          },
        },
      },
    },
  },
};
