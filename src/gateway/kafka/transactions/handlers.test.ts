import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  AddOffsetsToTxn,
  AddPartitionsToTxn,
  DescribeProducers,
  DescribeTransactions,
  EndTxn,
  InitProducerId,
  ListTransactions,
  OffsetFetch,
  TxnOffsetCommit,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, type KafkaErrorName } from '../errors.ts';
import { batchOf, produce, type TestClient, testKafka } from '../kafka.fixture.ts';

const code = (name: KafkaErrorName): number => KAFKA_ERRORS[name];
const T0 = { topic: 't', partition: 0 };

interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

async function start() {
  const kafka = await testKafka();
  await kafka.streams.define({ name: 't', partitions: 1 });
  const one = kafka.client();
  const stable = (): number => kafka.streams.log.bounds(T0).lastStableOffset;
  return Object.assign(kafka, { one, stable });
}

const init = (client: TestClient, request = {}, version = 4) =>
  client.call(InitProducerId, version, { transactionalId: 'x', transactionTimeoutMs: 10_000, ...request });

const send = async (
  client: TestClient,
  { producerId, producerEpoch: epoch }: Identity,
  sequence: number,
  version = 9,
) => {
  const batch = batchOf([`${sequence}`], { producer: { producerId, epoch, sequence }, transactional: true });
  return (await produce(client, 't', batch, { transactionalId: 'x', version })).errorCode;
};

const add = async (client: TestClient, { producerId, producerEpoch }: Identity, partitions = [0]) => {
  const answer = await client.call(AddPartitionsToTxn, 3, {
    transactions: [],
    v3AndBelowTransactionalId: 'x',
    v3AndBelowProducerId: producerId,
    v3AndBelowProducerEpoch: producerEpoch,
    v3AndBelowTopics: [{ name: 't', partitions }],
  });
  return answer.resultsByTopicV3AndBelow[0]!.resultsByPartition.map((each) => each.partitionErrorCode);
};

const end = (client: TestClient, { producerId, producerEpoch }: Identity, committed: boolean, version = 4) =>
  client.call(EndTxn, version, { transactionalId: 'x', producerId, producerEpoch, committed });

const commitOffset = async (client: TestClient, { producerId, producerEpoch }: Identity, version: number) => {
  const partitions = [{ partitionIndex: 0, committedOffset: 7, committedMetadata: null }];
  const { topics } = await client.call(TxnOffsetCommit, version, {
    ...{ transactionalId: 'x', groupId: 'g', producerId, producerEpoch },
    topics: [{ name: 't', partitions }],
  });
  return topics[0]!.partitions[0]!.errorCode;
};

const offsetOf = async (client: TestClient, requireStable: boolean) => {
  const topics = [{ name: 't', partitionIndexes: [0] }];
  const request = { groupId: '', topics: null, groups: [{ groupId: 'g', topics }], requireStable };
  const { groups } = await client.call(OffsetFetch, 8, request);
  const { committedOffset, errorCode } = groups[0]!.topics[0]!.partitions[0]!;
  return [committedOffset, errorCode];
};

describe('transactions over the wire', () => {
  it('commit records and positions together, as clients before KIP-890 do', async () => {
    await using kafka = await start();
    const { one, stable } = kafka;
    const producer = await init(one);
    assert.equal(await send(one, producer, 0), code('INVALID_TXN_STATE'), 'the partition is not in it yet');
    assert.deepEqual(await add(one, producer, [0, 5]), [
      code('OPERATION_NOT_ATTEMPTED'),
      code('UNKNOWN_TOPIC_OR_PARTITION'),
    ]);
    assert.equal(await commitOffset(one, producer, 3), code('INVALID_TXN_STATE'));
    assert.deepEqual(await add(one, producer), [0]);
    const { producerId, producerEpoch } = producer;
    const adding = { transactionalId: 'x', producerId, producerEpoch, groupId: 'g' };
    assert.equal((await one.call(AddOffsetsToTxn, 3, adding)).errorCode, 0);
    assert.equal(await send(one, producer, 0), 0);
    assert.equal(await commitOffset(one, producer, 3), 0);
    assert.deepEqual(await offsetOf(one, true), [-1, code('UNSTABLE_OFFSET_COMMIT')]);
    assert.deepEqual(await offsetOf(one, false), [-1, 0]);
    assert.equal(stable(), 0);
    assert.equal((await end(one, producer, true)).errorCode, 0);
    assert.equal((await end(one, producer, true)).errorCode, 0, 'the answer was lost');
    assert.equal((await end(one, producer, false)).errorCode, code('INVALID_TXN_STATE'));
    assert.equal(stable(), 2);
    assert.deepEqual(await offsetOf(one, true), [7, 0]);
  });

  it('take partitions in by themselves and raise the epoch, since KIP-890', async () => {
    await using kafka = await start();
    const { one, stable } = kafka;
    const first = await init(one);
    assert.equal(await send(one, first, 0, 12), 0);
    assert.equal(await commitOffset(one, first, 5), 0);
    const ended = await end(one, first, true, 5);
    assert.deepEqual([ended.errorCode, ended.producerEpoch], [0, first.producerEpoch + 1]);
    assert.equal(await send(one, first, 1, 12), code('INVALID_PRODUCER_EPOCH'), 'sent late');
    assert.equal(await send(one, ended, 0, 12), 0);
    assert.equal((await end(one, ended, false, 5)).producerEpoch, ended.producerEpoch + 1);
    assert.equal(stable(), 4);
    assert.deepEqual(await offsetOf(one, true), [7, 0]);
  });

  it('fence who was taken over, each version by its own error', async () => {
    await using kafka = await start();
    const { one, clock, stable } = kafka;
    const former = await init(one);
    await add(one, former);
    await send(one, former, 0);
    const next = await init(one);
    assert.equal(next.producerEpoch, former.producerEpoch + 1);
    assert.equal(stable(), 2, 'what it left open is aborted');
    assert.equal((await end(one, former, true, 1)).errorCode, code('INVALID_PRODUCER_EPOCH'));
    assert.equal((await end(one, former, true, 2)).errorCode, code('PRODUCER_FENCED'));
    assert.equal((await init(one, former)).errorCode, code('PRODUCER_FENCED'));
    assert.equal((await init(one, next)).producerEpoch, next.producerEpoch + 1, 'goes on by itself');
    assert.equal(
      (await init(one, { transactionTimeoutMs: 1e9 })).errorCode,
      code('INVALID_TRANSACTION_TIMEOUT'),
    );
    assert.equal((await init(one, { transactionalId: '' })).errorCode, code('INVALID_REQUEST'));
    const stranger = { producerId: 999, producerEpoch: 0 };
    assert.equal((await end(one, stranger, true)).errorCode, code('INVALID_PRODUCER_ID_MAPPING'));
    const last = await init(one);
    await add(one, last);
    clock.advance(10_001);
    assert.equal((await end(one, last, true)).errorCode, code('PRODUCER_FENCED'), 'its time is over');
  });

  it('can be looked at', async () => {
    await using kafka = await start();
    const { one, clock } = kafka;
    const producer = await init(one);
    await add(one, producer);
    await send(one, producer, 0);
    const list = async (filters = {}) => {
      const all = {
        stateFilters: [],
        producerIdFilters: [],
        durationFilter: -1,
        transactionalIdPattern: null,
      };
      return (await one.call(ListTransactions, 2, { ...all, ...filters })).transactionStates.map(
        (each) => each.transactionalId,
      );
    };
    assert.deepEqual(await list(), ['x']);
    assert.deepEqual(await list({ stateFilters: ['Ongoing'] }), ['x']);
    assert.deepEqual(await list({ stateFilters: ['Empty'] }), []);
    assert.deepEqual(await list({ durationFilter: 1 }), []);
    assert.deepEqual(await list({ transactionalIdPattern: 'y.*' }), []);
    const { transactionStates } = await one.call(DescribeTransactions, 0, { transactionalIds: ['x', 'y'] });
    assert.deepEqual(
      transactionStates.map((each) => each.errorCode),
      [0, code('TRANSACTIONAL_ID_NOT_FOUND')],
    );
    const [open] = transactionStates;
    assert.deepEqual([open!.transactionState, open!.transactionStartTimeMs], ['Ongoing', clock.now()]);
    assert.deepEqual(open!.topics, [{ topic: 't', partitions: [0] }]);
    const active = await one.call(DescribeProducers, 0, { topics: [{ name: 't', partitionIndexes: [0] }] });
    const [found] = active.topics[0]!.partitions[0]!.activeProducers;
    assert.deepEqual([found!.producerId, found!.currentTxnStartOffset], [producer.producerId, 0]);
  });
});
