import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDesk } from './program.fixture.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

test('init makes an app that type-checks, passes its test, and runs', async () => {
  await using desk = await createDesk();
  const made = await desk.run('init', 'my-app', '--json');
  assert.equal(made.code, 0, made.err);
  const { files } = JSON.parse(made.out) as { files: string[] };
  assert.deepEqual(files.sort(), ['app.test.ts', 'app.ts', 'package.json', 'tsconfig.json']);
  const tsc = join(desk.folder, 'node_modules', 'typescript', 'bin', 'tsc');
  const checked = spawnSync(process.execPath, [tsc, '-p', join(desk.folder, 'my-app')], { encoding: 'utf8' });
  assert.equal(checked.stdout, '');
  const tested = spawnSync(process.execPath, ['--test'], {
    cwd: join(desk.folder, 'my-app'),
    encoding: 'utf8',
    env: {},
  });
  assert.equal(tested.status, 0, tested.stdout);
  assert.match(tested.stdout, /a greeting is answered/);

  const platform = desk.start('dev', 'my-app/app.ts');
  const { api, edge } = await platform.ready;
  const greeted = await fetch(`${edge}/greetings`, {
    method: 'POST',
    body: '{"name":"Ada"}',
    headers: JSON_TYPE,
  });
  assert.equal(greeted.status, 202);
  const refused = await fetch(`${edge}/greetings`, { method: 'POST', body: '{}', headers: JSON_TYPE });
  assert.equal(refused.status, 422);
  const app = (await (await fetch(`${api}/apps/my-app`)).json()) as { functions: { name: string }[] };
  assert.deepEqual(
    app.functions.map((each) => each.name),
    ['answer', 'greet'],
  );
  await platform.stop();
});

test('init overwrites nothing, and keeps what a package.json says', async () => {
  await using desk = await createDesk();
  await desk.write({ 'package.json': '{"name":"mine","version":"3.0.0","scripts":{"test":"mine"}}' });
  assert.equal((await desk.run('init')).code, 0);
  const kept = JSON.parse(await readFile(join(desk.folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    scripts: { test: string };
    dependencies: object;
  };
  assert.deepEqual([kept.name, kept.version, kept.scripts.test], ['mine', '3.0.0', 'mine']);
  assert.ok('millrace' in kept.dependencies);
  const again = await desk.run('init');
  assert.equal(again.code, 1);
  assert.match(again.err, /app\.ts .*already/);
});
