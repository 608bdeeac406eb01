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
