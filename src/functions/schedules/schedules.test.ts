import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryStateStore } from '../../adapters/memory/index.ts';
import {
  type AppVersion,
  createIds,
  type ManualClock,
  manualClock,
  onSignal,
  type StateStore,
  seededRandom,
  type Trigger,
} from '../../kernel/index.ts';
import type { InvocationContext, InvocationOutcome, TickEvent } from '../invocation.ts';
import { createSchedules, type Schedules } from './schedules.ts';

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 1);

interface Run extends TickEvent {
  readonly atMs: number;
  readonly context: InvocationContext;
}

function appOf(triggers: readonly Trigger[], attempts = 3): AppVersion {
  const fn = { name: 'sweep', version: '1', triggers, retry: { attempts, backoffMs: 1000 } };
  const manifest = { format: 1, app: 'shop', version: '1', functions: [fn], streams: [], states: [] };
  return { app: 'shop', version: '1', folder: '', manifest: manifest as unknown as AppVersion['manifest'] };
}

const every = (minutes: number): Trigger => ({ kind: 'every', everyMs: minutes * MINUTE });

type Answer = (run: Run) => Error | undefined | Promise<Error | undefined>;

class House {
  readonly clock: ManualClock = manualClock(START);
  readonly state: StateStore = memoryStateStore({ clock: this.clock });
  readonly runs: Run[] = [];
  answer: Answer = () => undefined;
  #nodes = 0;

  node(): Schedules {
    const random = seededRandom(++this.#nodes);
    return createSchedules({
      state: this.state,
      clock: this.clock,
      random,
      ids: createIds(this.clock, random),
      dispatcher: { dispatch: (_, event, context) => this.#dispatch(event as TickEvent, context) },
    });
  }

  async #dispatch(event: TickEvent, context: InvocationContext): Promise<InvocationOutcome> {
    const run = { ...event, context, atMs: this.clock.now() - START };
    this.runs.push(run);
    const error = await this.answer(run);
    const timing = { durationMs: 1, cold: false };
    if (!error) return { status: 'ok', value: { kind: 'json', json: undefined }, ...timing };
    return {
      status: 'error',
      error: { code: 'FUNCTION_FAILED', name: 'Error', message: error.message },
      ...timing,
    };
  }

  /** Moves the clock a second at a time and lets what comes due run. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1000) {
      this.clock.advance(Math.min(1000, left));
      await settled();
    }
  }

  /** Due times that ran, in minutes after the start. */
  get due(): number[] {
    return this.runs.map(({ scheduledMs }) => (scheduledMs - START) / MINUTE);
  }
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve));
}

async function deployed(house: House, app = appOf([every(5)])): Promise<Schedules> {
  const node = house.node();
  await node.deployable.activate(undefined, app);
  return node;
}

const stop = (node: Schedules): Promise<void> => node.stop!(AbortSignal.timeout(100));

describe('schedules', () => {
  it('run at their times, each once', async () => {
    const house = new House();
    const node = await deployed(house);
    await house.pass(16 * MINUTE);
    assert.deepEqual(house.due, [5, 10, 15]);
    assert.deepEqual(
      house.runs.map(({ missed }) => missed),
      [0, 0, 0],
    );
    assert.equal(new Set(house.runs.map(({ context }) => context.idempotencyKey)).size, 3);
    await stop(node);
    await house.pass(10 * MINUTE);
    assert.equal(house.runs.length, 3);
  });

  it('run what was missed while the platform was down once, and say how much it was', async () => {
    const house = new House();
    await stop(await deployed(house));
    await house.pass(17 * MINUTE);
    assert.equal(house.runs.length, 0);
    await deployed(house);
    await house.pass(4 * MINUTE);
    assert.deepEqual(house.due, [15, 20]);
    assert.deepEqual(
      house.runs.map(({ missed }) => missed),
      [2, 0],
    );
    assert.equal(house.runs[0]?.atMs, 17 * MINUTE + 1000);
  });

  it('try a failed tick again after growing pauses, across a restart, then give it up and go on', async () => {
    const house = new House();
    const given: string[] = [];
    const stopListening = onSignal('platform.log', ({ message }) => given.push(message));
    house.answer = ({ scheduledMs }) =>
      scheduledMs === START + 5 * MINUTE ? new Error('no luck') : undefined;
    const first = await deployed(house);
    await house.pass(5 * MINUTE);
    assert.equal(house.runs.length, 1);
    assert.equal(first.retryWaits, true);
    await stop(first);
    await deployed(house);
    await house.pass(6 * MINUTE);
    stopListening();
    assert.deepEqual(house.due, [5, 5, 5, 10]);
    assert.deepEqual(
      house.runs.map(({ context }) => context.attempt),
      [1, 2, 3, 1],
    );
    assert.equal(new Set(house.runs.map(({ context }) => context.idempotencyKey)).size, 2);
    assert.match(given.join('\n'), /given up after 3 attempts: Error: no luck/);
  });

  it('do not pile up behind a tick that takes longer than the interval', async () => {
    const house = new House();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    house.answer = ({ scheduledMs }) => (scheduledMs === START + 5 * MINUTE ? promise : undefined);
    await deployed(house);
    await house.pass(18 * MINUTE);
    assert.deepEqual(house.due, [5]);
    resolve(undefined);
    await house.pass(3 * MINUTE);
    assert.deepEqual(house.due, [5, 15, 20]);
    assert.equal(house.runs[1]?.missed, 1);
  });

  it('run once on two nodes that share a store', async () => {
    const house = new House();
    const nodes = [await deployed(house), await deployed(house)];
    await house.pass(60 * MINUTE);
    assert.deepEqual(
      house.due,
      Array.from({ length: 12 }, (_, index) => 5 * (index + 1)),
    );
    await stop(nodes[0]!);
    await house.pass(5 * MINUTE);
    assert.equal(house.due.at(-1), 65);
  });

  it('are taken over when their node dies in the middle, with the same idempotency key', async () => {
    const house = new House();
    const dead = new House();
    // The dead node shares the store; its clock stands still from the moment it dies, and its tick never ends.
    Object.assign(dead, { state: house.state, runs: house.runs });
    dead.answer = () => new Promise(() => undefined);
    await deployed(dead);
    dead.clock.advance(5 * MINUTE);
    await settled();
    assert.equal(house.runs.length, 1);
    await deployed(house);
    await house.pass(7 * MINUTE);
    assert.deepEqual(house.due, [5, 5]);
    assert.equal(house.runs[1]?.context.attempt, 2);
    assert.equal(house.runs[0]?.context.idempotencyKey, house.runs[1]?.context.idempotencyKey);
  });

  it('keep their times when the clock goes back, and fold what it jumps over', async () => {
    const house = new House();
    await deployed(house);
    await house.pass(6 * MINUTE);
    house.clock.jump(START + 4 * MINUTE);
    await house.pass(5 * MINUTE);
    assert.deepEqual(house.due, [5]);
    await house.pass(2 * MINUTE);
    assert.deepEqual(house.due, [5, 10]);
    house.clock.jump(START + 33 * MINUTE);
    await house.pass(MINUTE);
    assert.deepEqual(house.due, [5, 10, 30]);
    assert.equal(house.runs[2]?.missed, 3);
  });

  it('go on where they were through deployments, and end with what declared them', async () => {
    const house = new House();
    const node = await deployed(house);
    await house.pass(3 * MINUTE);
    await node.deployable.activate(appOf([every(5)]), appOf([every(5), every(60)]));
    await house.pass(5 * MINUTE);
    assert.deepEqual(house.due, [5]);
    assert.deepEqual(
      node.list().map(({ spec }) => spec),
      ['every 300000', 'every 3600000'],
    );
    await node.deployable.activate(appOf([every(5), every(60)]), appOf([every(60)]));
    await house.pass(60 * MINUTE);
    assert.deepEqual(house.due, [5, 60]);
    await node.deployable.activate(appOf([every(60)]), undefined);
    const before = house.runs.length;
    await house.pass(30 * MINUTE);
    assert.equal(house.runs.length, before);
    assert.deepEqual(await house.state.list('schedules'), []);
  });

  it('are refused at plan when they cannot be', async () => {
    const node = new House().node();
    const wrong: Trigger = { kind: 'cron', expression: '0 0 L-3 * *', timezone: 'UTC' };
    const [change] = await node.deployable.plan(undefined, appOf([wrong]));
    assert.match(change?.refusal ?? '', /cannot be a schedule/);
  });
});
