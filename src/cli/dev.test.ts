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

test('apps that refer to streams of each other start together', async () => {
  await using desk = await createDesk();
  await desk.write({
    'reader/package.json': '{"name":"reader"}',
    'reader/app.ts': `import { fn } from 'millrace';
import { jobs } from '../owner/streams.ts';
export { done } from './streams.ts';
export const read = fn('read', { on: jobs }, async () => {});`,
    'owner/package.json': '{"name":"owner"}',
    'owner/app.ts': `import { fn } from 'millrace';
import { done } from '../reader/streams.ts';
export { jobs } from './streams.ts';
export const count = fn('count', { on: done }, async () => {});`,
    'owner/streams.ts': `import { stream } from 'millrace';\nexport const jobs = stream('jobs');`,
    'reader/streams.ts': `import { stream } from 'millrace';\nexport const done = stream('done');`,
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

/** Values of a stream, as they come. */
async function* follow(api: string, stream: string): AsyncGenerator<unknown> {
  const response = await fetch(`${api}/streams/${stream}/records?from=start`, {
    headers: { accept: 'text/event-stream' },
  });
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith('data:')) yield (JSON.parse(line.slice(5)) as { value: unknown }).value;
    }
  }
}

test('records after a save are handled by the new code, and a broken save leaves the old code at work', async () => {
  await using desk = await createDesk();
  const app = (answer: string): string => `import { fn, stream } from 'millrace';
export const questions = stream('questions');
export const answers = stream('answers');
export const reply = fn('reply', { on: questions, from: 'start' }, async (record, ctx) => {
  await ctx.emit(answers, { of: record.value, says: ${answer} });
});
`;
  await desk.write({ 'package.json': '{"name":"oracle"}', 'app.ts': app(`'one'`) });
  const dev = desk.start('dev');
  const { api } = await dev.ready;
  const answers = follow(api, 'answers');
  const ask = async (question: number): Promise<unknown> => {
    await fetch(`${api}/streams/questions/records`, { method: 'POST', body: JSON.stringify(question) });
    return (await answers.next()).value;
  };
  assert.deepEqual(await ask(1), { of: 1, says: 'one' });
  await dev.line(/oracle runs version/);

  await desk.write({ 'app.ts': app(`'two'`) });
  await dev.line(/oracle runs version/);
  assert.deepEqual(await ask(2), { of: 2, says: 'two' });

  await desk.write({ 'app.ts': app(`'three`) });
  await dev.line(/app\.ts:5: /);
  assert.deepEqual(await ask(3), { of: 3, says: 'two' });
  await dev.stop();
});
