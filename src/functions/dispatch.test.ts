import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { LIMITS, manualClock, onSignal, type Signals } from '../kernel/index.ts';
import { startFunctions } from './functions.fixture.ts';

/** Waits until another invocation of the same instance opens the gate. */
const HOLD = `async handler(event, ctx) {
  if (event === 'open') { globalThis.gate?.(); return 'opened'; }
  globalThis.promise ??= new Promise((resolve) => (globalThis.gate = resolve));
  await globalThis.promise;
  return event;
}`;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('queues and places', () => {
  it('bound what waits: past the queue callers get 429 and a time to come back', async () => {
    await using app = await startFunctions({ config: { functionQueue: 2 } });
    await app.deploy('1', { one: { code: HOLD, perInstance: 2, instances: { min: 1, max: 1 } } });
    const throttled: Signals['function.invoked'][] = [];
    const stop = onSignal('function.invoked', (signal) => throttled.push(signal));
    await until(() => app.functions.describe('one').instances === 1);
    const running = app.value('one', 'a');
    await until(() => app.functions.describe('one').inFlight === 1);
    const opener = async (): Promise<unknown> => app.value('one', 'open');
    const second = app.value('one', 'b');
    const waiting = [app.value('one', 'c'), app.value('one', 'd')];
    await assert.rejects(app.call('one', 'e'), (error: { code: string; retryAfterMs: number }) => {
      assert.equal(error.code, 'TOO_MANY_REQUESTS');
      assert.ok(error.retryAfterMs >= 100 && error.retryAfterMs <= 20_000);
      return true;
    });
    assert.equal(throttled.filter(({ outcome }) => outcome === 'throttled').length, 1);
    assert.equal(app.functions.describe('one').stats.throttled, 1);
    const counts = app.functions.describe('one');
    assert.deepEqual([counts.inFlight, counts.queued], [2, 2]);
    stop();
    await assert.rejects(opener(), { code: 'TOO_MANY_REQUESTS' });
    const ends = Promise.allSettled([running, second, ...waiting]);
    await app.functions.stop!(AbortSignal.timeout(1));
    assert.deepEqual(
      (await ends).map((end) => (end as PromiseRejectedResult).reason.code ?? 'crashed'),
      ['crashed', 'crashed', 'UNAVAILABLE', 'UNAVAILABLE'],
    );
  });

  it('bound how long something waits', async () => {
    const clock = manualClock();
    await using app = await startFunctions({ clock, config: { functionQueueWait: 1000 } });
    const code = 'handler: () => new Promise(() => {})';
    await app.deploy('1', { one: { code, perInstance: 1, instances: { min: 1, max: 1 } } });
    await until(() => app.functions.describe('one').instances === 1);
    void app.call('one').catch(() => undefined);
    const waiting = assert.rejects(app.call('one'), { code: 'TOO_MANY_REQUESTS' });
    clock.advance(1000);
    await waiting;
  });

  it('take a caller that has gone out of the queue', async () => {
    await using app = await startFunctions();
    const code = 'handler: () => new Promise(() => {})';
    await app.deploy('1', { one: { code, perInstance: 1, instances: { min: 1, max: 1 } } });
    await until(() => app.functions.describe('one').instances === 1);
    void app.call('one');
    const caller = new AbortController();
    const waiting = app.call('one', 1, { signal: caller.signal });
    caller.abort();
    const outcome = await waiting;
    assert.equal(outcome.status === 'error' && outcome.error.name, 'AbortError');
    assert.equal(app.functions.describe('one').queued, 0);
  });
});

describe('a signal that outlives its invocations', () => {
  it('is not listened to by those that have ended', async () => {
    await using app = await startFunctions();
    await app.deploy('1', { echo: { code: 'handler: (event) => event' } });
    const { signal } = new AbortController();
    for (let call = 0; call < 20; call++) await app.value('echo', call, { signal });
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });
});

describe('scaling', () => {
  it('goes up at once with what runs at the same time, to the maximum, and down to none when idle', async () => {
    const clock = manualClock();
    await using app = await startFunctions({ clock, config: { functionIdle: 60_000 } });
    const steps: string[] = [];
    const stop = onSignal(
      'function.scaled',
      ({ fn, from, to }) => void (fn === 'busy' && steps.push(`${from}→${to}`)),
    );
    const busy = { code: 'handler: (event, ctx) => ctx.invoke("gate", event)', perInstance: 1 };
    await app.deploy('1', { busy: { ...busy, instances: { min: 0, max: 3 } }, gate: { code: HOLD } });
    assert.equal(app.runtime.counts().instances, 0, 'deployed and idle: no instance');
    const calls = [1, 2, 3, 4, 5].map((n) => app.value('busy', n));
    await until(() => app.functions.describe('busy').instances === 3);
    assert.deepEqual(steps, ['0→1', '1→2', '2→3']);
    assert.equal(app.functions.describe('busy').queued, 2);
    await until(() => app.functions.describe('gate').inFlight === 3);
    await app.value('gate', 'open');
    assert.deepEqual(await Promise.all(calls), [1, 2, 3, 4, 5]);
    clock.advance(30_000);
    assert.equal(app.functions.describe('busy').instances, 3, 'not before the idle time is over');
    for (let half = 0; half < 3; half++) clock.advance(30_000);
    await until(() => app.runtime.counts().instances === 0);
    assert.equal(steps.at(-1), '3→0');
    stop();
  });

  it('starts one instance for many callers that fit into it', async () => {
    await using app = await startFunctions();
    await app.deploy('1', { echo: { code: 'handler: (event) => event' } });
    const values = await Promise.all(Array.from({ length: 60 }, (_, n) => app.value('echo', n)));
    assert.deepEqual(
      values,
      Array.from({ length: 60 }, (_, n) => n),
    );
    assert.equal(app.runtime.counts().instances, 1);
  });

  it('keeps the minimum warm and replaces what crashed', async () => {
    await using app = await startFunctions();
    const code = 'handler: (event) => (event === "exit" ? process.exit(1) : event)';
    await app.deploy('1', { kept: { code, instances: { min: 2, max: 4 } } });
    assert.equal(app.functions.describe('kept').instances, 2, 'ready before the version serves');
    await app.call('kept', 'exit');
    await until(() => app.functions.describe('kept').instances === 2);
    assert.equal(await app.value('kept', 'fine'), 'fine');
  });

  it('shares the places of the platform: an idle function gives its own up', async () => {
    await using app = await startFunctions({ config: { functionInstances: 1 } });
    const code = 'handler: (event) => event';
    await app.deploy('1', { first: { code }, second: { code } });
    assert.equal(await app.value('first', 1), 1);
    assert.equal(await app.value('second', 2), 2);
    assert.equal(await app.value('first', 3), 3);
    assert.equal(app.runtime.counts().instances, 1);
  });
});

describe('versions', () => {
  const answer = (version: string): { code: string; version: string } => ({
    code: `handler: async (event) => { const before = '${version}'; await new Promise(setImmediate); return [before, '${version}']; }`,
    version,
  });

  it('come and go under load: no call is lost, and none is answered by two', async () => {
    await using app = await startFunctions();
    await app.deploy('v0', { echo: answer('v0') });
    let stop = false;
    const seen = new Set<string>();
    const client = async (): Promise<void> => {
      while (!stop) {
        const [before, after] = (await app.value('echo')) as [string, string];
        assert.equal(before, after);
        seen.add(after);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (let reload = 1; reload <= 15; reload++)
      await app.deploy(`v${reload}`, { echo: answer(`v${reload}`) });
    assert.deepEqual(await app.value('echo'), ['v15', 'v15'], 'the newest serves as soon as it is active');
    stop = true;
    await Promise.all(clients);
    assert.ok(seen.size > 5, `${seen.size} versions were seen`);
    await until(() => app.runtime.counts().instances <= 2);
  });

  it('stay together: what an invocation calls in its app has the version it has itself', async () => {
    await using app = await startFunctions();
    const caller = (version: string): { code: string; version: string } => ({
      code: `handler: async (event, ctx) => { await ctx.invoke('wait'); return ['${version}', await ctx.invoke('inner')]; }`,
      version,
    });
    const inner = (version: string): { code: string; version: string } => ({
      code: `handler: () => '${version}'`,
      version,
    });
    const wait = { code: HOLD };
    await app.deploy('1', { outer: caller('a'), inner: inner('a'), wait });
    const old = app.value('outer');
    await until(() => app.functions.describe('wait').inFlight === 1);
    await app.deploy('2', { outer: caller('b'), inner: inner('b'), wait });
    await app.value('wait', 'open');
    assert.deepEqual(await old, ['a', 'a']);
    assert.deepEqual(await app.value('outer'), ['b', 'b']);
  });

  it('that cannot be loaded are refused before they serve, and what ran goes on', async () => {
    await using app = await startFunctions();
    await app.deploy('1', { echo: answer('good') });
    await app.value('echo');
    const bad = { code: 'handler: missing.thing', version: 'bad' };
    await assert.rejects(app.deploy('2', { echo: bad }), {
      code: 'DEPLOY_REFUSED',
      message: /missing is not defined/,
    });
    assert.deepEqual(await app.value('echo'), ['good', 'good']);
  });

  it('that did not change keep their instances', async () => {
    await using app = await startFunctions();
    const counter = { code: 'handler: () => (globalThis.count = (globalThis.count ?? 0) + 1)' };
    await app.deploy('1', { counter, echo: answer('1') });
    assert.equal(await app.value('counter'), 1);
    await app.deploy('2', { counter, echo: answer('2') });
    assert.equal(await app.value('counter'), 2);
  });

  it('are planned as readable differences', async () => {
    await using app = await startFunctions();
    const before = app.version('1', { a: answer('1'), b: answer('1') });
    const after = app.version('2', { a: { ...answer('2'), timeoutMs: 5000 }, c: answer('1') });
    assert.deepEqual(await app.functions.deployable.plan(before, after), [
      { resource: 'function/a', action: 'update', details: ['timeoutMs 30000 → 5000'] },
      { resource: 'function/c', action: 'create', details: [] },
      { resource: 'function/b', action: 'remove', details: [] },
    ]);
  });
});

describe('ctx', () => {
  it('invokes other functions, to a depth', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      deeper: {
        code: 'handler: async (n, ctx) => { try { return await ctx.invoke("deeper", n + 1); } catch (error) { return [n, error.code, error.message]; } }',
      },
      caller: {
        code: 'handler: async (event, ctx) => ({ twice: (await ctx.invoke({ name: "double" }, event)) })',
      },
      double: { code: 'handler: (n) => n * 2' },
      failing: { code: 'handler: (event, ctx) => ctx.invoke("thrower")' },
      thrower: { code: 'handler() { throw new TypeError("inside") }' },
    });
    assert.deepEqual(await app.value('caller', 21), { twice: 42 });
    const [depth, code] = (await app.value('deeper', 0)) as [number, string];
    assert.deepEqual([depth, code], [LIMITS.invocationDepth, 'DEPTH_EXCEEDED']);
    const outcome = await app.call('failing');
    assert.match(
      outcome.status === 'error' ? outcome.error.message : '',
      /'thrower' failed with TypeError: inside/,
    );
  });

  it('emits durably, reports refusals, and reaches what other rooms provide', async () => {
    const calls: unknown[] = [];
    await using app = await startFunctions({
      providers: [
        {
          name: 'kv',
          async call(caller, resource, method, args) {
            calls.push([caller.fn, resource, method, ...args]);
            return method === 'bytes' ? new Uint8Array([1, 2]) : { found: true };
          },
        },
      ],
    });
    await app.deploy('1', {
      user: {
        code: `async handler(event, ctx) {
          await ctx.emit('alerts', event, { key: 'k1' });
          const refused = await ctx.emit('missing', 1).catch((error) => error.code);
          const bytes = await ctx.kv({ name: 'prices' }).bytes('x');
          return [refused, await ctx.kv('prices').get('apple', { fresh: true }), bytes instanceof Uint8Array, bytes.length];
        }`,
      },
    });
    assert.deepEqual(await app.value('user', { a: 1 }), ['STREAM_NOT_FOUND', { found: true }, true, 2]);
    assert.deepEqual(app.emitted, [{ stream: 'alerts', value: { a: 1 }, key: 'k1' }]);
    assert.deepEqual(calls, [
      ['user', 'prices', 'bytes', 'x'],
      ['user', 'prices', 'get', 'apple', { fresh: true }],
    ]);
  });
});
