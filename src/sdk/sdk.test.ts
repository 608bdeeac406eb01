import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cron, defineConfig, every, fn, http, state, stream } from './index.ts';

test('resources are plain values: a kind, a name, and the options as they were written', () => {
  const payments = stream('payments', { key: 'card', partitions: 4 });
  assert.deepEqual(payments, {
    millrace: 1,
    kind: 'stream',
    name: 'payments',
    options: { key: 'card', partitions: 4 },
  });
  assert.deepEqual(state('spent', { ttl: '1d' }), {
    millrace: 1,
    kind: 'state',
    name: 'spent',
    options: { ttl: '1d' },
  });
  const handler = () => undefined;
  assert.deepEqual(fn('score', { on: payments, timeout: '1s' }, handler), {
    millrace: 1,
    kind: 'function',
    name: 'score',
    options: { on: payments, timeout: '1s' },
    handler,
  });
});

test('triggers say what they listen to', () => {
  const options = { maxBody: '1mb' } as const;
  const routes = {
    GET: http.get('/a/:id', options),
    POST: http.post('/a/:id', options),
    PUT: http.put('/a/:id', options),
    PATCH: http.patch('/a/:id', options),
    DELETE: http.delete('/a/:id', options),
  };
  for (const [method, route] of Object.entries(routes)) {
    assert.deepEqual(route, {
      millrace: 1,
      kind: 'http',
      method,
      path: '/a/:id',
      options: { maxBody: '1mb' },
    });
  }
  assert.deepEqual(every('5m'), { millrace: 1, kind: 'every', interval: '5m' });
  assert.equal(cron('0 3 * * *').timezone, 'UTC');
  assert.equal(cron('0 3 * * *', { timezone: 'Europe/Berlin' }).timezone, 'Europe/Berlin');
});

test('the options of a resource are its own: changing the object afterwards changes nothing', () => {
  const options = { partitions: 2 };
  const made = stream('copied', options);
  options.partitions = 3;
  assert.equal(made.options.partitions, 2);
});

test('defineConfig hands its argument back', () => {
  assert.deepEqual(defineConfig({ edgePort: 'off' }), { edgePort: 'off' });
});

test('the SDK imports nothing but its own files', async () => {
  for (const file of await readdir(import.meta.dirname)) {
    if (/\.(test|check)\.ts$/.test(file)) continue;
    const source = await readFile(join(import.meta.dirname, file), 'utf8');
    for (const [, from] of source.matchAll(/from '([^']+)'/g)) assert.match(from!, /^\.\/[a-z-]+\.ts$/, file);
  }
});
