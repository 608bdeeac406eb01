import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS, manualClock, onSignal, type Signals } from '../kernel/index.ts';
import { startFunctions } from './functions.fixture.ts';
import { LOG_LIMITS, PAYLOAD_LIMIT_BYTES } from './protocol.ts';

const ECHO = { code: 'handler: async (event) => event' };
/** Two invocations share one instance: the bad one and a neighbour that waits for a word from outside. */
const ONE_INSTANCE = { min: 0, max: 1 };

async function errorOf(
  outcome: Promise<{ status: string }>,
): Promise<{ code: string; name: string; message: string }> {
  const settled = (await outcome) as {
    status: string;
    error?: { code: string; name: string; message: string };
  };
  assert.equal(settled.status, 'error');
  return settled.error!;
}

describe('what a function does wrong stays with it', () => {
  it('throws what is no error: the outcome says what was thrown', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      thrower: {
        code: `async handler(event) {
          if (event === 'hostile') throw { get message() { throw 1 }, [Symbol.for('nodejs.util.inspect.custom')]() { throw 2 } };
          if (event === 'null') throw null;
          throw event;
        }`,
      },
    });
    assert.deepEqual(await errorOf(app.call('thrower', 'plain text')), {
      code: 'FUNCTION_FAILED',
      name: 'string',
      message: 'plain text',
    });
    assert.equal((await errorOf(app.call('thrower', { a: 1 }))).message, '{ a: 1 }');
    assert.equal((await errorOf(app.call('thrower', 'null'))).name, 'null');
    assert.equal((await errorOf(app.call('thrower', 'hostile'))).code, 'FUNCTION_FAILED');
    assert.equal(app.functions.describe('thrower').instances, 1, 'the instance goes on');
  });

  it('returns what cannot be sent: RESULT_INVALID, with the reason', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      returner: {
        code: `handler: (event) => {
          const circular = {}; circular.self = circular;
          return { circular, bigint: 1n, fn: () => 1, huge: 'x'.repeat(${LIMITS.bodyBytes + 1}) }[event];
        }`,
      },
    });
    for (const kind of ['circular', 'bigint', 'fn', 'huge']) {
      assert.equal((await errorOf(app.call('returner', kind))).code, 'RESULT_INVALID', kind);
    }
    assert.equal(await app.value('returner', 'nothing of these'), undefined);
  });

  it('never settles: its deadline answers, and the instance is replaced when its neighbour is through', async () => {
    const clock = manualClock();
    await using app = await startFunctions({ clock });
    const code = `async handler(event, ctx) {
      if (event === 'hang') { ctx.signal.addEventListener('abort', () => { ctx.emit('aborted', ctx.signal.reason.name); }); return new Promise(() => {}); }
      if (event === 'neighbour') { await ctx.emit('begun', 1); await new Promise((done) => setTimeout(done, 20)); }
      return event;
    }`;
    await app.deploy('1', { slow: { code, timeoutMs: 1000, instances: ONE_INSTANCE } });
    await app.value('slow', 'warm');
    const hanging = app.call('slow', 'hang');
    clock.advance(999);
    const neighbour = app.value('slow', 'neighbour');
    clock.advance(1);
    const error = await errorOf(hanging);
    assert.equal(error.code, 'FUNCTION_TIMED_OUT');
    assert.match(error.message, /1000 ms/);
    assert.equal(app.functions.describe('slow').instances, 0, 'nothing new goes to it');
    const queued = app.value('slow', 'after');
    assert.equal(await neighbour, 'neighbour', 'the neighbour is let finish');
    assert.equal(await queued, 'after', 'a fresh instance serves');
  });

  it('fills its heap: the instance ends, and only what ran on it is told', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      filler: {
        code: 'handler() { const all = []; for (;;) all.push(new Array(1000).fill(Math.random())); }',
      },
      echo: ECHO,
    });
    await app.value('echo', 1);
    const filling = errorOf(app.call('filler'));
    assert.equal(await app.value('echo', 2), 2);
    const error = await filling;
    assert.deepEqual([error.code, error.name], ['FUNCTION_CRASHED', 'OutOfMemory']);
    assert.match(error.message, /memory/);
  });

  it('calls process.exit: its invocations crash, and the next finds a new instance', async () => {
    await using app = await startFunctions();
    const code = `async handler(event) { if (event === 'exit') { console.log('last words'); process.exit(3); } if (event === 'wait') await new Promise(() => {}); return event; }`;
    await app.deploy('1', { quitter: { code } });
    const lines: string[] = [];
    await app.value('quitter', 'warm');
    const waiting = errorOf(app.call('quitter', 'wait'));
    const error = await errorOf(app.call('quitter', 'exit', { onLog: ({ message }) => lines.push(message) }));
    assert.deepEqual([error.code, error.name], ['FUNCTION_CRASHED', 'ProcessExit']);
    assert.match(error.message, /process\.exit\(3\)/);
    assert.equal((await waiting).code, 'FUNCTION_CRASHED');
    assert.deepEqual(lines, ['last words'], 'what it wrote before is not lost');
    assert.equal(await app.value('quitter', 'again'), 'again');
  });

  it('leaves errors and rejections uncaught: the crash carries them', async () => {
    await using app = await startFunctions();
    const code = `async handler(event) {
      if (event === 'error') setTimeout(() => { throw new TypeError('from a timer'); });
      else void Promise.reject(new RangeError('nobody listens'));
      await new Promise(() => {});
    }`;
    await app.deploy('1', { careless: { code } });
    assert.match((await errorOf(app.call('careless', 'error'))).message, /from a timer/);
    assert.match((await errorOf(app.call('careless', 'rejection'))).message, /nobody listens/);
  });

  it('blocks its loop: the deadline answers although the instance cannot, and others are served', async () => {
    const clock = manualClock();
    await using app = await startFunctions({ clock });
    await app.deploy('1', {
      blocker: { code: 'handler(event) { if (event === "block") for (;;); return event; }', timeoutMs: 500 },
      echo: ECHO,
    });
    await app.value('blocker', 'warm');
    await app.value('echo', 'warm');
    const blocked = app.call('blocker', 'block');
    assert.equal(await app.value('echo', 'meanwhile'), 'meanwhile');
    clock.advance(500);
    assert.equal((await errorOf(blocked)).code, 'FUNCTION_TIMED_OUT');
    assert.equal(await app.value('blocker', 'again'), 'again');
    assert.equal(app.functions.describe('blocker').instances, 1);
  });

  it('floods its log: lines are cut at the bound, one says so, and the next invocation has its own', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      flood: {
        code: `handler(event) { for (let i = 0; i < event; i++) console.log('line', i); return 'done'; }`,
      },
    });
    const lines: string[] = [];
    const onLog = ({ message }: { message: string }): void => void lines.push(message);
    assert.equal(await app.value('flood', 100_000, { onLog }), 'done');
    assert.equal(lines.length, LOG_LIMITS.lines + 1);
    assert.match(lines.at(-1)!, /truncated/);
    lines.length = 0;
    await app.value('flood', 2, { onLog });
    assert.deepEqual(lines, ['line 0', 'line 1']);
  });

  it('emits 10 MB: refused inside the handler, which may go on', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      large: {
        code: `async handler(event, ctx) {
          try { await ctx.emit('s', 'x'.repeat(10 * 1024 * 1024)); } catch (error) { return error.code; }
        }`,
      },
    });
    assert.equal(await app.value('large'), 'PAYLOAD_TOO_LARGE');
    assert.deepEqual(app.emitted, []);
  });

  it('is sent more than 6 MB: refused before it runs', async () => {
    await using app = await startFunctions();
    await app.deploy('1', { echo: ECHO });
    await assert.rejects(app.call('echo', 'x'.repeat(LIMITS.bodyBytes)), { code: 'PAYLOAD_TOO_LARGE' });
    assert.equal(PAYLOAD_LIMIT_BYTES, LIMITS.bodyBytes);
    const large = 'x'.repeat(LIMITS.bodyBytes - 100);
    assert.equal(
      ((await app.value('echo', large)) as string).length,
      large.length,
      'up to the limit it passes',
    );
  });

  it('cannot be loaded: every caller is told why, at once while the pause lasts, and a mended version serves', async () => {
    const clock = manualClock();
    await using app = await startFunctions({ clock });
    await app.deploy('1', { broken: { code: 'handler: nowhere.to.be.found' } });
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await errorOf(app.call('broken'));
      assert.equal(error.code, 'FUNCTION_FAILED');
      assert.match(error.message, /nowhere is not defined/);
    }
    await app.deploy('2', { broken: { code: 'handler: () => "mended"', version: '2' } });
    assert.equal(await app.value('broken'), 'mended');
  });
});

describe('what a function sees', () => {
  it('is what it declares: neither environment nor arguments of the platform', async () => {
    process.env.PLATFORM_SECRET = 'not for functions';
    await using app = await startFunctions();
    await app.deploy('1', {
      looker: {
        code: 'handler: (event, ctx) => ({ env: { ...process.env }, own: ctx.env, args: process.argv.slice(1), exec: process.execArgv })',
        env: { LIMIT: '900' },
      },
    });
    const seen = await app.value('looker');
    assert.deepEqual(seen, { env: { LIMIT: '900' }, own: { LIMIT: '900' }, args: ['looker'], exec: [] });
    delete process.env.PLATFORM_SECRET;
  });

  it('has secrets that it declares, and only those', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      keeper: {
        code: 'handler: async (event, ctx) => [await ctx.secret("CRM_KEY"), await ctx.secret("OTHER").catch((error) => error.code)]',
        secrets: ['CRM_KEY'],
      },
    });
    assert.deepEqual(await app.value('keeper'), ['the value of CRM_KEY', 'FORBIDDEN']);
  });

  it('attributes output to the invocation that wrote it, although many run at once', async () => {
    await using app = await startFunctions();
    await app.deploy('1', {
      writer: {
        code: `async handler(event, ctx) {
          console.log('a', event); await new Promise((done) => setTimeout(done, 5)); console.error('b', event);
          process.stdout.write('c\\n'); ctx.log.warn('d', { event });
        }`,
      },
    });
    const heard: Signals['function.log'][] = [];
    const stop = onSignal('function.log', (line) => heard.push(line));
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await Promise.all([0, 1, 2].map((n) => app.value('writer', n, { invocationId: `i${n}`, traceparent })));
    stop();
    for (const n of [0, 1, 2]) {
      const own = heard.filter(({ invocationId }) => invocationId === `i${n}`);
      assert.deepEqual(
        own.map(({ level, message }) => `${level} ${message}`),
        [`info a ${n}`, `error b ${n}`, 'info c', 'warn d'],
      );
      assert.deepEqual(own[3]!.attributes, { event: n });
      assert.equal(own[0]!.traceId, '0af7651916cd43dd8448eb211c80319c');
    }
  });
});
