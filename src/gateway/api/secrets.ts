import type { SecretStore } from '../../govern/index.ts';
import { type Json, MillraceError } from '../../kernel/index.ts';
import { bodyOf } from './context-body.ts';
import type { RouteGroup } from './route.ts';

const LARGEST_VALUE_BYTES = 64 * 1024;
const NAMES: Json = { type: 'object', properties: { secrets: { type: 'array', items: { type: 'string' } } } };

/** Secrets over HTTP: set, list, remove. No route gives a value back. */
export function secretRoutes({ secrets }: { readonly secrets: SecretStore }): RouteGroup {
  const named = {
    path: '/secrets/{name}',
    action: 'administer',
    resource: ([name]: readonly string[]) => `secret/${name}`,
  } as const;
  return {
    name: 'secrets',
    description: 'Secrets that functions name; values go in and never come out.',
    routes: [
      {
        method: 'GET',
        path: '/secrets',
        action: 'administer',
        resource: () => 'secret/*',
        operation: {
          operationId: 'listSecrets',
          summary: 'List the names of the secrets',
          responses: {
            200: { description: 'The names.', content: { 'application/json': { schema: NAMES } } },
          },
        },
        handle: async (context) => context.json({ secrets: await secrets.names() }),
      },
      {
        ...named,
        method: 'PUT',
        operation: {
          operationId: 'setSecret',
          summary: 'Set a secret',
          description: 'The body is the value as it is, UTF-8 text of up to 64 KB.',
          requestBody: { required: true, content: { 'text/plain': { schema: { type: 'string' } } } },
          responses: { 204: { description: 'Set.' } },
        },
        handle: async (context) => {
          const bytes = await bodyOf(context, LARGEST_VALUE_BYTES);
          await secrets.set(context.req.param('name') ?? '', textOf(bytes));
          return context.body(null, 204);
        },
      },
      {
        ...named,
        method: 'DELETE',
        operation: {
          operationId: 'removeSecret',
          summary: 'Remove a secret',
          responses: { 204: { description: 'Removed.' } },
        },
        handle: async (context) => {
          await secrets.remove(context.req.param('name') ?? '');
          return context.body(null, 204);
        },
      },
    ],
  };
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length === 0)
    throw new MillraceError('INVALID_INPUT', 'A secret needs a value. Send it as the body.');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new MillraceError('BAD_ENCODING', 'A secret is UTF-8 text. Encode bytes as base64 first.');
  }
}
