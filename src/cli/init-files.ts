/** What `init` writes: the smallest app that shows a door, a stream and a function on it. */

export const APP_SOURCE = `import { fn, http, stream } from 'millrace';
import * as v from 'valibot';

const Greeting = v.object({ name: v.string() });

// A durable stream. Records with the same name stay in order.
export const greetings = stream('greetings', { schema: Greeting, key: 'name' });

// POST /greetings puts a greeting into the stream; a body that does not fit the schema is answered with 422.
export const greet = fn('greet', { on: http.post('/greetings', { body: Greeting }) }, async (request, ctx) => {
  await ctx.emit(greetings, request.body);
  return { status: 202, body: { accepted: true } };
});

// What came of each greeting.
export const answers = stream('answers');

export const answer = fn('answer', { on: greetings }, async (record, ctx) => {
  ctx.log.info('greeted', { name: record.value.name });
  await ctx.emit(answers, { text: \`Hello, \${record.value.name}!\` });
});
`;

export const TEST_SOURCE = `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { answers } from './app.ts';

test('a greeting is answered', async () => {
  await using app = await testApp(import('./app.ts'));
  const response = await app.fetch('/greetings', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Ada' }),
  });
  assert.equal(response.status, 202);
  await app.idle();
  const [record] = await app.records(answers);
  assert.deepEqual(record?.value, { text: 'Hello, Ada!' });
});
`;

export const TSCONFIG_SOURCE = `{
  "compilerOptions": {
    "target": "esnext",
    "lib": ["esnext"],
    "module": "nodenext",
    "types": ["node"],
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "erasableSyntaxOnly": true,
    "verbatimModuleSyntax": true,
    "allowImportingTsExtensions": true,
    "skipLibCheck": true,
    "noEmit": true
  }
}
`;

interface PackageFields {
  readonly name?: string;
  readonly scripts?: object;
  readonly dependencies?: object;
  readonly devDependencies?: object;
}

/** What is there wins over what the app would like. */
export function packageSource(name: string, version: string, existing: PackageFields): string {
  const made = {
    name,
    private: true,
    ...existing,
    type: 'module',
    scripts: { dev: 'millrace dev', test: 'node --test', ...existing.scripts },
    dependencies: { millrace: `^${version}`, valibot: '^1.5.0', ...existing.dependencies },
    devDependencies: { '@types/node': '^26.6.6', ...existing.devDependencies },
  };
  return `${JSON.stringify(made, null, 2)}\n`;
}
