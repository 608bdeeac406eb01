import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Admin, type Consumer, Kafka, logLevel, Partitioners } from 'kafkajs';
import { type KafkaPort, startKafkaPort } from '../support/kafka-port.ts';
import { until } from '../support/waiting.ts';

let port: KafkaPort;
let kafka: Kafka;
let admin: Admin;
let topics = 0;

/** As `GET /streams/{name}` shows it. */
interface ShownGroup {
  readonly epoch: number;
  readonly members: readonly { readonly partitions: readonly number[] }[];
}

const makeTopic = async (numPartitions = 1): Promise<string> => {
  const topic = `kafkajs-${topics++}`;
  await admin.createTopics({ topics: [{ topic, numPartitions }] });
  return topic;
};

const send = async (topic: string, values: readonly string[], options = {}): Promise<void> => {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options });
  await producer.connect();
  await producer.send({ topic, messages: values.map((value) => ({ key: value, value })) });
  await producer.disconnect();
};

/** A consumer that remembers what it was given, until `disconnect`. */
async function consume(groupId: string, topic: string, options = {}) {
  const consumer: Consumer = kafka.consumer({
    groupId,
    sessionTimeout: 6_000,
    heartbeatInterval: 300,
    maxWaitTimeInMs: 200,
    ...options,
  });
  const seen: string[] = [];
  const joined = new Promise<readonly number[]>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => resolve(payload.memberAssignment[topic] ?? []));
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      seen.push(message.value!.toString());
    },
  });
  return { consumer, seen, partitions: await joined };
}

describe('kafkajs', { timeout: 180_000 }, () => {
  before(async () => {
    port = await startKafkaPort();
    const retry = { initialRetryTime: 50, retries: 8 };
    kafka = new Kafka({ brokers: [port.bootstrap], logLevel: logLevel.NOTHING, retry });
    admin = kafka.admin();
    await admin.connect();
  });
  after(async () => {
    await admin.disconnect();
    await port[Symbol.asyncDispose]();
  });

  it('makes topics, finds them, grows and removes them', async () => {
    const topic = await makeTopic(2);
    assert.ok((await admin.listTopics()).includes(topic));
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] });
    const { topics: found } = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.equal(found[0]!.partitions.length, 4);
    await admin.deleteTopics({ topics: [topic] });
    assert.ok(!(await admin.listTopics()).includes(topic));
  });

  it('sends with an idempotent producer, and reads in a group', async () => {
    const topic = await makeTopic();
    await send(topic, ['a', 'b', 'c'], { idempotent: true, maxInFlightRequests: 1 });
    const { consumer, seen } = await consume('reads', topic);
    await until('three records', () => seen.length >= 3, { shows: () => seen });
    assert.deepEqual(seen, ['a', 'b', 'c']);
    await consumer.disconnect();
    const [offsets] = await admin.fetchOffsets({ groupId: 'reads', topics: [topic] });
    assert.equal(offsets!.partitions[0]!.offset, '3');
    const again = await consume('reads', topic);
    await send(topic, ['d']);
    await until('a record for who comes back', () => again.seen.length > 0);
    assert.deepEqual(again.seen, ['d'], 'it goes on where the one before ended');
    await again.consumer.disconnect();
  });

  it('spreads partitions over the members of a group, and takes over from who leaves', async () => {
    const topic = await makeTopic(4);
    const first = await consume('spread', topic);
    assert.equal(first.partitions.length, 4);
    const second = await consume('spread', topic);
    await until('half of the partitions', () => second.partitions.length === 2, {
      shows: () => second.partitions,
    });
    const { groups } = await admin.describeGroups(['spread']);
    assert.equal(groups[0]!.state, 'Stable');
    assert.equal(groups[0]!.members.length, 2);
    await first.consumer.disconnect();
    await send(
      topic,
      Array.from({ length: 40 }, (_, index) => `${index}`),
    );
    await until('all records at the one that stays', () => second.seen.length === 40, {
      shows: () => second.seen.length,
    });
    await second.consumer.disconnect();
    const state = async () => (await admin.describeGroups(['spread'])).groups[0]!.state;
    await until('the group is empty', async () => (await state()) === 'Empty');
    assert.ok((await admin.listGroups()).groups.some(({ groupId }) => groupId === 'spread'));
    await admin.deleteGroups(['spread']);
    assert.ok(!(await admin.listGroups()).groups.some(({ groupId }) => groupId === 'spread'));
  });

  it('commits and aborts transactions, with the positions of a group', async () => {
    const topic = await makeTopic();
    const producer = kafka.producer({
      ...{ transactionalId: 'tx', idempotent: true, maxInFlightRequests: 1 },
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    for (const [value, commits] of [
      ['kept', true],
      ['dropped', false],
      ['kept too', true],
    ] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ value }] });
      const offsets = {
        topics: [{ topic, partitions: [{ partition: 0, offset: value === 'kept' ? '1' : '9' }] }],
      };
      if (value !== 'kept too') await transaction.sendOffsets({ consumerGroupId: 'tx', ...offsets });
      await (commits ? transaction.commit() : transaction.abort());
    }
    await producer.disconnect();
    const [offsets] = await admin.fetchOffsets({ groupId: 'tx', topics: [topic] });
    assert.equal(offsets!.partitions[0]!.offset, '1');
    const { consumer, seen } = await consume('tx-readers', topic);
    await until('what was committed', () => seen.includes('kept too'), { shows: () => seen });
    assert.deepEqual(seen, ['kept', 'kept too']);
    await consumer.disconnect();
  });

  it('reads what was published over HTTP, and is seen there with its position', async () => {
    const topic = await makeTopic();
    const address = `${port.api}/streams/${topic}`;
    const { consumer, seen } = await consume('over-http', topic, { rebalanceTimeout: 10_000 });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${address}/records`, { method: 'POST', headers, body: '{"from":"http"}' });
    await until('the record', () => seen.length === 1, { shows: () => seen });
    assert.deepEqual(JSON.parse(seen[0]!), { from: 'http' });
    await consumer.commitOffsets([{ topic, partition: 0, offset: '1' }]);
    const described = (await (await fetch(address)).json()) as { groups: ShownGroup[] };
    const { epoch: _, members, ...group } = described.groups[0]!;
    assert.deepEqual(group, {
      ...{ group: 'over-http', kind: 'classic', state: 'stable', lag: 0 },
      partitions: [{ partition: 0, offset: 1, lag: 0 }],
    });
    assert.deepEqual(members[0]!.partitions, [0]);
    await consumer.disconnect();
  });

  it('finds offsets by time, sets positions of a group, and deletes records', async () => {
    const topic = await makeTopic();
    await send(topic, ['a', 'b', 'c']);
    const [bounds] = await admin.fetchTopicOffsets(topic);
    assert.deepEqual([bounds!.low, bounds!.high], ['0', '3']);
    const [future] = await admin.fetchTopicOffsetsByTimestamp(topic, Date.now() + 60_000);
    assert.equal(future!.offset, '3');
    await admin.setOffsets({ groupId: 'set', topic, partitions: [{ partition: 0, offset: '2' }] });
    const [offsets] = await admin.fetchOffsets({ groupId: 'set', topics: [topic] });
    assert.equal(offsets!.partitions[0]!.offset, '2');
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] });
    assert.equal((await admin.fetchTopicOffsets(topic))[0]!.low, '2');
  });
});
