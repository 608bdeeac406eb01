import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { batchOf, type TestClient, testClient } from '../../src/gateway/kafka/kafka.fixture.ts';
import type { EmbeddedLog, ProducerIdentity } from '../../src/streams/index.ts';
import {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  EndTxn,
  InitProducerId,
  NO_UUID,
  Produce,
  TxnOffsetCommit,
} from '../../src/streams/kafka-protocol/index.ts';
import { closeLog, full, openFolder, type Read, readPartition, temporaryFolder } from './lib/log.ts';

const kills = full ? 1_000 : 50;
const child = join(import.meta.dirname, 'lib/kafka-port.child.ts');
const WRITERS = 3;
/** As many as producers of Kafka have under way at most. */
const IN_FLIGHT = 5;

/** What clients were told, over all runs on one folder. */
interface Acknowledged {
  readonly records: Map<string, { partition: number; offset: number }>;
  readonly committed: Set<string>;
  readonly aborted: Set<string>;
}

/** How far the partitions have been read. */
type Found = Map<string, number>;

interface Sent {
  readonly topic: string;
  readonly partition: number;
  readonly producer: ProducerIdentity;
  readonly sequence: number;
  readonly value: string;
  readonly transactionalId?: string;
  readonly version?: number;
}

async function send(client: TestClient, sent: Sent): Promise<number> {
  const { topic, partition, producer, sequence, value, transactionalId = null, version = 9 } = sent;
  const transactional = transactionalId !== null;
  const batch = batchOf([value], { producer: { ...producer, sequence }, transactional });
  const { responses } = await client.call(Produce, version, {
    ...{ acks: -1, timeoutMs: 1000, transactionalId },
    topicData: [{ name: topic, topicId: NO_UUID, partitionData: [{ index: partition, records: batch }] }],
  });
  const [answer] = responses[0]!.partitionResponses;
  assert.equal(answer!.errorCode, 0, answer!.errorMessage ?? '');
  return answer!.baseOffset;
}

async function identityOf(client: TestClient, transactionalId: string | null): Promise<ProducerIdentity> {
  const request = { transactionalId, transactionTimeoutMs: 60_000 };
  const { errorCode, producerId, producerEpoch } = await client.call(InitProducerId, 4, request);
  assert.equal(errorCode, 0);
  return { producerId, epoch: producerEpoch };
}

/** An idempotent producer with several batches under way, each noted when it is acknowledged. */
async function produceForEver(
  client: TestClient,
  run: number,
  partition: number,
  { records }: Acknowledged,
): Promise<never> {
  const producer = await identityOf(client, null);
  const underWay = new Set<Promise<void>>();
  for (let sequence = 0; ; sequence++) {
    const value = `${run}.${partition}.${sequence}`;
    const padded = `${value} ${'x'.repeat((sequence * 37) % 900)}`;
    const sending = send(client, { topic: 'plain', partition, producer, sequence, value: padded }).then(
      (offset) => {
        records.set(value, { partition, offset });
        underWay.delete(sending);
      },
    );
    underWay.add(sending);
    if (underWay.size === IN_FLIGHT) await Promise.race(underWay);
  }
}

/** Transactions over two partitions and a group's position, as clients before and since KIP-890 run them. */
async function transactForEver(client: TestClient, run: number, acknowledged: Acknowledged): Promise<never> {
  const implicit = run % 2 === 1;
  const transactionalId = 'pairs';
  let producer = await identityOf(client, transactionalId);
  for (let number = 0, sequence = 0; ; number++, sequence++) {
    const identity = { producerId: producer.producerId, producerEpoch: producer.epoch };
    if (!implicit) {
      await client.call(AddPartitionsToTxn, 3, {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producer.producerId,
        v3AndBelowProducerEpoch: producer.epoch,
        v3AndBelowTopics: [{ name: 'pairs', partitions: [0, 1] }],
        transactions: [],
      });
      await client.call(AddOffsetsToTxn, 3, { transactionalId, ...identity, groupId: 'group' });
    }
    const value = `${run}.${number}`;
    const version = implicit ? 12 : 9;
    const half = { topic: 'pairs', producer, sequence, value, transactionalId, version };
    await Promise.all([0, 1].map((partition) => send(client, { ...half, partition })));
    const partitions = [
      { partitionIndex: 0, committedOffset: run * 1_000_000 + number, committedMetadata: value },
    ];
    await client.call(TxnOffsetCommit, implicit ? 5 : 3, {
      ...{ transactionalId, groupId: 'group', ...identity },
      topics: [{ name: 'plain', partitions }],
    });
    const committed = number % 3 !== 0;
    const end = await client.call(EndTxn, implicit ? 5 : 3, { transactionalId, ...identity, committed });
    assert.equal(end.errorCode, 0);
    (committed ? acknowledged.committed : acknowledged.aborted).add(value);
    if (!implicit) continue;
    producer = { producerId: end.producerId, epoch: end.producerEpoch };
    sequence = -1;
  }
}

async function start(folder: string): Promise<{ port: ChildProcess; address: string }> {
  const port = spawn(process.execPath, [child, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [address] = (await once(createInterface({ input: port.stdout! }), 'line')) as [string];
  return { port, address };
}

async function loadAndKill(folder: string, run: number, lifeMs: number, acknowledged: Acknowledged) {
  const { port, address } = await start(folder);
  const exited = once(port, 'exit');
  const clients = Array.from({ length: WRITERS + 1 }, () => testClient(address));
  const load = clients.map((client, index) =>
    index < WRITERS
      ? produceForEver(client, run, index, acknowledged)
      : transactForEver(client, run, acknowledged),
  );
  // Their connections end with the port; anything else is a failure of its own.
  const ended = Promise.all(
    load.map((one) => one.catch((error: Error) => assert.match(error.message, /The connection has ended/))),
  );
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, lifeMs))]);
  port.kill('SIGKILL');
  await Promise.all([exited, ended]);
  for (const client of clients) client.close();
}

async function readNew(log: EmbeddedLog, found: Found, topic: string, partition: number): Promise<Read[]> {
  const place = { topic, partition };
  const name = `${topic}-${partition}`;
  const { records, lost } = await readPartition(log, place, {
    from: found.get(name) ?? 0,
    isolation: 'committed',
  });
  assert.deepEqual(lost, []);
  found.set(name, log.bounds(place).highWatermark);
  return records;
}

/** Every record that was acknowledged is there once, where it was said to be; nothing is there twice or out of order. */
async function checkRecords(log: EmbeddedLog, found: Found, { records }: Acknowledged): Promise<void> {
  for (let partition = 0; partition < WRITERS; partition++) {
    let last = -1;
    for (const { offset, value } of await readNew(log, found, 'plain', partition)) {
      const name = value.split(' ')[0]!;
      const number = Number(name.split('.')[2]);
      assert.equal(number, last + 1, `${name} does not follow ${last}`);
      last = number;
      const expected = records.get(name);
      if (expected) assert.deepEqual({ partition, offset }, expected);
      records.delete(name);
    }
  }
  assert.deepEqual([...records.keys()], [], 'acknowledged records are missing');
}

/** Transactions are whole: records in both partitions and the group's position, or nothing of them. */
async function checkTransactions(log: EmbeddedLog, found: Found, acknowledged: Acknowledged): Promise<void> {
  await log.producers.init({ transactionalId: 'pairs' }); // aborts what the killed one left open
  const values = (await readNew(log, found, 'pairs', 0)).map(({ value }) => value);
  const others = (await readNew(log, found, 'pairs', 1)).map(({ value }) => value);
  assert.deepEqual(others, values, 'a torn transaction is visible');
  const there = new Set(values);
  for (const value of acknowledged.committed) assert.ok(there.has(value), `committed ${value} is missing`);
  for (const value of acknowledged.aborted) assert.ok(!there.has(value), `aborted ${value} is there`);
  const [position] = log.groups.offsets('group', [{ topic: 'plain', partition: 0 }]);
  if (values.length > 0) assert.equal(position?.metadata, values.at(-1));
  acknowledged.committed.clear();
  acknowledged.aborted.clear();
}

it(`Kafka clients lose nothing when the port is killed ${kills} times`, { timeout: 7_200_000 }, async (t) => {
  const folder = await temporaryFolder(t);
  const made = await openFolder(folder);
  await made.topics.create({ name: 'plain', partitions: WRITERS, config: { segmentBytes: 128 * 1024 } });
  await made.topics.create({ name: 'pairs', partitions: 2, config: { segmentBytes: 128 * 1024 } });
  await closeLog(made);
  const acknowledged: Acknowledged = { records: new Map(), committed: new Set(), aborted: new Set() };
  const found: Found = new Map();
  let [records, transactions] = [0, 0];
  for (let run = 0; run < kills; run++) {
    await loadAndKill(folder, run, Math.random() * 300, acknowledged);
    records += acknowledged.records.size;
    transactions += acknowledged.committed.size + acknowledged.aborted.size;
    const log = await openFolder(folder);
    await checkRecords(log, found, acknowledged);
    await checkTransactions(log, found, acknowledged);
    if (run % 10 === 0) assert.deepEqual((await log.verify()).damages, []);
    await closeLog(log);
  }
  t.diagnostic(
    `${records} acknowledged records and ${transactions} transactions were there after ${kills} kills`,
  );
  assert.ok(records > kills && transactions > 0, 'the load must be one');
});
