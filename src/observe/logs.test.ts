import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryLogArchive } from '../adapters/memory/index.ts';
import { manualClock, signal } from '../kernel/index.ts';
import { createLogs } from './logs.ts';
import type { LogArchive, LogLevel } from './port.ts';

const clock = manualClock();

const write = (fn: string, level: LogLevel, message: string, invocationId = 'i-1'): void =>
  signal('function.log', {
    app: 'cards',
    fn,
    invocationId,
    traceId: 't',
    level,
    timeMs: clock.now(),
    message,
  });

async function running(archive: LogArchive = memoryLogArchive()) {
  const logs = createLogs({ archive, clock });
  await logs.start!();
  const messages = async (query: object = {}): Promise<string[]> =>
    (await logs.search({ limit: 100, ...query })).map((line) => line.message);
  return { logs, messages, [Symbol.asyncDispose]: () => logs.stop!(AbortSignal.timeout(1000)) };
}

describe('logs', () => {
  it('are found by function, app, level, text, invocation and time', async () => {
    await using under = await running();
    const { messages } = under;
    write('score', 'info', 'Scored c1');
    write('score', 'error', 'no such card', 'i-2');
    clock.advance(60_000);
    write('accept', 'warn', 'slow');
    signal('platform.log', { level: 'error', room: 'streams', message: 'disk', error: new Error('EIO') });
    assert.deepEqual(await messages(), ['Scored c1', 'no such card', 'slow', 'disk']);
    assert.deepEqual(await messages({ name: 'score' }), ['Scored c1', 'no such card']);
    assert.deepEqual(await messages({ name: 'cards', level: 'warn' }), ['no such card', 'slow']);
    assert.deepEqual(await messages({ text: 'SCORED' }), ['Scored c1']);
    assert.deepEqual(await messages({ invocationId: 'i-2' }), ['no such card']);
    assert.deepEqual(await messages({ sinceMs: clock.now() - 1000, source: 'function' }), ['slow']);
    assert.deepEqual(await messages({ limit: 2 }), ['slow', 'disk']);
  });

  it('are followed from now on until the reader leaves', async () => {
    await using under = await running();
    const leaving = new AbortController();
    const seen: string[] = [];
    write('score', 'info', 'before');
    clock.advance(1000);
    const following = (async () => {
      for await (const line of under.logs.follow({ level: 'warn' }, leaving.signal)) seen.push(line.message);
    })();
    await Promise.resolve();
    write('score', 'warn', 'one');
    write('score', 'info', 'too quiet');
    clock.advance(1000);
    await under.logs.search({ limit: 1 });
    leaving.abort();
    await following;
    assert.deepEqual(seen, ['one']);
  });

  it('drop and count what comes faster than the disk takes it', async () => {
    const slow = memoryLogArchive();
    const { promise: disk, resolve: diskWorks } = Promise.withResolvers<void>();
    await using under = await running({ ...slow, append: (lines) => disk.then(() => slow.append(lines)) });
    write('score', 'info', 'first');
    clock.advance(1000);
    for (let index = 0; index < 10_500; index++) write('score', 'info', `line ${index}`);
    diskWorks();
    await new Promise(setImmediate);
    const found = await under.logs.search({ limit: 20_000 });
    const dropped = found.filter((line) => line.dropped !== undefined);
    assert.equal(found.length, 1 + 10_000 + 1);
    assert.deepEqual([dropped[0]!.dropped, dropped[0]!.name], [500, 'score']);
  });

  it('tell once that the disk takes nothing, and go on when it does', async () => {
    const archive = memoryLogArchive();
    let broken = true;
    const append: LogArchive['append'] = async (lines) => {
      if (broken) throw new Error('EIO');
      await archive.append(lines);
    };
    await using under = await running({ ...archive, append });
    write('score', 'info', 'lost');
    await under.messages();
    await under.messages();
    broken = false;
    write('score', 'info', 'kept');
    assert.ok((await under.messages()).includes('kept'));
    assert.ok(!(await under.messages()).includes('lost'));
  });
});
