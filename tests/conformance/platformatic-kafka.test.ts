import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka';
import { type KafkaPort, startKafkaPort } from '../support/kafka-port.ts';

let port: KafkaPort;
let admin: Admin;

const options = (clientId: string) => ({ clientId, bootstrapBrokers: [port.bootstrap] });

async function send(topic: string, values: readonly string[]): Promise<void> {
  const producer = new Producer({ ...options('producer'), serializers: stringSerializers, idempotent: true });
  await producer.send({ messages: values.map((value) => ({ topic, key: value, value })) });
  await producer.close();
}

/** Reads so many records as a member of the group, commits, and leaves. */
async function read(groupId: string, topic: string, count: number, groupProtocol: 'classic' | 'consumer') {
  const consumer = new Consumer({
    ...options(groupId),
    ...{ groupId, groupProtocol, deserializers: stringDeserializers, autocommit: false },
  });
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' });
  const values: string[] = [];
  for await (const message of stream) {
    values.push(message.value!);
    await message.commit();
    if (values.length === count) break;
  }
  await consumer.close(true);
  return values.sort();
}

describe('@platformatic/kafka', { timeout: 120_000 }, () => {
  before(async () => {
    port = await startKafkaPort();
    admin = new Admin(options('admin'));
  });
  after(async () => {
    await admin.close();
    await port[Symbol.asyncDispose]();
  });

  for (const protocol of ['classic', 'consumer'] as const) {
    it(`sends and reads in a group of the ${protocol} protocol`, async () => {
      const topic = `topic-${protocol}`;
      await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 });
      const values = Array.from({ length: 20 }, (_, index) => `v${String(index).padStart(2, '0')}`);
      await send(topic, values);
      assert.deepEqual(await read(`group-${protocol}`, topic, 20, protocol), values);
      await send(topic, ['later']);
      assert.deepEqual(await read(`group-${protocol}`, topic, 1, protocol), ['later']);
      const groups = await admin.listGroups({ types: [protocol] });
      assert.ok([...groups.keys()].includes(`group-${protocol}`));
    });
  }

  it('commits and aborts transactions', async () => {
    await admin.createTopics({ topics: ['tx'], partitions: 1, replicas: 1 });
    const producer = new Producer({
      ...options('tx'),
      ...{ serializers: stringSerializers, idempotent: true, transactionalId: 'tx' },
    });
    for (const outcome of ['commit', 'abort'] as const) {
      const transaction = await producer.beginTransaction();
      await transaction.send({ messages: [{ topic: 'tx', value: outcome }] });
      await transaction[outcome]();
    }
    await producer.close();
    await send('tx', ['end']);
    const consumer = new Consumer({ ...options('c'), groupId: 'tx', deserializers: stringDeserializers });
    const stream = await consumer.consume({ topics: ['tx'], mode: 'earliest', isolationLevel: 1 });
    const values: string[] = [];
    for await (const message of stream) {
      values.push(message.value!);
      if (message.value === 'end') break;
    }
    await consumer.close(true);
    assert.deepEqual(values, ['commit', 'end']);
  });
});
