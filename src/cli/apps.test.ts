import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDesk } from './program.fixture.ts';

const app = (partitions: number, extra = ''): string => `import { fn, stream } from 'millrace';
export const jobs = stream('jobs', { partitions: ${partitions} });
export const work = fn('work', { on: jobs }, async () => {});
${extra}`;

test('an app is planned, deployed, listed and rolled back from the command line', async () => {
  await using desk = await createDesk();
  await desk.write({ 'package.json': '{"name":"shop","type":"module"}', 'app.ts': app(1) });
  const platform = desk.start('start', '--data', 'data');
  const { api } = await platform.ready;
  const run = (...words: string[]) => desk.run(...words, '--url', api);

  const plan = await run('plan');
  assert.equal(plan.code, 0, plan.err);
  assert.match(plan.out, /^shop: nothing → [0-9a-f]{16}\n/);
  assert.match(plan.out, /\+ stream\/jobs \(create\)/);

  const first = await run('deploy');
  assert.equal(first.code, 0, first.err);
  assert.match(first.err, /shop runs version [0-9a-f]{16}\./);
  assert.match((await run('deploy', 'app.ts')).err, /ran version [0-9a-f]{16} already/);

  await desk.write({ 'app.ts': app(2) });
  const second = JSON.parse((await run('deploy', '--json')).out) as {
    from: string;
    to: string;
    changed: boolean;
  };
  assert.equal(second.changed, true);
  assert.match((await run('versions', 'shop')).out, new RegExp(`shop +${second.to} +yes +deploy`));
  assert.equal((await run('rollback', 'absent')).code, 3);

  await desk.write({ 'app.ts': app(2, `export const more = stream('more');`) });
  await run('deploy');
  const back = await run('rollback', 'shop', '--json');
  assert.equal((JSON.parse(back.out) as { to: string }).to, second.to);
  assert.equal((await platform.stop()).code, 0);
});

test('ls, show and status know apps, functions and streams, whatever the name stands for', async () => {
  await using desk = await createDesk();
  await desk.write({
    'package.json': '{"name":"shop","type":"module"}',
    'app.ts': `import { fn, stream } from 'millrace';
export const jobs = stream('jobs', { partitions: 2 });
export const work = fn('work', { on: jobs, retry: { attempts: 1 } }, async () => { throw new Error('no'); });
export const ask = fn('ask', {}, async () => 'yes');`,
  });
  const platform = desk.start('start', '--data', 'data');
  await platform.ready;
  const run = (...words: string[]) => desk.run(...words, '--data', 'data');
  assert.equal((await run('deploy')).code, 0);
  assert.equal((await desk.run('invoke', 'ask', '--url', (await platform.ready).api)).out, '"yes"\n');

  const listed = await run('ls');
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, /^APP +VERSION +FUNCTIONS +STREAMS\nshop +[0-9a-f]{8} +2 +1\n/);
  assert.match(
    listed.out,
    /^FUNCTION +VERSION +CALLS\/S +ERRORS +P99 +INSTANCES +DEAD +APP\nask +[0-9a-f]{8} .* +0 +shop$/m,
  );
  assert.match(listed.out, /^jobs +2 +0 +0 +0 +shop$/m);
  assert.deepEqual(
    listed.out.split('\n').filter((line) => line.length > 80),
    [],
  );
  const all = JSON.parse((await run('ls', '--json')).out) as Record<
    string,
    { name?: string; app?: string }[]
  >;
  assert.deepEqual(
    ['apps', 'functions', 'streams'].map((kind) => all[kind]!.map(({ name, app }) => name ?? app)),
    [['shop'], ['ask', 'work'], ['jobs']],
  );

  assert.match(
    (await run('show', 'shop')).out,
    /^APP\nname +shop\nversion +[0-9a-f]{16}\n\nFUNCTION +VERSION\n/,
  );
  assert.match(
    (await run('show', 'work')).out,
    /^triggers +stream jobs$[\s\S]*^READS +STATE +LAG\njobs +\w+ +0$/m,
  );
  assert.match((await run('show', 'function/ask')).out, /^triggers +called by name$/m);
  assert.match((await run('show', 'jobs')).out, /^owner +shop$/m);
  assert.equal((JSON.parse((await run('show', 'ask', '--json')).out) as { kind: string }).kind, 'function');
  const near = await run('show', 'wrok');
  assert.deepEqual([near.code, near.out], [3, '']);
  assert.match(near.err, /no app, function, stream or model named wrok\. Did you mean work\?/);
  assert.equal((await run('show', 'stream/work')).code, 3);

  const status = JSON.parse((await run('status', '--json')).out) as Record<string, unknown>;
  assert.deepEqual(
    [status.apps, status.functions, status.instances, status.lag, status.deadLetters],
    [1, 2, 1, 0, 0],
  );
  assert.equal((await platform.stop()).code, 0);
});

test('bad apps end with 1 and say where; a missing module with 3; no platform with 4', async () => {
  await using desk = await createDesk();
  await desk.write({
    'app.ts': `import { fn } from 'millrace';\nexport const f = fn('f', { timeout: '1h' }, () => {});`,
  });
  const wrong = await desk.run('deploy');
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /app\.ts:2: function 'f': timeout is 1h; it must lie between/);
  assert.equal((await desk.run('deploy', 'nowhere.ts')).code, 3);
  await desk.write({ 'app.ts': app(1) });
  const alone = await desk.run('plan', '--url', 'http://127.0.0.1:1');
  assert.equal(alone.code, 4);
});
