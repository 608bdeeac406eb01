import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cron, every, fn, http, state, stream } from '../sdk/index.ts';
import { testApp } from './index.ts';

const jobs = stream<'jobs', undefined>('jobs');
const done = stream('done');

describe('testApp', () => {
  it('shares variables with the handler: the test and the function are one process', async () => {
    const seen: unknown[] = [];
    const work = fn('work', { on: jobs }, (record) => {
      seen.push(record.value);
    });
    await using app = await testApp({ jobs, work });
    await app.emit(jobs, { id: 1 });
    await app.idle();
    assert.deepEqual(seen, [{ id: 1 }]);
  });

  it('fires timers in order and lets what they bring about end before the next', async () => {
    const order: string[] = [];
    const slow = fn('slow', { on: every('2m') }, async (tick) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      order.push(`slow ${new Date(tick.scheduledMs).getUTCMinutes()}`);
    });
    const quick = fn('quick', { on: cron('*/3 * * * *') }, (tick) => {
      order.push(`quick ${new Date(tick.scheduledMs).getUTCMinutes()}`);
    });
    await using app = await testApp({ slow, quick });
    await app.clock.advance('5m');
    assert.deepEqual(order, ['slow 2', 'quick 3', 'slow 4']);
    assert.equal(app.clock.now(), Date.UTC(2026, 0, 1, 0, 5));
  });

  it('is idle when chains of functions have come to their end, retries and waiting batches included', async () => {
    let attempts = 0;
    const first = fn('first', { on: jobs, batch: { size: 10, wait: '5s' } }, async (records, ctx) => {
      for (const record of records) await ctx.emit(done, record.value);
    });
    const second = fn('second', { on: done, retry: { attempts: 5, backoff: '10s' } }, () => {
      if (++attempts < 3) throw new Error('not yet');
    });
    await using app = await testApp({ jobs, done, first, second });
    await app.emit(jobs, 'a');
    await app.idle();
    assert.equal(attempts, 3);
    assert.equal((await app.records(done)).length, 1);
    assert.deepEqual(await app.records('second.dlq').catch(() => []), []);
  });

  it('brings the retry of a tick forward too', async () => {
    let attempts = 0;
    const sweep = fn('sweep', { on: every('1h'), retry: { attempts: 3, backoff: '1m' } }, () => {
      if (++attempts < 3) throw new Error('not yet');
    });
    await using app = await testApp({ sweep });
    await app.clock.advance('1h');
    assert.equal(attempts, 1);
    await app.idle();
    assert.equal(attempts, 3);
  });

  it('knows states that the module does not export', async () => {
    const counts = state<number>('counts');
    const count = fn('count', { on: jobs }, async (record, ctx) => {
      const now = ((await ctx.state(counts, record).get()) ?? 0) + 1;
      await ctx.state(counts, record).set(now);
      await ctx.emit(done, now);
    });
    await using app = await testApp({ jobs, done, count });
    for (let index = 0; index < 3; index++) await app.emit(jobs, index, { key: 'one' });
    await app.idle();
    assert.deepEqual(
      (await app.records(done)).map(({ value }) => value),
      [1, 2, 3],
    );
  });

  it('times a function out when the clock passes its deadline', async () => {
    const stuck = fn('stuck', { timeout: '10s' }, () => new Promise<void>(() => undefined));
    await using app = await testApp({ stuck });
    const answer = assert.rejects(app.invoke(stuck), { code: 'FUNCTION_TIMED_OUT' });
    await app.clock.advance('11s');
    await answer;
  });

  it('hands over the secrets it was given, keeps the lines that functions log, and starts several apps', async () => {
    const show = fn(
      'show',
      { on: http.get('/show', { keys: ['KEY'] }), secrets: ['KEY'] },
      async (_, ctx) => {
        ctx.log.warn('asked');
        return { body: await ctx.secret('KEY') };
      },
    );
    const ask = fn('ask', {}, async (_: unknown, ctx) => ctx.log.info('elsewhere'));
    await using app = await testApp([{ show }, { ask }], { secrets: { KEY: 'open' } });
    assert.equal((await app.fetch('/show')).status, 401);
    const answer = await app.fetch('/show', { headers: { 'x-api-key': 'open' } });
    assert.equal(await answer.text(), 'open');
    await app.invoke(ask);
    assert.deepEqual(app.logs(), [
      { fn: 'show', level: 'warn', message: 'asked' },
      { fn: 'ask', level: 'info', message: 'elsewhere' },
    ]);
  });

  it('throws what the function threw, by its name and message', async () => {
    const fail = fn('fail', {}, () => {
      throw new RangeError('too far');
    });
    await using app = await testApp({ fail });
    await assert.rejects(app.invoke(fail), { code: 'FUNCTION_FAILED', message: 'RangeError: too far' });
  });

  it('refuses an app that could not be deployed', async () => {
    const wrong = fn('wrong', { timeout: '16m' }, () => undefined);
    await assert.rejects(testApp({ wrong }), { code: 'APP_INVALID', message: /timeout/ });
  });
});
