import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ConsumerGroupDescribe,
  ConsumerGroupHeartbeat,
  DeleteGroups,
  DescribeGroups,
  FindCoordinator,
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  OffsetCommit,
  OffsetDelete,
  OffsetFetch,
  readAssignment,
  SyncGroup,
  writeAssignment,
  writeSubscription,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, type KafkaErrorName } from '../errors.ts';
import { type TestClient, type TestKafka, testKafka } from '../kafka.fixture.ts';

const code = (name: KafkaErrorName): number => KAFKA_ERRORS[name];

/** The port with the stream `t` of two partitions. */
async function start(): Promise<TestKafka & { readonly one: TestClient }> {
  const kafka = await testKafka();
  await kafka.streams.define({ name: 't', partitions: 2 });
  return Object.assign(kafka, { one: kafka.client() });
}

/** Joins as the only member, is given both partitions, and answers with who it is. */
async function joinAlone(
  { one, clock, streams }: Awaited<ReturnType<typeof start>>,
  groupId: string,
  version = 5,
) {
  const request = {
    ...{
      groupId,
      memberId: '',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 30_000,
      protocolType: 'consumer',
    },
    protocols: [{ name: 'range', metadata: writeSubscription(['t']) }],
  };
  const first = await one.call(JoinGroup, version, request);
  const joining =
    first.errorCode === code('MEMBER_ID_REQUIRED')
      ? one.call(JoinGroup, version, { ...request, memberId: first.memberId })
      : Promise.resolve(first);
  await until(() => streams.log.groups.find(groupId)?.members.length === 1);
  clock.advance(200);
  const { errorCode, memberId, generationId } = await joining;
  assert.equal(errorCode, 0);
  const assignment = writeAssignment([0, 1].map((partition) => ({ topic: 't', partition })));
  const synced = await one.call(SyncGroup, 3, {
    ...{ groupId, generationId, memberId, assignments: [{ memberId, assignment }] },
  });
  assert.deepEqual(readAssignment(synced.assignment), [
    { topic: 't', partition: 0 },
    { topic: 't', partition: 1 },
  ]);
  return { memberId, generationId };
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

const commit = (client: TestClient, groupId: string, options = {}, version = 8) =>
  client
    .call(OffsetCommit, version, {
      ...{ groupId, memberId: '' },
      topics: [
        {
          name: 't',
          partitions: [
            { partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: 2, committedMetadata: 'm' },
          ],
        },
      ],
      ...options,
    })
    .then(({ topics }) => topics[0]!.partitions[0]!.errorCode);

const fetchOne = async (client: TestClient, groupId: string, version: number) => {
  const topics = [{ name: 't', partitionIndexes: [0] }];
  const answer = await client.call(OffsetFetch, version, {
    ...{ groupId, topics, requireStable: false },
    groups: [{ groupId, topics }],
  });
  return (version < 8 ? answer.topics : answer.groups[0]!.topics)[0]!.partitions[0]!;
};

describe('consumer groups over the wire', () => {
  it('find their coordinator where the client came in', async () => {
    await using kafka = await start();
    const port = Number(kafka.address.split(':')[1]);
    const before = await kafka.one.call(FindCoordinator, 2, { key: 'g', keyType: 0, coordinatorKeys: [] });
    assert.deepEqual([before.errorCode, before.host, before.port], [0, '127.0.0.1', port]);
    const since = await kafka.one.call(FindCoordinator, 4, {
      key: '',
      keyType: 1,
      coordinatorKeys: ['a', 'b'],
    });
    assert.deepEqual(
      since.coordinators.map(({ key, port }) => [key, port]),
      [
        ['a', port],
        ['b', port],
      ],
    );
  });

  it('join, assign, beat, commit and leave in the classic protocol', async () => {
    await using kafka = await start();
    const { one } = kafka;
    const member = await joinAlone(kafka, 'g');
    const identity = { ...member, groupId: 'g' };
    assert.equal((await one.call(Heartbeat, 3, identity)).errorCode, 0);
    assert.equal(
      (await one.call(Heartbeat, 3, { ...identity, generationId: 7 })).errorCode,
      code('ILLEGAL_GENERATION'),
    );
    const { generationId: generationIdOrMemberEpoch, memberId } = member;
    assert.equal(await commit(one, 'g', { generationIdOrMemberEpoch, memberId }), 0);
    assert.equal(await commit(one, 'g'), code('UNKNOWN_MEMBER_ID'));
    assert.deepEqual(kafka.streams.groupsOf('t')[0]!.kind, 'classic');
    const [described] = (
      await one.call(DescribeGroups, 5, { groups: ['g'], includeAuthorizedOperations: false })
    ).groups;
    assert.deepEqual([described!.groupState, described!.protocolData], ['Stable', 'range']);
    assert.equal(
      (await one.call(DeleteGroups, 2, { groupsNames: ['g'] })).results[0]!.errorCode,
      code('NON_EMPTY_GROUP'),
    );
    const left = await one.call(LeaveGroup, 4, {
      groupId: 'g',
      memberId: '',
      members: [{ memberId }, { memberId: 'x' }],
    });
    assert.deepEqual(
      left.members.map((each) => each.errorCode),
      [0, code('UNKNOWN_MEMBER_ID')],
    );
    assert.equal(await commit(one, 'g'), 0, 'from outside, now that it is empty');
  });

  it('keep positions with metadata and leader epoch, in every version', async () => {
    await using kafka = await start();
    const { one } = kafka;
    assert.equal(
      await commit(one, 'g', { generationIdOrMemberEpoch: 3, memberId: 'x' }),
      code('ILLEGAL_GENERATION'),
    );
    assert.equal(await commit(one, 'g'), 0);
    for (const version of [1, 3, 5, 7, 8, 9]) {
      const { committedOffset, committedLeaderEpoch, metadata } = await fetchOne(one, 'g', version);
      assert.deepEqual([committedOffset, committedLeaderEpoch, metadata], [5, version < 5 ? -1 : 2, 'm']);
    }
    assert.equal((await fetchOne(one, 'other', 7)).committedOffset, -1);
    const long = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: 'x'.repeat(5000) }];
    assert.equal(
      await commit(one, 'g', { topics: [{ name: 't', partitions: long }] }),
      code('OFFSET_METADATA_TOO_LARGE'),
    );
    const absent = [{ partitionIndex: 9, committedOffset: 1, committedMetadata: null }];
    assert.equal(
      await commit(one, 'g', { topics: [{ name: 't', partitions: absent }] }),
      code('UNKNOWN_TOPIC_OR_PARTITION'),
    );
    const reset = [{ partitionIndex: 0, committedOffset: -2, committedMetadata: null }];
    assert.equal(await commit(one, 'reset', { topics: [{ name: 't', partitions: reset }] }), 0);
    assert.equal((await fetchOne(one, 'reset', 7)).committedOffset, -2);
    assert.deepEqual(kafka.streams.log.groups.offsets('reset'), [], 'it is no position');
    const gone = { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] };
    assert.equal((await one.call(OffsetDelete, 0, gone)).topics[0]!.partitions[0]!.errorCode, 0);
    assert.equal((await fetchOne(one, 'g', 8)).committedOffset, -1);
  });

  it('are listed by state and type; those that are not there are dead, or an error', async () => {
    await using kafka = await start();
    const { one } = kafka;
    await joinAlone(kafka, 'live');
    await commit(one, 'positions');
    const list = async (statesFilter: string[], typesFilter: string[]) =>
      (await one.call(ListGroups, 5, { statesFilter, typesFilter })).groups.map((each) => each.groupId);
    assert.deepEqual(await list([], []), ['live', 'positions']);
    assert.deepEqual(await list(['stable'], ['Classic']), ['live']);
    assert.deepEqual(await list([], ['consumer']), []);
    const absent = { groups: ['absent'], includeAuthorizedOperations: false };
    assert.equal((await one.call(DescribeGroups, 5, absent)).groups[0]!.groupState, 'Dead');
    assert.equal(
      (await one.call(DescribeGroups, 6, absent)).groups[0]!.errorCode,
      code('GROUP_ID_NOT_FOUND'),
    );
  });

  it('of the platform are shown like any, and closed to Kafka clients meanwhile', async () => {
    await using kafka = await start();
    const { one } = kafka;
    const member = await kafka.streams.log.join('score', ['t']);
    const [shown] = (
      await one.call(DescribeGroups, 5, { groups: ['score'], includeAuthorizedOperations: false })
    ).groups;
    assert.deepEqual([shown!.groupState, shown!.protocolType], ['Stable', 'consumer']);
    assert.equal(readAssignment(shown!.members[0]!.memberAssignment).length, 2);
    assert.equal(await commit(one, 'score'), code('UNKNOWN_MEMBER_ID'));
    const joined = await one.call(JoinGroup, 5, {
      ...{ groupId: 'score', memberId: '', sessionTimeoutMs: 10_000, protocolType: 'consumer' },
      protocols: [{ name: 'range', metadata: writeSubscription(['t']) }],
    });
    assert.equal(joined.errorCode, code('INCONSISTENT_GROUP_PROTOCOL'));
    await member.leave();
    assert.equal(await commit(one, 'score'), 0);
  });

  it('of the newer protocol are assigned by the platform', async () => {
    await using kafka = await start();
    const { one } = kafka;
    const topicId = kafka.streams.log.topics.find('t')!.id;
    const beat = (memberEpoch: number, options = {}) =>
      one.call(ConsumerGroupHeartbeat, 1, { groupId: 'g', memberId: 'm', memberEpoch, ...options });
    const first = { rebalanceTimeoutMs: 30_000, subscribedTopicRegex: 't|u', topicPartitions: [] };
    assert.equal((await beat(1)).errorCode, code('GROUP_ID_NOT_FOUND'));
    assert.equal((await beat(0)).errorCode, code('INVALID_REQUEST'));
    assert.equal(
      (await beat(0, { ...first, subscribedTopicRegex: '(' })).errorCode,
      code('INVALID_REGULAR_EXPRESSION'),
    );
    assert.equal((await beat(0, { ...first, serverAssignor: 'x' })).errorCode, code('UNSUPPORTED_ASSIGNOR'));
    const joined = await beat(0, first);
    assert.deepEqual(joined.assignment, { topicPartitions: [{ topicId, partitions: [0, 1] }] });
    const epoch = { generationIdOrMemberEpoch: joined.memberEpoch, memberId: 'm' };
    assert.equal(await commit(one, 'g', epoch, 9), 0);
    assert.equal(
      await commit(one, 'g', { ...epoch, generationIdOrMemberEpoch: 9 }, 9),
      code('STALE_MEMBER_EPOCH'),
    );
    assert.equal(await commit(one, 'g', epoch, 8), code('UNSUPPORTED_VERSION'));
    const asked = { groupIds: ['g', 'absent'], includeAuthorizedOperations: true };
    const { groups } = await one.call(ConsumerGroupDescribe, 1, asked);
    assert.deepEqual(
      groups.map((each) => [each.errorCode, each.groupState]),
      [
        [0, 'Stable'],
        [code('GROUP_ID_NOT_FOUND'), ''],
      ],
    );
    assert.equal(groups[0]!.members[0]!.assignment.topicPartitions[0]!.topicName, 't');
    assert.equal((await beat(-1)).memberEpoch, -1);
    assert.equal(kafka.streams.log.groups.find('g')!.state, 'empty');
  });

  it('move to the newer protocol and back while they run', async () => {
    await using kafka = await start();
    const { one } = kafka;
    const old = await joinAlone(kafka, 'g');
    const listed = async (): Promise<string> =>
      (await one.call(ListGroups, 5, { statesFilter: [], typesFilter: [] })).groups[0]!.groupType;
    const { memberId } = old;
    const heard = async (generationId: number): Promise<number> =>
      (await one.call(Heartbeat, 3, { groupId: 'g', memberId, generationId, groupInstanceId: null }))
        .errorCode;
    /** Joins again, says what it holds, and gives what it has then. */
    const rejoin = async (held: readonly number[]) => {
      const owned = held.map((partition) => ({ topic: 't', partition }));
      const joined = await one.call(JoinGroup, 5, {
        ...{ groupId: 'g', memberId, protocolType: 'consumer' },
        ...{ sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 30_000 },
        protocols: [{ name: 'range', metadata: writeSubscription(['t'], owned) }],
      });
      assert.equal(joined.errorCode, 0);
      const { generationId } = joined;
      const synced = await one.call(SyncGroup, 3, { groupId: 'g', memberId, generationId, assignments: [] });
      assert.equal(synced.errorCode, 0);
      return { generationId, has: readAssignment(synced.assignment).map(({ partition }) => partition) };
    };
    const beat = async (memberEpoch: number, options = {}) => {
      const answer = await one.call(ConsumerGroupHeartbeat, 1, {
        ...{ groupId: 'g', memberId: 'new', memberEpoch },
        ...options,
      });
      return { ...answer, has: answer.assignment?.topicPartitions[0]?.partitions };
    };

    const joined = await beat(0, {
      rebalanceTimeoutMs: 30_000,
      subscribedTopicNames: ['t'],
      topicPartitions: [],
    });
    assert.deepEqual(
      [joined.errorCode, joined.assignment?.topicPartitions],
      [0, []],
      'the other has everything yet',
    );
    assert.equal(await listed(), 'consumer');
    assert.equal(await commit(one, 'g', { memberId, generationIdOrMemberEpoch: old.generationId }), 0);
    assert.equal(await heard(old.generationId), code('REBALANCE_IN_PROGRESS'));
    const asked = await rejoin([0, 1]);
    assert.deepEqual(asked, { generationId: old.generationId, has: [0] }, 'it is to give one up');
    assert.equal(await heard(old.generationId), code('REBALANCE_IN_PROGRESS'));
    assert.equal((await beat(joined.memberEpoch)).has, undefined, 'not given before it is given up');
    const { generationId, has } = await rejoin([0]);
    assert.deepEqual(has, [0]);
    assert.ok(generationId > old.generationId);
    assert.equal(await heard(generationId), 0);
    assert.equal(await heard(old.generationId), code('ILLEGAL_GENERATION'));
    assert.deepEqual((await beat(joined.memberEpoch)).has, [1]);

    await beat(-1);
    assert.equal(await listed(), 'classic');
    assert.equal(await heard(generationId), code('REBALANCE_IN_PROGRESS'));
    const again = await one.call(JoinGroup, 5, {
      ...{
        groupId: 'g',
        memberId,
        protocolType: 'consumer',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 30_000,
      },
      protocols: [{ name: 'range', metadata: writeSubscription(['t']) }],
    });
    assert.deepEqual([again.errorCode, again.leader], [0, memberId], 'it leads again');
    assert.ok(again.generationId > generationId);
  });

  it('stay as they are where members are no consumers', async () => {
    await using kafka = await start();
    const { one, clock } = kafka;
    const joining = one.call(JoinGroup, 3, {
      ...{
        groupId: 'g',
        memberId: '',
        protocolType: 'connect',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 30_000,
      },
      protocols: [{ name: 'sessioned', metadata: new Uint8Array([0, 1, 2]) }],
    });
    await until(() => kafka.streams.log.groups.find('g')?.members.length === 1);
    clock.advance(200);
    const { memberId } = await joining;
    const refused = await one.call(ConsumerGroupHeartbeat, 1, {
      ...{ groupId: 'g', memberId: 'new', memberEpoch: 0, rebalanceTimeoutMs: 30_000 },
      ...{ subscribedTopicNames: ['t'], topicPartitions: [] },
    });
    assert.equal(refused.errorCode, code('GROUP_ID_NOT_FOUND'));
    assert.equal(kafka.streams.log.groups.find('g')!.members[0]!.memberId, memberId);
  });
});
