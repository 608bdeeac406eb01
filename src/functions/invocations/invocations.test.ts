import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryStateStore } from '../../adapters/memory/index.ts';
import { createIds, manualClock, resolveConfig, type StateStore, seededRandom } from '../../kernel/index.ts';
import type { InvocationContext, InvocationOutcome } from '../invocation.ts';
import { type InvocationsConfig, invocationsSection } from './config.ts';
import { createInvocations, type Invocations } from './invocations.ts';

type Answer = (input: unknown, context: InvocationContext) => Promise<InvocationOutcome> | InvocationOutcome;

const ok = (value: unknown): InvocationOutcome => ({
  status: 'ok',
  value: { kind: 'json', json: Buffer.from(JSON.stringify(value)) },
  durationMs: 1,
  cold: false,
});
const failed = (code: 'FUNCTION_FAILED' | 'INVALID_INPUT'): InvocationOutcome => ({
  status: 'error',
  error: { code, name: 'Error', message: 'it failed' },
  durationMs: 1,
  cold: false,
});

function start(answer: Answer, given: { state?: StateStore; config?: Partial<InvocationsConfig> } = {}) {
  const clock = manualClock();
  const random = seededRandom(1);
  const state = given.state ?? memoryStateStore({ clock });
  const invocations = createInvocations({
    clock,
    random,
    ids: createIds(clock, seededRandom(given.state ? 2 : 1)),
    state,
    config: { ...resolveConfig([invocationsSection]).invocations, ...given.config },
    dispatcher: {
      find: (name) => (name === 'work' ? ({ retry: { attempts: 3, backoffMs: 100 } } as never) : undefined),
      dispatch: async (_fn, event, context) => {
        const input =
          event.kind === 'direct' && event.input
            ? JSON.parse(Buffer.from(event.input).toString())
            : undefined;
        return answer(input, context);
      },
    },
  });
  return { clock, state, invocations };
}

const input = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function settle(clock: { advance(ms: number): void }, invocations: Invocations, id: string) {
  for (;;) {
    const record = await invocations.read(id);
    if (record.finishedMs !== null) return record;
    clock.advance(1000);
    await turn();
  }
}

describe('asynchronous invocations', () => {
  it('are stored before the id is given, and keep their result and what they wrote', async () => {
    const { clock, invocations } = start((value, context) => {
      context.onLog?.({ level: 'info', timeMs: 0, message: 'working' });
      return ok({ got: value });
    });
    const id = await invocations.submit('work', input([1]));
    const record = await settle(clock, invocations, id);
    assert.deepEqual([record.state, record.result], ['succeeded', '{"got":[1]}']);
    assert.deepEqual(
      record.logs.map(({ message }) => message),
      ['working'],
    );
    await assert.rejects(invocations.read('nothing'), { code: 'INVOCATION_NOT_FOUND' });
    await assert.rejects(invocations.submit('nothing', undefined), { code: 'FUNCTION_NOT_FOUND' });
  });

  it('are tried as often as their function says, under one idempotency key', async () => {
    const seen: [number, string][] = [];
    const { clock, invocations } = start((_input, { attempt, idempotencyKey }) => {
      seen.push([attempt, idempotencyKey]);
      return attempt < 3 ? failed('FUNCTION_FAILED') : ok('at last');
    });
    const id = await invocations.submit('work', undefined, { idempotencyKey: 'order-7' });
    const record = await settle(clock, invocations, id);
    assert.deepEqual(seen, [
      [1, 'order-7'],
      [2, 'order-7'],
      [3, 'order-7'],
    ]);
    assert.deepEqual(
      record.attempts.map(({ error }) => error?.code),
      ['FUNCTION_FAILED', 'FUNCTION_FAILED', undefined],
    );
  });

  it('fail for good when the attempts are used up, and at once when trying again cannot help', async () => {
    const { clock, invocations } = start((value) =>
      failed(value === 'bad' ? 'INVALID_INPUT' : 'FUNCTION_FAILED'),
    );
    const often = await settle(clock, invocations, await invocations.submit('work', input('x')));
    assert.deepEqual([often.state, often.attempts.length, often.error?.message], ['failed', 3, 'it failed']);
    const once = await settle(clock, invocations, await invocations.submit('work', input('bad')));
    assert.equal(once.attempts.length, 1);
  });

  it('survive a restart: what was accepted and not finished is run by the next platform', async () => {
    const first = start(() => new Promise<InvocationOutcome>(() => undefined));
    const id = await first.invocations.submit('work', input('kept'));
    await turn();
    assert.equal((await first.invocations.read(id)).state, 'running');
    const second = start((value, { attempt }) => ok([value, attempt]), { state: first.state });
    await second.invocations.start!();
    const record = await settle(second.clock, second.invocations, id);
    assert.equal(record.result, '["kept",2]');
  });

  it('with one idempotency key are one invocation, unless the input differs', async () => {
    let runs = 0;
    const { clock, invocations } = start(() => ok(++runs));
    const ids = await Promise.all(
      [1, 2, 3].map(() => invocations.submit('work', input('same'), { idempotencyKey: 'k' })),
    );
    assert.equal(new Set(ids).size, 1);
    await settle(clock, invocations, ids[0]!);
    assert.equal(await invocations.submit('work', input('same'), { idempotencyKey: 'k' }), ids[0]);
    assert.equal(runs, 1);
    await assert.rejects(invocations.submit('work', input('other'), { idempotencyKey: 'k' }), {
      code: 'IDEMPOTENCY_KEY_REUSED',
    });
  });

  it('wait within bounds, and their results are forgotten in time', async () => {
    const { clock, invocations } = start(
      (value) => (value === 'hold' ? new Promise(() => undefined) : ok(1)),
      {
        config: { invocationBacklog: 2, invocationRetention: 60_000 },
      },
    );
    const id = await invocations.submit('work', input('go'));
    await settle(clock, invocations, id);
    await invocations.submit('work', input('hold'));
    await invocations.submit('work', input('hold'));
    await assert.rejects(invocations.submit('work', input('hold')), { code: 'TOO_MANY_REQUESTS' });
    clock.advance(60_001);
    await assert.rejects(invocations.read(id), { code: 'INVOCATION_NOT_FOUND' });
  });
});
