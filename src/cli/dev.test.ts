import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDesk } from './program.fixture.ts';

const APP = `import { fn } from 'millrace';
import { limit } from './limit.ts';
export const f = fn('f', { env: { LIMIT: String(limit) } }, () => limit);
`;

async function limitOf(api: string): Promise<string> {
  const app = (await (await fetch(`${api}/apps/shop`)).json()) as { functions: { env: { LIMIT: string } }[] };
  return app.functions[0]!.env.LIMIT;
}

test('dev takes every save over, of any file that the app is made of; what does not compile changes nothing', async () => {
  await using desk = await createDesk();
  await desk.write({
    'package.json': '{"name":"shop"}',
    'limit.ts': 'export const limit = 1;',
    'app.ts': APP,
  });
  const dev = desk.start('dev');
  const { api } = await dev.ready;
  await dev.line(/shop runs version/);
  assert.equal(await limitOf(api), '1');

  await desk.write({ 'limit.ts': 'export const limit = 2;' });
  await dev.line(/shop runs version/);
  assert.equal(await limitOf(api), '2');

  await desk.write({ 'limit.ts': 'export const limit = ;' });
  await dev.line(/limit\.ts:1: /);
  assert.equal(await limitOf(api), '2');

  await desk.write({ 'app.ts': APP.replace('./limit.ts', './later.ts') });
  await dev.line(/later\.ts/);
  await desk.write({ 'later.ts': 'export const limit = 3;' });
  await dev.line(/shop runs version/);
  assert.equal(await limitOf(api), '3');
  assert.equal((await dev.stop()).code, 0);
});

test('apps that refer to each other start in any order', async () => {
  await using desk = await createDesk();
  await desk.write({
    'reader/package.json': '{"name":"reader"}',
    'reader/app.ts': `import { fn } from 'millrace';
import { jobs } from '../owner/app.ts';
export const read = fn('read', { on: jobs }, async () => {});`,
    'owner/package.json': '{"name":"owner"}',
    'owner/app.ts': `import { stream } from 'millrace';\nexport const jobs = stream('jobs');`,
  });
  const dev = desk.start('dev', 'reader/app.ts', 'owner/app.ts');
  const { api } = await dev.ready;
  const { apps } = (await (await fetch(`${api}/apps`)).json()) as { apps: { app: string }[] };
  assert.deepEqual(
    apps.map((each) => each.app),
    ['owner', 'reader'],
  );
  await dev.stop();
});
