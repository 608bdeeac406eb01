import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  AlterConfigs,
  type CallOf,
  CreatePartitions,
  CreateTopics,
  DeleteRecords,
  DeleteTopics,
  DescribeCluster,
  DescribeConfigs,
  DescribeLogDirs,
  DescribeProducers,
  DescribeTopicPartitions,
  ElectLeaders,
  IncrementalAlterConfigs,
  ListConfigResources,
  ListPartitionReassignments,
  Metadata,
  NO_UUID,
  OffsetForLeaderEpoch,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS } from '../errors.ts';
import { batchOf, produce, type TestClient, type TestKafka, testKafka } from '../kafka.fixture.ts';

type NewTopic = CallOf<typeof CreateTopics>['topics'][number];

const newTopic = (name: string, rest: Partial<NewTopic> = {}): NewTopic => ({
  ...{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] },
  ...rest,
});

async function create(client: TestClient, topics: readonly NewTopic[], version = 7, validateOnly = false) {
  return (await client.call(CreateTopics, version, { topics, validateOnly })).topics;
}

const TOPIC = 2;
const BROKER = 4;

async function configsOf(
  client: TestClient,
  name: string,
  keys: string[] | null = null,
  resourceType = TOPIC,
) {
  const { results } = await client.call(DescribeConfigs, 4, {
    resources: [{ resourceType, resourceName: name, configurationKeys: keys }],
    includeSynonyms: true,
    includeDocumentation: true,
  });
  const { errorCode, configs } = results[0]!;
  return { errorCode, configs, values: Object.fromEntries(configs.map((each) => [each.name, each.value])) };
}

async function started(): Promise<TestKafka & { admin: TestClient }> {
  const kafka = await testKafka();
  return Object.assign(kafka, { admin: kafka.client('admin') });
}

describe('CreateTopics', () => {
  it('makes streams, configured as asked', async () => {
    await using kafka = await started();
    const { admin, streams } = kafka;
    const configs = [
      { name: 'cleanup.policy', value: 'compact,delete' },
      { name: 'retention.ms', value: '-1' },
      { name: 'segment.bytes', value: '1048576' },
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
      { name: 'min.insync.replicas', value: '1' },
    ];
    const [made] = await create(admin, [newTopic('t', { numPartitions: 3, configs })]);
    assert.deepEqual([made!.errorCode, made!.numPartitions, made!.replicationFactor], [0, 3, 1]);
    assert.equal(made!.topicId, streams.log.topics.find('t')!.id);
    const { partitions, cleanup, retentionMs } = streams.describe('t');
    assert.deepEqual([partitions, cleanup, retentionMs], [3, 'compact,delete', null]);
    const { config } = streams.log.topics.find('t')!;
    assert.deepEqual([config.segmentBytes, config.timestampType], [1_048_576, 'append']);
    for (const version of [2, 4, 5]) {
      assert.equal((await create(admin, [newTopic(`v${version}`)], version))[0]!.errorCode, 0);
    }
    const usual = await create(admin, [newTopic('usual', { numPartitions: -1, replicationFactor: -1 })]);
    assert.equal(usual[0]!.numPartitions, 1);
    const placed = {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [{ partitionIndex: 0, brokerIds: [0] }],
    };
    assert.equal((await create(admin, [newTopic('placed', placed)]))[0]!.errorCode, 0);
  });

  it('refuses with the codes of the protocol, and leaves nothing behind', async () => {
    await using kafka = await started();
    const { admin, streams } = kafka;
    await create(admin, [newTopic('there')]);
    const codeOf = async (name: string, rest: Partial<NewTopic> = {}) =>
      (await create(admin, [newTopic(name, rest)]))[0]!.errorCode;
    const config = (name: string, value: string) => ({ configs: [{ name, value }] });
    assert.equal(await codeOf('there'), KAFKA_ERRORS.TOPIC_ALREADY_EXISTS);
    assert.equal(await codeOf('a b'), KAFKA_ERRORS.INVALID_TOPIC_EXCEPTION);
    assert.equal(await codeOf('millrace.mine'), KAFKA_ERRORS.INVALID_TOPIC_EXCEPTION);
    assert.equal(await codeOf('n', { numPartitions: 0 }), KAFKA_ERRORS.INVALID_PARTITIONS);
    assert.equal(await codeOf('n', { numPartitions: 1_000_000 }), KAFKA_ERRORS.INVALID_PARTITIONS);
    assert.equal(await codeOf('n', { replicationFactor: 3 }), KAFKA_ERRORS.INVALID_REPLICATION_FACTOR);
    assert.equal(await codeOf('n', config('nonsense', '1')), KAFKA_ERRORS.INVALID_CONFIG);
    assert.equal(await codeOf('n', config('retention.ms', 'soon')), KAFKA_ERRORS.INVALID_CONFIG);
    assert.equal(await codeOf('n', config('retention.ms', '-2')), KAFKA_ERRORS.INVALID_CONFIG);
    assert.equal(await codeOf('n', config('segment.bytes', '1')), KAFKA_ERRORS.INVALID_CONFIG);
    assert.equal(await codeOf('n', config('cleanup.policy', 'shred')), KAFKA_ERRORS.INVALID_CONFIG);
    assert.equal(await codeOf('n', config('compression.type', 'brotli')), KAFKA_ERRORS.INVALID_CONFIG);
    const elsewhere = {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [{ partitionIndex: 0, brokerIds: [1] }],
    };
    assert.equal(await codeOf('n', elsewhere), KAFKA_ERRORS.INVALID_REPLICA_ASSIGNMENT);
    assert.equal(
      (await create(admin, [newTopic('n'), newTopic('n')]))[0]!.errorCode,
      KAFKA_ERRORS.INVALID_REQUEST,
    );
    assert.equal((await create(admin, [newTopic('n')], 7, true))[0]!.errorCode, 0, 'only looked');
    assert.deepEqual(
      streams.list().map(({ name }) => name),
      ['there'],
    );
  });
});

describe('DeleteTopics', () => {
  it("removes by name and by id, not what is the platform's own", async () => {
    await using kafka = await started();
    const { admin, streams } = kafka;
    await create(admin, [newTopic('a'), newTopic('b')]);
    await streams.define({ name: 'millrace.audit', internal: true });
    const byName = await admin.call(DeleteTopics, 5, {
      ...{ topics: [], timeoutMs: 1000 },
      topicNames: ['a', 'none', 'millrace.audit'],
    });
    assert.deepEqual(
      byName.responses.map(({ name, errorCode }) => [name, errorCode]),
      [
        ['a', 0],
        ['none', KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION],
        ['millrace.audit', KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED],
      ],
    );
    const topicId = streams.log.topics.find('b')!.id;
    const byId = await admin.call(DeleteTopics, 6, {
      ...{ topicNames: [], timeoutMs: 1000 },
      topics: [{ topicId }, { topicId: '1'.repeat(32) }],
    });
    assert.deepEqual(
      byId.responses.map(({ name, errorCode }) => [name, errorCode]),
      [
        ['b', 0],
        [null, KAFKA_ERRORS.UNKNOWN_TOPIC_ID],
      ],
    );
    assert.deepEqual(streams.list(), []);
  });
});

describe('CreatePartitions and DeleteRecords', () => {
  it('grow a topic, never shrink it', async () => {
    await using kafka = await started();
    const { admin, streams } = kafka;
    await create(admin, [newTopic('t')]);
    await streams.define({ name: 'keyed', keyPath: '/card' });
    const grow = async (name: string, count: number, validateOnly = false) =>
      (
        await admin.call(CreatePartitions, 3, {
          ...{ timeoutMs: 1000, validateOnly },
          topics: [{ name, count, assignments: null }],
        })
      ).results[0]!.errorCode;
    assert.equal(await grow('t', 4, true), 0);
    assert.equal(streams.describe('t').partitions, 1);
    assert.equal(await grow('t', 4), 0);
    assert.equal(streams.describe('t').partitions, 4);
    for (const count of [4, 3, 0, -1, 100_000]) {
      assert.equal(await grow('t', count), KAFKA_ERRORS.INVALID_PARTITIONS, String(count));
    }
    assert.equal(await grow('none', 4), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(await grow('keyed', 4), KAFKA_ERRORS.INVALID_PARTITIONS, 'its keys would move');
  });

  it('move the start of a partition', async () => {
    await using kafka = await started();
    const { admin } = kafka;
    await create(admin, [newTopic('t')]);
    for (const value of ['a', 'b', 'c']) await produce(admin, 't', batchOf([value]));
    const remove = async (offset: number, name = 't') => {
      const message = { timeoutMs: 1000, topics: [{ name, partitions: [{ partitionIndex: 0, offset }] }] };
      const { lowWatermark, errorCode } = (await admin.call(DeleteRecords, 2, message)).topics[0]!
        .partitions[0]!;
      return [lowWatermark, errorCode];
    };
    assert.deepEqual(await remove(2), [2, 0]);
    assert.deepEqual(await remove(9), [-1, KAFKA_ERRORS.OFFSET_OUT_OF_RANGE]);
    assert.deepEqual(await remove(-1), [3, 0]);
    assert.deepEqual(await remove(0, 'none'), [-1, KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION]);
  });
});

describe('configurations', () => {
  it('of topics are told with where they come from', async () => {
    await using kafka = await started();
    const { admin, streams } = kafka;
    await streams.define({ name: 't', retentionMs: 1000 });
    const { configs, values } = await configsOf(admin, 't');
    assert.equal(values['retention.ms'], '1000');
    assert.equal(values['cleanup.policy'], 'delete');
    assert.equal(values['compression.type'], 'producer');
    const sources = Object.fromEntries(configs.map((each) => [each.name, each.configSource]));
    assert.deepEqual([sources['retention.ms'], sources['segment.bytes']], [1, 5]);
    const some = await configsOf(admin, 't', ['retention.ms', 'none']);
    assert.deepEqual(
      some.configs.map(({ name, synonyms }) => [name, synonyms.length]),
      [['retention.ms', 1]],
    );
    assert.equal((await configsOf(admin, 'none')).errorCode, KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    const broker = await configsOf(admin, '0', null, BROKER);
    assert.deepEqual([broker.values['broker.id'], broker.values['auto.create.topics.enable']], ['0', 'true']);
    assert.ok(broker.configs.every(({ readOnly }) => readOnly));
    assert.equal((await configsOf(admin, '7', null, BROKER)).errorCode, KAFKA_ERRORS.INVALID_REQUEST);
  });

  it('are changed one by one, or all at once', async () => {
    await using kafka = await started();
    const { admin, streams } = kafka;
    await create(admin, [newTopic('t')]);
    const change = async (
      configs: readonly { name: string; configOperation: number; value: string | null }[],
      resourceName = 't',
      resourceType = TOPIC,
    ) => {
      const message = { validateOnly: false, resources: [{ resourceType, resourceName, configs }] };
      return (await admin.call(IncrementalAlterConfigs, 1, message)).responses[0]!.errorCode;
    };
    const set = (name: string, value: string | null, configOperation = 0) => ({
      name,
      configOperation,
      value,
    });
    assert.equal(await change([set('retention.ms', '5000'), set('segment.ms', '60000')]), 0);
    assert.equal(await change([set('cleanup.policy', 'compact', 2)]), 0);
    assert.equal(streams.describe('t').cleanup, 'compact,delete');
    assert.equal(await change([set('cleanup.policy', 'delete', 3), set('segment.ms', null, 1)]), 0);
    const { values } = await configsOf(admin, 't');
    assert.deepEqual(
      [values['retention.ms'], values['cleanup.policy'], values['segment.ms']],
      ['5000', 'compact', String(7 * 86_400_000)],
    );
    assert.equal(await change([set('nonsense', '1')]), KAFKA_ERRORS.INVALID_CONFIG);
    assert.equal(await change([set('retention.ms', '1', 2)]), KAFKA_ERRORS.INVALID_CONFIG);
    assert.equal(await change([set('retention.ms', '1', 9)]), KAFKA_ERRORS.INVALID_REQUEST);
    assert.equal(await change([set('retention.ms', '1')], 'none'), KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(await change([set('num.partitions', '1')], '0', BROKER), KAFKA_ERRORS.INVALID_REQUEST);

    const whole = {
      resourceType: TOPIC,
      resourceName: 't',
      configs: [{ name: 'segment.ms', value: '9000' }],
    };
    const { responses } = await admin.call(AlterConfigs, 2, { validateOnly: false, resources: [whole] });
    assert.equal(responses[0]!.errorCode, 0);
    const after = (await configsOf(admin, 't')).values;
    assert.deepEqual(
      [after['segment.ms'], after['cleanup.policy']],
      ['9000', 'delete'],
      'the rest is default again',
    );
  });

  it('of a stream that an app exports are changed in the app', async () => {
    await using kafka = await started();
    await kafka.streams.define({ name: 't', owner: 'shop' });
    const configs = [{ name: 'retention.ms', value: '1' }];
    const { responses } = await kafka.admin.call(AlterConfigs, 2, {
      validateOnly: false,
      resources: [{ resourceType: TOPIC, resourceName: 't', configs }],
    });
    assert.equal(responses[0]!.errorCode, KAFKA_ERRORS.POLICY_VIOLATION);
    assert.match(responses[0]!.errorMessage!, /'shop'/);
  });

  it('are listed', async () => {
    await using kafka = await started();
    await create(kafka.admin, [newTopic('t')]);
    const listed = async (types: number[], version = 1) =>
      (await kafka.admin.call(ListConfigResources, version, { resourceTypes: types })).configResources.length;
    assert.deepEqual(
      [await listed([]), await listed([TOPIC]), await listed([16]), await listed([], 0)],
      [2, 1, 0, 0],
    );
  });
});

describe('what tools ask about the cluster', () => {
  it('is told', async () => {
    await using kafka = await started();
    const { admin, streams } = kafka;
    await create(admin, [newTopic('a', { numPartitions: 3 }), newTopic('b', { numPartitions: 2 })]);
    await produce(admin, 'a', batchOf(['x']));
    const cluster = await admin.call(DescribeCluster, 1, {
      includeClusterAuthorizedOperations: false,
      includeFencedBrokers: false,
    });
    const { clusterId } = await admin.call(Metadata, 9, {
      topics: [],
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    });
    assert.equal(cluster.clusterId, clusterId);
    assert.match(clusterId!, /^[\w-]{22}$/);
    assert.deepEqual(
      cluster.brokers.map(({ brokerId, host }) => [brokerId, host]),
      [[0, '127.0.0.1']],
    );

    const epochs = await admin.call(OffsetForLeaderEpoch, 4, {
      topics: [
        {
          topic: 'a',
          partitions: [
            { partition: 0, leaderEpoch: 0 },
            { partition: 9, leaderEpoch: 0 },
          ],
        },
      ],
    });
    assert.deepEqual(
      epochs.topics[0]!.partitions.map(({ errorCode, endOffset }) => [errorCode, endOffset]),
      [
        [0, 1],
        [KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION, -1],
      ],
    );
    const dirs = await admin.call(DescribeLogDirs, 4, { topics: [{ topic: 'a', partitions: [0, 1] }] });
    assert.equal(dirs.results[0]!.topics[0]!.partitions.length, 2);
    const { topics } = await admin.call(ListPartitionReassignments, 0, { topics: null });
    assert.deepEqual(topics, []);
    const elected = await admin.call(ElectLeaders, 2, {
      electionType: 0,
      topicPartitions: [{ topic: 'a', partitions: [0, 7] }],
    });
    assert.deepEqual(
      elected.replicaElectionResults[0]!.partitionResult.map(({ errorCode }) => errorCode),
      [KAFKA_ERRORS.ELECTION_NOT_NEEDED, KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION],
    );
    const producer = await streams.log.producers.init({});
    await produce(admin, 'b', batchOf(['x'], { producer: { ...producer, sequence: 0 } }));
    const producers = await admin.call(DescribeProducers, 0, {
      topics: [{ name: 'b', partitionIndexes: [0, 5] }],
    });
    const [first, absent] = producers.topics[0]!.partitions;
    assert.deepEqual(
      first!.activeProducers.map(({ producerId, lastSequence }) => [producerId, lastSequence]),
      [[producer.producerId, 0]],
    );
    assert.equal(absent!.errorCode, KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
  });

  it('is paged where it is long', async () => {
    await using kafka = await started();
    await create(kafka.admin, [newTopic('a', { numPartitions: 3 }), newTopic('b', { numPartitions: 2 })]);
    const seen: string[] = [];
    let cursor: { topicName: string; partitionIndex: number } | null = null;
    do {
      const page: Awaited<ReturnType<typeof next>> = await next(kafka.admin, cursor);
      for (const { name, partitions } of page.topics) {
        seen.push(...partitions.map(({ partitionIndex }) => `${name}${partitionIndex}`));
      }
      cursor = page.nextCursor;
    } while (cursor);
    assert.deepEqual(seen, ['a0', 'a1', 'a2', 'b0', 'b1']);
    const unknown = await kafka.admin.call(DescribeTopicPartitions, 0, { topics: [{ name: 'none' }] });
    assert.equal(unknown.topics[0]!.errorCode, KAFKA_ERRORS.UNKNOWN_TOPIC_OR_PARTITION);
    assert.equal(unknown.topics[0]!.topicId, NO_UUID);
  });
});

const next = (client: TestClient, cursor: { topicName: string; partitionIndex: number } | null) =>
  client.call(DescribeTopicPartitions, 0, { topics: [], responsePartitionLimit: 2, cursor });
