import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MillraceError, resolveConfig } from '../../../kernel/index.ts';
import { Fetch, ListOffsets, Metadata, NO_UUID, Produce } from '../../../streams/kafka-protocol/index.ts';
import { kafkaSection } from '../config.ts';
import { KAFKA_ERRORS } from '../errors.ts';
import { batchOf, OPEN_GUARD, produce, type TestClient, testKafka, valuesOf } from '../kafka.fixture.ts';

interface FetchOptions {
  readonly version?: number;
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly isolationLevel?: number;
  readonly sessionId?: number;
  readonly sessionEpoch?: number;
  readonly topicId?: string;
  readonly forget?: readonly number[];
}

/** Fetches from the offsets of the partitions given, by partition. */
async function fetch(
  client: TestClient,
  topic: string,
  offsets: { readonly [partition: number]: number },
  options: FetchOptions = {},
) {
  const { version = 11, topicId = NO_UUID, forget = [], ...rest } = options;
  const answer = await client.call(Fetch, version, {
    ...{ maxWaitMs: 0, minBytes: 1, ...rest },
    topics: [
      {
        topic,
        topicId,
        partitions: Object.entries(offsets).map(([partition, fetchOffset]) => ({
          partition: Number(partition),
          fetchOffset,
          partitionMaxBytes: 1_000_000,
        })),
      },
    ],
    forgottenTopicsData: forget.length > 0 ? [{ topic, topicId, partitions: forget }] : [],
  });
  const partitions = new Map(
    answer.responses.flatMap((each) => each.partitions).map((each) => [each.partitionIndex, each]),
  );
  return { ...answer, partitions, first: partitions.get(0)! };
}

const metadata = async (client: TestClient, names: readonly string[] | null, version = 9, create = true) =>
  client.call(Metadata, version, {
    topics: names && names.map((name) => ({ topicId: NO_UUID, name })),
    allowAutoTopicCreation: create,
    includeClusterAuthorizedOperations: true,
    includeTopicAuthorizedOperations: true,
  });

describe('Metadata', () => {
  it('names the broker as the client reached it, and the topics there are', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 'payments', partitions: 3 });
    await kafka.streams.define({ name: 'millrace.audit', internal: true });
    const client = kafka.client();
    for (const version of [0, 1, 4, 8, 9, 12]) {
      const answer = await metadata(client, version === 0 ? [] : null, version);
      const port = Number(kafka.address.split(':')[1]);
      assert.deepEqual(answer.brokers, [{ nodeId: 0, host: '127.0.0.1', port, rack: null }]);
      assert.deepEqual(
        answer.topics.map(({ name, partitions }) => [name, partitions.length]),
        [['payments', 3]],
        "the platform's own are not among all",
      );
      if (version >= 8)
        assert.notEqual(answer.topics[0]!.topicAuthorizedOperations & (1 << 3), 0, 'may read');
    }
    assert.deepEqual((await metadata(client, [])).topics, []);
    assert.equal((await metadata(client, ['millrace.audit'])).topics[0]!.isInternal, true);
  });

  it('makes a topic that is asked for, as a stream that everything else sees', async () => {
    await using kafka = await testKafka({
      config: resolveConfig([kafkaSection], { file: { kafkaPartitions: 4 } }).kafka,
    });
    const { topics } = await metadata(kafka.client(), ['fresh']);
    assert.equal(topics[0]!.partitions.length, 4);
    assert.equal(kafka.streams.describe('fresh').partitions, 4);
  });

  it('makes none where the client or the configuration says no, or the name is none', async () => {
    await using kafka = await testKafka();
    const client = kafka.client();
    const codeOf = async (name: string, create: boolean) =>
      (await metadata(client, [name], 9, create)).topics[0]!.errorCode;
    assert.equal(await codeOf('fresh', false), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    for (const name of ['', '.', '..', 'a b', 'ä', 'a/b', 'x'.repeat(250)]) {
      for (const create of [true, false]) {
        assert.equal(await codeOf(name, create), KAFKA_ERRORS.INVALID_TOPIC_EXCEPTION, name);
      }
    }
    assert.equal(await codeOf('millrace.mine', true), KAFKA_ERRORS.INVALID_TOPIC_EXCEPTION);
    await using closed = await testKafka({
      config: resolveConfig([kafkaSection], { file: { kafkaAutoCreate: false } }).kafka,
    });
    const { topics } = await metadata(closed.client(), ['fresh']);
    assert.equal(topics[0]!.errorCode, KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it('finds topics by id', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 'payments' });
    const client = kafka.client();
    const { topicId } = (await metadata(client, ['payments'], 12)).topics[0]!;
    const ask = (id: string) =>
      client.call(Metadata, 12, {
        topics: [{ topicId: id, name: null }],
        includeTopicAuthorizedOperations: false,
        includeClusterAuthorizedOperations: false,
      });
    assert.equal((await ask(topicId)).topics[0]!.name, 'payments');
    const unknown = (await ask('1'.repeat(32))).topics[0]!;
    assert.deepEqual([unknown.errorCode, unknown.name], [KAFKA_ERRORS.UNKNOWN_TOPIC_ID, null]);
  });

  it('keeps what a principal may not use from it', async () => {
    await using kafka = await testKafka({
      guard: {
        ...OPEN_GUARD,
        permit(_principal, _action, resource) {
          if (resource !== 'stream/open') throw new MillraceError('FORBIDDEN', 'no');
        },
      },
    });
    for (const name of ['open', 'shut']) await kafka.streams.define({ name });
    const client = kafka.client();
    assert.deepEqual(
      (await metadata(client, null)).topics.map(({ name }) => name),
      ['open'],
    );
    const codes = (await metadata(client, ['shut', 'neither'])).topics.map(({ errorCode }) => errorCode);
    assert.deepEqual(codes, [29, 29], 'whether it is there is not told');
    assert.equal((await produce(client, 'shut', batchOf(['a']))).errorCode, 29);
    assert.equal((await fetch(client, 'shut', { 0: 0 })).first.errorCode, 29);
    assert.equal((await produce(client, 'open', batchOf(['a']))).errorCode, 0);
  });
});

describe('Produce', () => {
  it('appends batches unopened, in every version, and everything else sees the records', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const client = kafka.client();
    for (let version = 3; version <= 12; version++) {
      const answer = await produce(client, 's', batchOf([`v${version}`]), { version });
      assert.deepEqual([answer.errorCode, answer.baseOffset], [0, version - 3]);
    }
    const { records } = await kafka.streams.read({ topic: 's', partition: 0 }, 0);
    assert.deepEqual(records.map(({ value }) => Buffer.from(value!).toString()).slice(0, 2), ['v3', 'v4']);
    const { topicId } = (await metadata(client, ['s'], 12)).topics[0]!;
    assert.equal((await produce(client, '', batchOf(['by id']), { version: 13, topicId })).baseOffset, 10);
  });

  it('refuses with the codes of the protocol', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    await kafka.streams.define({ name: 'millrace.audit', internal: true });
    const client = kafka.client();
    const codeOf = async (
      ...args: Parameters<typeof produce> extends [TestClient, ...infer Rest] ? Rest : never
    ) => (await produce(client, ...args)).errorCode;
    const good = batchOf(['a']);
    const altered = (at: number, value: number): Buffer => {
      const batch = batchOf(['a']);
      batch[at] = value;
      return batch;
    };
    assert.equal(await codeOf('none', good), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(await codeOf('s', good, { partition: 1 }), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(await codeOf('s', good, { partition: -1 }), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(
      await codeOf('', good, { version: 13, topicId: '1'.repeat(32) }),
      KAFKA_ERRORS.UNKNOWN_TOPIC_ID,
    );
    assert.equal(await codeOf('s', good, { acks: 2 }), KAFKA_ERRORS.INVALID_REQUIRED_ACKS);
    assert.equal(await codeOf('millrace.audit', good), KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED);
    assert.equal(await codeOf('s', null), KAFKA_ERRORS.INVALID_RECORD);
    assert.equal(
      await codeOf('s', Buffer.concat([batchOf(['a']), batchOf(['b'])])),
      KAFKA_ERRORS.INVALID_RECORD,
    );
    assert.equal(await codeOf('s', batchOf(['a']).subarray(0, 65)), KAFKA_ERRORS.INVALID_RECORD);
    assert.equal(await codeOf('s', altered(16, 1)), KAFKA_ERRORS.UNSUPPORTED_FOR_MESSAGE_FORMAT);
    assert.equal(await codeOf('s', altered(66, 1)), KAFKA_ERRORS.CORRUPT_MESSAGE);
    assert.equal(await codeOf('s', altered(22, 32)), KAFKA_ERRORS.INVALID_RECORD);
    assert.equal(
      await codeOf('s', altered(22, 4), { version: 6 }),
      KAFKA_ERRORS.UNSUPPORTED_COMPRESSION_TYPE,
    );
    assert.equal(await codeOf('s', altered(22, 16)), KAFKA_ERRORS.INVALID_TXN_STATE);
    assert.equal(await codeOf('s', batchOf(['x'.repeat(7_000_000)])), KAFKA_ERRORS.MESSAGE_TOO_LARGE);
    assert.equal(await codeOf('s', good), 0, 'the connection goes on');
  });

  it('knows a batch that is sent again, and one that is out of order', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const producer = await kafka.streams.log.producers.init({});
    const client = kafka.client();
    const send = (sequence: number) =>
      produce(client, 's', batchOf(['a', 'b'], { producer: { ...producer, sequence } }));
    assert.equal((await send(0)).baseOffset, 0);
    assert.equal((await send(2)).baseOffset, 2);
    assert.equal((await send(2)).baseOffset, 2, 'the offset of the first time');
    assert.equal((await send(9)).errorCode, KAFKA_ERRORS.OUT_OF_ORDER_SEQUENCE_NUMBER);
  });

  it('names the records that do not fit the schema', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's', schema: { type: 'object', required: ['card'] } });
    const answer = await produce(kafka.client(), 's', batchOf(['{"card":1}', '{}']));
    assert.equal(answer.errorCode, KAFKA_ERRORS.INVALID_RECORD);
    assert.deepEqual(
      answer.recordErrors.map(({ batchIndex }) => batchIndex),
      [1],
    );
    assert.match(answer.errorMessage!, /do(es)? not fit/);
  });

  it('answers nothing with acks 0, and ends the connection when that fails', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const client = kafka.client();
    const message = (name: string) => ({
      ...{ acks: 0, timeoutMs: 1000, transactionalId: null },
      topicData: [{ name, topicId: NO_UUID, partitionData: [{ index: 0, records: batchOf(['a']) }] }],
    });
    client.send(Produce, 9, message('s'));
    assert.equal(
      (await produce(client, 's', batchOf(['b']))).baseOffset,
      1,
      'the next answer is of the next request',
    );
    client.send(Produce, 9, message('none'));
    await client.ended;
  });
});

describe('Fetch', () => {
  it('gives the batches in every version, by name and by id', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const client = kafka.client();
    await produce(client, 's', batchOf(['a', 'b']));
    await produce(client, 's', batchOf(['c']));
    const { topicId } = (await metadata(client, ['s'], 12)).topics[0]!;
    for (let version = 4; version <= 18; version++) {
      const byId = version >= 13 ? { topicId } : {};
      const { first } = await fetch(client, version >= 13 ? '' : 's', { 0: 2 }, { version, ...byId });
      assert.deepEqual([first.errorCode, first.highWatermark, valuesOf(first.records)], [0, 3, ['c']]);
    }
  });

  it('refuses what cannot be read with the codes of the protocol', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const client = kafka.client();
    const codeOf = async (topic: string, offsets: { [partition: number]: number }, options?: FetchOptions) =>
      [...(await fetch(client, topic, offsets, options)).partitions.values()][0]!.errorCode;
    assert.equal(await codeOf('none', { 0: 0 }), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(await codeOf('s', { 7: 0 }), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(await codeOf('s', { 0: 5 }), KAFKA_ERRORS.OFFSET_OUT_OF_RANGE);
    assert.equal(await codeOf('s', { 0: -1 }), KAFKA_ERRORS.OFFSET_OUT_OF_RANGE);
    assert.equal(
      await codeOf('', { 0: 0 }, { version: 13, topicId: '1'.repeat(32) }),
      KAFKA_ERRORS.UNKNOWN_TOPIC_ID,
    );
  });

  it('waits for records, for as many bytes as asked, or for its time', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's', partitions: 2 });
    const [reader, writer] = [kafka.client(), kafka.client()];
    const waits = fetch(reader, 's', { 0: 0, 1: 0 }, { maxWaitMs: 60_000 });
    await produce(writer, 's', batchOf(['late']), { partition: 1 });
    assert.deepEqual(valuesOf((await waits).partitions.get(1)!.records), ['late']);

    const many = fetch(reader, 's', { 0: 0, 1: 1 }, { maxWaitMs: 60_000, minBytes: 150 });
    await produce(writer, 's', batchOf(['one']));
    await produce(writer, 's', batchOf(['two']), { partition: 1 });
    await produce(writer, 's', batchOf(['three']), { partition: 1 });
    const { partitions } = await many;
    const bytes = [...partitions.values()].reduce((sum, { records }) => sum + records!.length, 0);
    assert.ok(bytes >= 150, `${bytes} bytes`);

    const bounded = fetch(reader, 's', { 0: 1 }, { maxWaitMs: 500 });
    await untilPending(kafka.clock, 1);
    kafka.clock.advance(500);
    assert.equal((await bounded).first.records!.length, 0);
  });

  it('keeps to the bytes asked for, but gives at least one batch', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's', partitions: 3 });
    const client = kafka.client();
    for (const partition of [0, 1, 2]) {
      for (const fill of ['a', 'b']) await produce(client, 's', batchOf([fill.repeat(1000)]), { partition });
    }
    const small = await fetch(client, 's', { 0: 0, 1: 0, 2: 0 }, { maxBytes: 10 });
    assert.deepEqual(
      [...small.partitions.values()].map(({ records }) => records!.length > 0),
      [true, false, false],
    );
    const some = await fetch(client, 's', { 0: 0, 1: 0, 2: 0 }, { maxBytes: 3500 });
    const sizes = [...some.partitions.values()].map(({ records }) => valuesOf(records).length);
    assert.deepEqual(sizes, [2, 1, 0]);
  });

  it('answers in a session with what changed, and with every partition in turn', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's', partitions: 3 });
    const client = kafka.client();
    const opened = await fetch(client, 's', { 0: 0, 1: 0, 2: 0 }, { sessionEpoch: 0 });
    const { sessionId } = opened;
    assert.notEqual(sessionId, 0);
    assert.equal(opened.partitions.size, 3, 'the first answer has them all');
    const next = (epoch: number, offsets: { [partition: number]: number } = {}, forget: number[] = []) =>
      fetch(client, 's', offsets, { sessionId, sessionEpoch: epoch, forget });
    assert.equal((await next(1)).partitions.size, 0, 'nothing new');
    await produce(client, 's', batchOf(['a']), { partition: 1 });
    assert.deepEqual([...(await next(2)).partitions.keys()], [1]);
    assert.deepEqual([...(await next(3, { 1: 1 })).partitions.keys()], [], 'read, so nothing new');
    await produce(client, 's', batchOf(['b']), { partition: 2 });
    assert.deepEqual([...(await next(4, {}, [2])).partitions.keys()], [], 'forgotten');
    assert.equal((await next(4)).errorCode, KAFKA_ERRORS.INVALID_FETCH_SESSION_EPOCH);
    assert.equal((await next(-1)).sessionId, 0, 'closed');
    assert.equal((await next(5)).errorCode, KAFKA_ERRORS.FETCH_SESSION_ID_NOT_FOUND);
  });

  it('shows readers of committed records nothing of a transaction that is open, and which were aborted', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const { log } = kafka.streams;
    const client = kafka.client();
    const producer = await log.producers.init({ transactionalId: 't', transactionTimeoutMs: 60_000 });
    await log.producers.addPartitions('t', producer, [{ topic: 's', partition: 0 }]);
    const batch = batchOf(['open'], { producer: { ...producer, sequence: 0 }, transactional: true });
    assert.equal((await produce(client, 's', batch, { transactionalId: 't' })).errorCode, 0);
    await produce(client, 's', batchOf(['after']));
    const committed = await fetch(client, 's', { 0: 0 }, { isolationLevel: 1 });
    assert.deepEqual([committed.first.lastStableOffset, valuesOf(committed.first.records)], [0, []]);
    const all = await fetch(client, 's', { 0: 0 });
    assert.equal(all.first.abortedTransactions, null);
    assert.deepEqual(valuesOf(all.first.records), ['open', 'after']);
    await log.producers.end('t', producer, 'abort');
    const { first } = await fetch(client, 's', { 0: 0 }, { isolationLevel: 1 });
    assert.deepEqual(first.abortedTransactions, [{ producerId: producer.producerId, firstOffset: 0 }]);
  });
});

describe('ListOffsets', () => {
  it('finds the start, the end, a time, and the record with the latest time', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const client = kafka.client();
    for (const timeMs of [1000, 3000, 2000]) await produce(client, 's', batchOf(['a'], { timeMs }));
    await kafka.streams.log.deleteRecords({ topic: 's', partition: 0 }, 1);
    const placeOf = async (timestamp: number, version = 7, partition = 0) => {
      const { topics } = await client.call(ListOffsets, version, {
        ...{ replicaId: -1, isolationLevel: 0, timeoutMs: 1000 },
        topics: [{ name: 's', partitions: [{ partitionIndex: partition, timestamp }] }],
      });
      const { errorCode, offset, timestamp: timeMs } = topics[0]!.partitions[0]!;
      return [errorCode, offset, timeMs];
    };
    assert.deepEqual(await placeOf(-1), [0, 3, -1]);
    assert.deepEqual(await placeOf(-2), [0, 1, -1]);
    assert.deepEqual(await placeOf(-3), [0, 1, 3000]);
    assert.deepEqual(await placeOf(-4, 8), [0, 1, -1]);
    assert.deepEqual(await placeOf(-5, 9), [0, -1, -1]);
    assert.deepEqual(await placeOf(2500), [0, 1, 3000]);
    assert.deepEqual(await placeOf(0), [0, 1, 3000]);
    assert.deepEqual(await placeOf(9000), [0, -1, -1]);
    assert.deepEqual(await placeOf(-1, 7, 4), [KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION, -1, -1]);
  });
});

async function untilPending(clock: { pending(): number }, more: number): Promise<void> {
  const before = clock.pending();
  while (clock.pending() < before + more) await new Promise((resolve) => setImmediate(resolve));
}
