import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kafkaLogStore } from '../../src/adapters/kafka/index.ts';
import { createDesk, type Desk } from '../../src/cli/program.fixture.ts';
import { systemClock } from '../../src/kernel/index.ts';
import type { LogStore } from '../../src/streams/index.ts';
import { type KafkaCluster, kafkaUnavailable, startKafka } from '../support/kafka-cluster.ts';
import { until } from '../support/waiting.ts';

const skip = (await kafkaUnavailable()) ?? false;
const PROGRAM = join(import.meta.dirname, '../../bin/millrace.js');
const PARTITIONS = 6;
const CUSTOMERS = 50;
const SESSION_MS = 3_000;
/** A node starts with the topics of the platform, each made by the cluster. */
const START_MS = 60_000;

const APP = `import { every, fn, state, stream } from 'millrace';
export const orders = stream('orders', { key: 'customer', partitions: ${PARTITIONS} });
export const totals = stream('totals', { partitions: 3 });
export const ticks = stream('ticks');
export const count = state('count');
export const tally = fn('tally', { on: orders, from: 'start' }, async (order, ctx) => {
  const n = ((await ctx.state(count, order).get()) ?? 0) + 1;
  await ctx.state(count, order).set(n);
  await ctx.emit(totals, { id: order.value.id, customer: order.value.customer, n });
});
export const tick = fn('tick', { on: every('1s') }, async (event, ctx) => {
  await ctx.emit(ticks, { atMs: event.scheduledMs, missed: event.missed });
});
`;

interface Total {
  readonly id: number;
  readonly customer: string;
  readonly n: number;
}

interface Node {
  readonly process: ChildProcess;
  readonly api: string;
  readonly kafka: string;
}

describe('two nodes on one Kafka cluster', { skip }, () => {
  let cluster: KafkaCluster;
  let desk: Desk;
  let log: LogStore;
  const nodes: Node[] = [];

  before(async () => {
    cluster = await startKafka();
    desk = await createDesk();
    const brokers = JSON.stringify(cluster.brokers);
    await desk.write({
      'package.json': '{"name":"shop","type":"module"}',
      'app.ts': APP,
      'millrace.config.ts': `import { defineConfig, kafka } from 'millrace';
export default defineConfig({
  streams: kafka({ brokers: ${brokers}, session: '${SESSION_MS}ms' }),
  apiPort: 0, edgePort: 'off',
});`,
    });
    log = kafkaLogStore({ brokers: cluster.brokers, clock: systemClock() });
    await log.start?.();
    for (const name of ['first', 'second']) nodes.push(await startNode(name));
    for (const { api } of nodes) {
      const { code, err } = await desk.run('deploy', 'app.ts', '--url', api);
      assert.equal(code, 0, err);
    }
  });

  after(async () => {
    for (const { process } of nodes) process.kill('SIGKILL');
    await log?.stop?.(AbortSignal.timeout(5_000));
    await desk?.[Symbol.asyncDispose]();
    await cluster?.stop();
  });

  async function startNode(name: string): Promise<Node> {
    const words = ['start', '--json', '--data', join(desk.folder, name)];
    const child = spawn(process.execPath, [PROGRAM, ...words], {
      cwd: desk.folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout!, 'data', { signal: AbortSignal.timeout(START_MS) })) as [Buffer];
    const { api, kafka } = JSON.parse(line.toString()) as { api: string; kafka: string };
    return { process: child, api, kafka };
  }

  let nextId = 0;
  /** Ids that were acknowledged. */
  async function publish(api: string, count: number): Promise<number[]> {
    const ids = Array.from({ length: count }, () => nextId++);
    const lines = ids.map((id) => JSON.stringify({ id, customer: `c${id % CUSTOMERS}` }));
    const response = await fetch(`${api}/streams/orders/records`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-ndjson' },
      body: lines.join('\n'),
    });
    assert.equal(response.status, 200, await response.text());
    return ids;
  }

  /** What readers of committed records see, through the first node. */
  async function read<Value>(topic: string): Promise<Value[]> {
    const values: Value[] = [];
    const partitions = log.topics.find(topic)?.partitions ?? 0;
    for (let partition = 0; partition < partitions; partition++) {
      for (let from = 0; ; ) {
        const address = `${nodes[0]!.api}/streams/${topic}/records?partition=${partition}&from=${from}&limit=1000`;
        const { records } = (await (await fetch(address)).json()) as {
          records: { offset: number; value: Value }[];
        };
        if (records.length === 0) break;
        values.push(...records.map(({ value }) => value));
        from = records.at(-1)!.offset + 1;
      }
    }
    return values;
  }

  async function totalsOf(ids: readonly number[]): Promise<Total[]> {
    let totals: Total[] = [];
    const holds = async (): Promise<boolean> => {
      totals = await read<Total>('totals');
      const seen = new Set(totals.map(({ id }) => id));
      return ids.every((id) => seen.has(id));
    };
    await until('every order has its total', holds, {
      shows: () => `${totals.length} of ${ids.length}`,
    });
    return totals;
  }

  function assertOnce(totals: readonly Total[], ids: readonly number[]): void {
    assert.equal(totals.length, ids.length, 'every order has one total');
    for (const [customer, of] of Map.groupBy(totals, (total) => total.customer)) {
      const counts = of.map(({ n }) => n).sort((a, b) => a - b);
      assert.deepEqual(
        counts,
        counts.map((_, index) => index + 1),
        `the state of ${customer} counts every order once`,
      );
    }
  }

  it('name the brokers as the address for Kafka clients', () => {
    for (const { kafka } of nodes) assert.equal(kafka, cluster.brokers.join(','));
  });

  it('refuse what only one of them would know, with the reason', async () => {
    const response = await fetch(`${nodes[0]!.api}/streams`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"name":"mine"}',
    });
    const problem = (await response.json()) as { code: string; detail: string };
    assert.deepEqual([response.status, problem.code], [409, 'CONFLICT']);
    assert.match(problem.detail, /deploy that on every node/);
  });

  it("share a function's partitions, and what one of them is killed with goes on at the other, once", async () => {
    const members = (): number => log.groups.find('shop.tally')?.members.length ?? 0;
    await until('both nodes are members', () => members() === 2, { shows: members });
    const shares = log.groups.find('shop.tally')!.members.map(({ partitions }) => partitions.length);
    assert.deepEqual(shares, [PARTITIONS / 2, PARTITIONS / 2]);
    const ids = [...(await publish(nodes[0]!.api, 500)), ...(await publish(nodes[1]!.api, 500))];
    assertOnce(await totalsOf(ids), ids);
    ids.push(...(await publish(nodes[0]!.api, 3_000)));
    await until('half of the orders have a total', async () => (await read('totals')).length > 1_500);
    nodes[1]!.process.kill('SIGKILL');
    const killedMs = performance.now();
    ids.push(...(await publish(nodes[0]!.api, 500)));
    assertOnce(await totalsOf(ids), ids);
    const tookMs = performance.now() - killedMs;
    assert.ok(tookMs < SESSION_MS + 15_000, `its work moved after ${Math.round(tookMs)} ms`);
    console.log(`what the killed node had is done ${Math.round(tookMs)} ms later (session ${SESSION_MS} ms)`);
  });

  it('run schedules once, through the kill', async () => {
    const before = (await read<{ atMs: number }>('ticks')).length;
    await until('three more ticks', async () => (await read('ticks')).length > before + 3);
    const ticks = (await read<{ atMs: number; missed: number }>('ticks')).sort((a, b) => a.atMs - b.atMs);
    const repeated = ticks.length - new Set(ticks.map(({ atMs }) => atMs)).size;
    assert.ok(repeated <= 1, `${repeated} ticks came twice; only one that was under way at the kill may`);
    const times = [...new Map(ticks.map((tick) => [tick.atMs, tick])).values()];
    times.slice(1).forEach(({ atMs, missed }, index) => {
      assert.equal(atMs - times[index]!.atMs, 1_000 * (1 + missed), 'no due time is lost');
    });
  });
});
