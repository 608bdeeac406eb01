import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { manualClock } from '../clock.ts';
import { isMillraceError } from '../errors.ts';
import { siblingModule } from '../sibling.ts';
import { createWorkers } from './workers.ts';

const named = (task: string) => ({ module: siblingModule(import.meta.url, './tasks.fixture'), task });
const unavailable = (error: unknown): boolean => isMillraceError(error, 'UNAVAILABLE');

function pool(size = 1, queue = 2) {
  const clock = manualClock();
  const workers = createWorkers({ size, queue, idleMs: 1000, clock });
  const stop = (deadline = AbortSignal.abort()) => workers.stop!(deadline);
  return { clock, workers, stop, [Symbol.asyncDispose]: () => stop() };
}

function flag(): { readonly shared: SharedArrayBuffer; set(): void; isSet(): Promise<unknown> } {
  const shared = new SharedArrayBuffer(4);
  const view = new Int32Array(shared);
  return {
    shared,
    set() {
      Atomics.store(view, 0, 1);
      Atomics.notify(view, 0);
    },
    isSet: async () => Atomics.waitAsync(view, 0, 0).value,
  };
}

describe('the platform workers', () => {
  it('start when there is work, at most so many, and give results back', async () => {
    await using under = pool(2, 100);
    assert.equal(under.workers.threads, 0);
    assert.equal(await under.workers.run(named('double'), 21), 42);
    assert.equal(under.workers.threads, 1);
    const ids = await Promise.all(
      Array.from({ length: 20 }, () => under.workers.run<number>(named('thread'), null)),
    );
    assert.equal(under.workers.threads, 2);
    assert.ok(new Set(ids).size <= 2);
  });

  it('end a thread that had nothing to do for a while, and start another when needed', async () => {
    await using under = pool();
    await under.workers.run(named('double'), 1);
    under.clock.advance(999);
    assert.equal(under.workers.threads, 1);
    under.clock.advance(1);
    assert.equal(under.workers.threads, 0);
    assert.equal(await under.workers.run(named('double'), 1), 2);
  });

  it('hand buffers over, both ways', async () => {
    await using under = pool();
    const input = Uint8Array.of(1, 2, 3);
    const output = await under.workers.run<Uint8Array>(named('reverse'), input, { transfer: [input.buffer] });
    assert.deepEqual([...output], [3, 2, 1]);
    assert.equal(input.length, 0, 'it was given away');
  });

  it('pass errors on: those with a code as they are, others as INTERNAL without their text', async () => {
    await using under = pool();
    await assert.rejects(under.workers.run(named('refuse'), null), (error) => {
      return isMillraceError(error, 'INVALID_INPUT') && error.errors[0]?.path === '/a';
    });
    for (const task of ['fail', 'absent']) {
      await assert.rejects(under.workers.run(named(task), null), (error) => {
        return (
          isMillraceError(error, 'INTERNAL') &&
          !error.message.includes('a detail') &&
          error.cause !== undefined
        );
      });
    }
    await assert.rejects(
      under.workers.run(named('double'), () => 1),
      /could not be cloned/,
    );
    assert.equal(await under.workers.run(named('double'), 2), 4);
  });

  it('contain a crash: its task fails, what waits goes on', async () => {
    await using under = pool();
    const crashed = under.workers.run(named('crash'), null);
    const next = under.workers.run(named('double'), 4);
    await assert.rejects(crashed, unavailable);
    assert.equal(await next, 8);
  });

  it('bound the queue', async () => {
    await using under = pool(1, 2);
    const gate = flag();
    const running = under.workers.run(named('wait'), gate.shared);
    const waiting = [1, 2].map((input) => under.workers.run(named('double'), input));
    await assert.rejects(under.workers.run(named('double'), 3), unavailable);
    gate.set();
    assert.deepEqual(await Promise.all([running, ...waiting]), ['done', 2, 4]);
  });

  it('give a task up when its caller does, running or waiting', async () => {
    await using under = pool();
    const started = flag();
    const [first, second] = [new AbortController(), new AbortController()];
    const spinning = under.workers.run(named('spin'), started.shared, { signal: first.signal });
    const queued = under.workers.run(named('double'), 1, { signal: second.signal });
    const last = under.workers.run(named('double'), 5);
    await started.isSet();
    second.abort(new Error('second'));
    first.abort(new Error('first'));
    await assert.rejects(spinning, /first/);
    await assert.rejects(queued, /second/);
    assert.equal(await last, 10);
    const aborted = AbortSignal.abort(new Error('before'));
    await assert.rejects(under.workers.run(named('double'), 1, { signal: aborted }), /before/);
  });

  it('finish what they have when they stop, and take nothing new', async () => {
    await using under = pool();
    const gate = flag();
    const running = under.workers.run(named('wait'), gate.shared);
    const waiting = under.workers.run(named('double'), 1);
    const stopped = under.stop(new AbortController().signal);
    await assert.rejects(under.workers.run(named('double'), 1), unavailable);
    gate.set();
    assert.deepEqual(await Promise.all([running, waiting]), ['done', 2]);
    await stopped;
    assert.equal(under.workers.threads, 0);
  });

  it('end what does not finish by the deadline', async () => {
    await using under = pool();
    const started = flag();
    const spinning = under.workers.run(named('spin'), started.shared);
    await started.isSet();
    const deadline = new AbortController();
    const stopped = under.stop(deadline.signal);
    deadline.abort();
    await assert.rejects(spinning, unavailable);
    await stopped;
  });
});
