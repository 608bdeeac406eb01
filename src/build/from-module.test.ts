import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fn, http, stream } from '../sdk/index.ts';
import { artifactOfModule } from './index.ts';

const jobs = stream('jobs', { key: 'id', partitions: 3 });
const elsewhere = stream('elsewhere');

test('a loaded module gives the manifest that a build would, without files', () => {
  const work = fn('work', { on: [jobs, elsewhere] }, () => {});
  const { manifest } = artifactOfModule({ jobs, work, something: 7 }, 'shop');
  assert.deepEqual(
    manifest.streams.map(({ name, partitions, keyPath }) => ({ name, partitions, keyPath })),
    [{ name: 'jobs', partitions: 3, keyPath: '/id' }],
  );
  assert.deepEqual(
    manifest.functions.map(({ name, exportName }) => [name, exportName]),
    [['work', 'work']],
  );
  assert.deepEqual(manifest.references, [{ kind: 'stream', name: 'elsewhere' }]);
});

test('its version changes with the handler, and its problems are those of a build', () => {
  const one = artifactOfModule({ f: fn('f', {}, () => 1) }, 'shop').manifest;
  const two = artifactOfModule({ f: fn('f', {}, () => 2) }, 'shop').manifest;
  assert.notEqual(one.version, two.version);
  const wrong = { f: fn('f', { on: http.get('/a'), timeout: '16m' }, () => {}) };
  assert.throws(() => artifactOfModule(wrong, 'shop'), { code: 'APP_INVALID', message: /timeout is 16m/ });
});
