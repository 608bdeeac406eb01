import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import type { EmbeddedLog } from '../../src/streams/index.ts';
import { closeLog, full, openFolder, type Read, readPartition, temporaryFolder } from './lib/log.ts';

const kills = full ? 1_000 : 25;
const child = join(import.meta.dirname, 'lib/kill-log.child.ts');

/** What was acknowledged, over all runs on one folder. */
interface Acknowledged {
  readonly appends: Map<string, { partition: number; offset: number }>;
  readonly committed: Set<string>;
  readonly aborted: Set<string>;
  position: number;
}

/** What was found so far, so that each round reads only what is new. */
interface Found {
  readonly next: Map<string, number>;
  readonly values: Map<string, string[]>;
}

async function loadAndKill(
  folder: string,
  run: number,
  lifeMs: number,
  acknowledged: Acknowledged,
): Promise<void> {
  const loader = spawn(process.execPath, [child, folder, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(loader, 'exit');
  const lines = createInterface({ input: loader.stdout });
  const closed = once(lines, 'close');
  let timer: NodeJS.Timeout | undefined;
  lines.on('line', (line) => {
    if (line === 'ready') timer = setTimeout(() => loader.kill('SIGKILL'), lifeMs);
    else note(acknowledged, line);
  });
  const [code, signal] = await exited;
  await closed;
  clearTimeout(timer);
  assert.equal(signal, 'SIGKILL', `the loader ended by itself with ${code}`);
}

function note(acknowledged: Acknowledged, line: string): void {
  const [kind, first, second, value] = line.split(' ');
  if (kind === 'append')
    acknowledged.appends.set(value!, { partition: Number(first), offset: Number(second) });
  else if (kind === 'commit') acknowledged.committed.add(first!);
  else if (kind === 'abort') acknowledged.aborted.add(first!);
  else if (kind === 'position') acknowledged.position = Number(first);
  else assert.fail(`the loader says: ${line}`);
}

async function readNew(log: EmbeddedLog, found: Found, topic: string, partition: number): Promise<Read[]> {
  const place = { topic, partition };
  const name = `${topic}-${partition}`;
  const from = found.next.get(name) ?? 0;
  const { records, lost } = await readPartition(log, place, { from, isolation: 'committed' });
  assert.deepEqual(lost, []);
  found.next.set(name, log.bounds(place).highWatermark);
  found.values.set(name, [...(found.values.get(name) ?? []), ...records.map((record) => record.value)]);
  return records;
}

/** Acknowledged appends are there once, where they were said to be, in the order of their writer. */
async function checkAppends(log: EmbeddedLog, found: Found, acknowledged: Acknowledged): Promise<void> {
  for (let partition = 0; partition < 4; partition++) {
    const records = await readNew(log, found, 'plain', partition);
    let last = [-1, -1];
    for (const { offset, value } of records) {
      const name = value.split(' ')[0]!;
      const [run, , number] = name.split('.').map(Number);
      assert.ok(
        run! > last[0]! || (run === last[0] && number! > last[1]!),
        `${name} is there twice or out of order`,
      );
      last = [run!, number!];
      const expected = acknowledged.appends.get(name);
      if (expected) assert.deepEqual({ partition, offset }, expected);
      acknowledged.appends.delete(name);
    }
  }
  assert.deepEqual([...acknowledged.appends.keys()], [], 'acknowledged records are missing');
}

/** Transactions are whole: in both partitions or in none, as they were acknowledged. */
async function checkTransactions(log: EmbeddedLog, found: Found, acknowledged: Acknowledged): Promise<void> {
  await log.producers.init({ transactionalId: 'pairs' }); // aborts what the killed one left open
  const values = (await readNew(log, found, 'pairs', 0)).map((record) => record.value);
  assert.deepEqual(
    (await readNew(log, found, 'pairs', 1)).map((record) => record.value),
    values,
  );
  assert.equal(new Set(values).size, values.length);
  const there = new Set(values);
  for (const value of acknowledged.committed) assert.ok(there.has(value), `committed ${value} is missing`);
  for (const value of acknowledged.aborted) assert.ok(!there.has(value), `aborted ${value} is there`);
  acknowledged.committed.clear();
  acknowledged.aborted.clear();
}

/** Commits are whole: each output once, in both partitions, and as many as the position says. */
async function checkCommits(log: EmbeddedLog, found: Found, acknowledged: Acknowledged): Promise<void> {
  for (const partition of [0, 1]) await readNew(log, found, 'out', partition);
  const outputs = found.values.get('out-0')!;
  assert.deepEqual(found.values.get('out-1'), outputs);
  const [position] = log.groups.offsets('group', [{ topic: 'plain', partition: 0 }]);
  assert.deepEqual(
    outputs.map(Number),
    Array.from({ length: position?.offset ?? 0 }, (_, index) => index + 1),
  );
  assert.ok((position?.offset ?? 0) >= acknowledged.position);
}

it(`loses nothing when it is killed ${kills} times under load`, async (t) => {
  const folder = await temporaryFolder(t);
  const acknowledged: Acknowledged = {
    appends: new Map(),
    committed: new Set(),
    aborted: new Set(),
    position: 0,
  };
  const found: Found = { next: new Map(), values: new Map() };
  let appends = 0;
  for (let run = 0; run < kills; run++) {
    await loadAndKill(folder, run, Math.random() * 300, acknowledged);
    appends += acknowledged.appends.size;
    const log = await openFolder(folder);
    if (log.topics.find('out')) {
      await checkAppends(log, found, acknowledged);
      await checkTransactions(log, found, acknowledged);
      await checkCommits(log, found, acknowledged);
    }
    if (run % 10 === 0) assert.deepEqual((await log.verify()).damages, []);
    await closeLog(log);
  }
  t.diagnostic(
    `${appends} acknowledged appends and ${acknowledged.position} commits were there after ${kills} kills`,
  );
  assert.ok(appends > kills, 'the load must be one');
});
