import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryLogStore, memoryStateStore } from '../../adapters/memory/index.ts';
import { type AppVersion, createIds, manualClock, seededRandom } from '../../kernel/index.ts';
import type { LogStore } from '../../streams/index.ts';
import { createSchedules } from './schedules.ts';
import { createSharedHome } from './shared.ts';

const MINUTE = 60_000;

const APP = {
  ...{ app: 'shop', version: '1', folder: '' },
  manifest: {
    ...{ format: 1, app: 'shop', version: '1', streams: [], states: [] },
    functions: [
      {
        ...{ name: 'sweep', version: '1', retry: { attempts: 3, backoffMs: 1000 } },
        triggers: [{ kind: 'every', everyMs: MINUTE }],
      },
    ],
  } as unknown as AppVersion['manifest'],
} satisfies AppVersion;

/** Nodes that share a log, each with a state store of its own. */
class Cluster {
  readonly clock = manualClock(Date.UTC(2026, 0, 1));
  readonly log: LogStore = memoryLogStore({ clock: this.clock, random: seededRandom(1) });
  readonly runs: { node: string; scheduledMs: number }[] = [];

  async node(name: string) {
    const { clock, log, runs } = this;
    const random = seededRandom(name.length);
    const schedules = createSchedules({
      ...{ state: memoryStateStore({ clock }), clock, random, ids: createIds(clock, random) },
      shared: createSharedHome({ log, clock }),
      dispatcher: {
        async dispatch(_, event) {
          runs.push({ node: name, scheduledMs: (event as { scheduledMs: number }).scheduledMs });
          return { status: 'ok', value: { kind: 'json', json: undefined }, durationMs: 1, cold: false };
        },
      },
    });
    await schedules.start?.();
    await settle();
    await schedules.deployable.activate(undefined, APP);
    return schedules;
  }

  async pass(minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute++) {
      this.clock.advance(MINUTE);
      await settle();
    }
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
}

describe('schedules of nodes that share a log', () => {
  it('run once on all nodes, and go on where they were when their node leaves', async () => {
    const cluster = new Cluster();
    const first = await cluster.node('a');
    const second = await cluster.node('bb');
    await cluster.pass(3);
    assert.equal(cluster.runs.length, 3);
    assert.deepEqual([...new Set(cluster.runs.map(({ node }) => node))], ['a']);
    await first.stop?.(AbortSignal.timeout(1_000));
    await settle();
    await cluster.pass(2);
    const times = cluster.runs.map(({ scheduledMs }) => scheduledMs);
    assert.deepEqual(
      cluster.runs.map(({ node }) => node),
      ['a', 'a', 'a', 'bb', 'bb'],
    );
    assert.equal(new Set(times).size, 5, 'no due time comes twice');
    assert.equal(Math.max(...times) - Math.min(...times), 4 * MINUTE, 'none is left out');
    await second.stop?.(AbortSignal.timeout(1_000));
  });
});
