import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { isMillraceError } from './errors.ts';
import { createLifecycle, type Service } from './lifecycle.ts';

interface Faults {
  readonly start?: string;
  readonly stop?: string;
}

/** Services a, b and c that write down what is done to them. */
function house(faults: Faults = {}) {
  const events: string[] = [];
  const service = (name: string): Service => ({
    name,
    async start() {
      events.push(`start ${name}`);
      if (faults.start === name) throw new Error(`${name} cannot start`);
    },
    refuse: () => void events.push(`refuse ${name}`),
    async stop() {
      events.push(`stop ${name}`);
      if (faults.stop === name) throw new Error(`${name} cannot stop`);
    },
  });
  const lifecycle = createLifecycle(['a', 'b', 'c'].map(service));
  lifecycle.onChange((state) => void events.push(state));
  return { lifecycle, events };
}

const STARTED = ['starting', 'start a', 'start b', 'start c', 'running'];
const STOPPED = ['draining', 'refuse c', 'refuse b', 'refuse a', 'stop c', 'stop b', 'stop a', 'stopped'];

describe('the lifecycle', () => {
  it('created → starting → running → draining → stopped: in order, and back in reverse', async () => {
    const { lifecycle, events } = house();
    assert.equal(lifecycle.state, 'created');
    await lifecycle.start();
    assert.equal(lifecycle.state, 'running');
    await lifecycle.stop();
    assert.deepEqual(events, [...STARTED, ...STOPPED]);
  });

  it('does each thing once, however often it is asked', async () => {
    const { lifecycle, events } = house();
    assert.equal(lifecycle.start(), lifecycle.start());
    await lifecycle.start();
    assert.equal(lifecycle.stop(), lifecycle.stop());
    await lifecycle.stop();
    assert.deepEqual(events, [...STARTED, ...STOPPED]);
  });

  it('starting → failed: what was started is stopped, what failed too, and the error is told', async () => {
    const { lifecycle, events } = house({ start: 'b' });
    await assert.rejects(lifecycle.start(), /b cannot start/);
    assert.deepEqual(events, [
      'starting',
      'start a',
      'start b',
      'refuse b',
      'refuse a',
      'stop b',
      'stop a',
      'failed',
    ]);
    await lifecycle.stop();
    assert.equal(lifecycle.state, 'failed');
  });

  it('starting → draining: a stop during the start leaves the rest unstarted', async () => {
    const { lifecycle, events } = house();
    const started = lifecycle.start();
    const stopped = lifecycle.stop();
    await Promise.all([started, stopped]);
    assert.deepEqual(events, ['starting', 'start a', 'draining', 'refuse a', 'stop a', 'stopped']);
  });

  it('draining → failed: one that cannot stop does not keep the others from it', async () => {
    const { lifecycle, events } = house({ stop: 'b' });
    await lifecycle.start();
    await assert.rejects(lifecycle.stop(), (error) => {
      return error instanceof AggregateError && /b cannot stop/.test(String(error.errors[0]));
    });
    assert.deepEqual(events.slice(-4), ['stop c', 'stop b', 'stop a', 'failed']);
  });

  it('created → stopped, and no start after that', async () => {
    const { lifecycle } = house();
    await lifecycle.stop();
    assert.equal(lifecycle.state, 'stopped');
    await assert.rejects(lifecycle.start(), (error) => isMillraceError(error, 'CONFLICT'));
  });

  it('tells services when the time to drain is over', async () => {
    const slow: Service = {
      name: 'slow',
      stop: (deadline) => new Promise((resolve) => deadline.addEventListener('abort', () => resolve())),
    };
    const lifecycle = createLifecycle([slow]);
    await lifecycle.start();
    // The deadline's timer alone does not keep a process alive; here nothing else would.
    const alive = setInterval(() => undefined, 1000);
    await lifecycle.stop(1);
    clearInterval(alive);
    assert.equal(lifecycle.state, 'stopped');
  });

  it('stops although a start hangs, once the time to drain is over', async () => {
    const events: string[] = [];
    const hanging: Service = {
      name: 'hanging',
      start: () => new Promise(() => undefined),
      stop: async () => void events.push('stop hanging'),
    };
    const lifecycle = createLifecycle([hanging]);
    void lifecycle.start();
    const alive = setInterval(() => undefined, 1000);
    await lifecycle.stop(1);
    clearInterval(alive);
    assert.deepEqual([events, lifecycle.state], [['stop hanging'], 'stopped']);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`stops in order on ${signal}, sent twice, and ends with code 0`, async () => {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'lifecycle.fixture.ts')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exit = once(child, 'exit');
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) {
        lines.push(line);
        if (line === 'running') child.kill(signal);
        if (line === 'draining') child.kill(signal);
      }
      assert.deepEqual(await exit, [0, null]);
      const order = lines.filter((line) => line.startsWith('stop '));
      assert.deepEqual(order, ['stop doors', 'stop functions', 'stop log']);
      assert.equal(lines.at(-1), 'stopped');
    });
  }
});
