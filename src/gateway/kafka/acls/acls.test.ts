import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type GuardAction, manualClock } from '../../../kernel/index.ts';
import {
  CreateAcls,
  DeleteAcls,
  DescribeAcls,
  Fetch,
  Heartbeat,
  InitProducerId,
  ListGroups,
  Metadata,
  NO_UUID,
  SaslAuthenticate,
  SaslHandshake,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, type KafkaErrorName } from '../errors.ts';
import { batchOf, produce, type TestClient, testKafka, tokensInMemory } from '../kafka.fixture.ts';

const code = (name: KafkaErrorName): number => KAFKA_ERRORS[name];
const [TOPIC, GROUP] = [2, 3];
const [LITERAL, PREFIXED] = [3, 4];
const [READ, WRITE] = [3, 4];
const [DENY, ALLOW] = [2, 3];
const ANY = 1;

async function start() {
  const credentials = tokensInMemory(manualClock());
  const kafka = await testKafka({ host: '0.0.0.0', guard: credentials.guard, scram: credentials.scram });
  for (const name of ['payments', 'secrets']) await kafka.streams.define({ name });
  const login = async (name: string, scopes: readonly GuardAction[]): Promise<TestClient> => {
    const { token } = await credentials.tokens.create({ name, scopes });
    const client = kafka.client();
    await client.call(SaslHandshake, 1, { mechanism: 'PLAIN' });
    const { errorCode } = await client.call(SaslAuthenticate, 2, {
      authBytes: Buffer.from(`\0${name}\0${token}`),
    });
    assert.equal(errorCode, 0);
    return client;
  };
  return Object.assign(kafka, { login });
}

const acl = (change = {}) => ({
  ...{
    resourceType: TOPIC,
    resourceName: 'pay',
    resourcePatternType: PREFIXED,
    principal: 'User:ann',
    host: '*',
  },
  ...{ operation: READ, permissionType: ALLOW },
  ...change,
});
const create = async (client: TestClient, ...creations: ReturnType<typeof acl>[]) =>
  (await client.call(CreateAcls, 3, { creations })).results.map(({ errorCode }) => errorCode);
const everything = {
  ...{ resourceTypeFilter: ANY, resourceNameFilter: null, patternTypeFilter: ANY, principalFilter: null },
  ...{ hostFilter: null, operation: ANY, permissionType: ANY },
};

const ALL_TOPICS = {
  ...{ topics: null, includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false },
};

const fetchError = async (client: TestClient, topic: string): Promise<number> => {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }];
  const request = { maxWaitMs: 0, minBytes: 0, topics: [{ topic, topicId: NO_UUID, partitions }] };
  const answer = await client.call(Fetch, 11, { ...request, forgottenTopicsData: [] });
  return answer.responses[0]!.partitions[0]!.errorCode;
};
const seen = async (client: TestClient): Promise<(string | null)[]> =>
  (await client.call(Metadata, 9, ALL_TOPICS)).topics.map(({ name }) => name);
const beat = async (client: TestClient, groupId: string): Promise<number> =>
  (await client.call(Heartbeat, 3, { groupId, generationId: 1, memberId: 'm' })).errorCode;

describe('access control lists over the wire', () => {
  it('narrow what a principal may do, on every API, with the error of each', async () => {
    await using kafka = await start();
    const admin = await kafka.login('admin', ['administer']);
    const ann = await kafka.login('ann', ['read', 'write']);
    const bob = await kafka.login('bob', ['read', 'write']);
    assert.equal((await produce(ann, 'payments', batchOf(['before']))).errorCode, 0);
    const group = acl({ resourceType: GROUP, resourceName: 'g', resourcePatternType: LITERAL });
    assert.deepEqual(await create(admin, acl(), group), [0, 0]);
    assert.equal(await fetchError(ann, 'payments'), 0);
    assert.equal(await fetchError(ann, 'secrets'), code('TOPIC_AUTHORIZATION_FAILED'));
    assert.equal(
      (await produce(ann, 'payments', batchOf(['x']))).errorCode,
      code('TOPIC_AUTHORIZATION_FAILED'),
    );
    assert.deepEqual(await seen(ann), ['payments']);
    assert.deepEqual((await seen(bob)).sort(), ['payments', 'secrets']);
    assert.equal(await beat(ann, 'g'), code('UNKNOWN_MEMBER_ID'));
    assert.equal(await beat(ann, 'other'), code('GROUP_AUTHORIZATION_FAILED'));
    const init = { transactionTimeoutMs: 1000 };
    const denied = await ann.call(InitProducerId, 4, { ...init, transactionalId: null });
    assert.equal(denied.errorCode, code('CLUSTER_AUTHORIZATION_FAILED'));
    const fenced = await ann.call(InitProducerId, 4, { ...init, transactionalId: 'x' });
    assert.equal(fenced.errorCode, code('TRANSACTIONAL_ID_AUTHORIZATION_FAILED'));
    assert.deepEqual((await ann.call(ListGroups, 4, { statesFilter: [], typesFilter: [] })).groups, []);
    await create(admin, acl({ operation: WRITE, resourceName: '*', resourcePatternType: LITERAL }));
    assert.equal((await produce(ann, 'secrets', batchOf(['x']))).errorCode, 0);
    await create(admin, acl({ operation: WRITE, permissionType: DENY, principal: 'User:*' }));
    assert.equal(
      (await produce(bob, 'payments', batchOf(['x']))).errorCode,
      code('TOPIC_AUTHORIZATION_FAILED'),
    );
  });

  it('are listed and deleted by filters, by those who administer', async () => {
    await using kafka = await start();
    const admin = await kafka.login('admin', ['administer']);
    const ann = await kafka.login('ann', ['read', 'write']);
    assert.deepEqual(
      await create(
        admin,
        acl(),
        acl({ principal: 'ann' }),
        acl({ resourceName: '' }),
        acl({ operation: 99 }),
        acl({ resourcePatternType: 2 }),
      ),
      [0, ...Array(4).fill(code('INVALID_REQUEST'))],
    );
    const matching = {
      ...everything,
      resourceTypeFilter: TOPIC,
      resourceNameFilter: 'payments',
      patternTypeFilter: 2,
    };
    const { resources } = await admin.call(DescribeAcls, 3, matching);
    const { resourceType, resourceName, patternType, acls } = resources[0]!;
    assert.deepEqual([resourceType, resourceName, patternType], [TOPIC, 'pay', PREFIXED]);
    assert.deepEqual(acls, [{ principal: 'User:ann', host: '*', operation: READ, permissionType: ALLOW }]);
    assert.deepEqual(await create(ann, acl()), [code('CLUSTER_AUTHORIZATION_FAILED')]);
    const refused = await ann.call(DeleteAcls, 3, { filters: [everything] });
    assert.equal(refused.filterResults[0]!.errorCode, code('CLUSTER_AUTHORIZATION_FAILED'));
    const { filterResults } = await admin.call(DeleteAcls, 3, { filters: [everything] });
    assert.deepEqual(
      filterResults[0]!.matchingAcls.map((each) => each.principal),
      ['User:ann'],
    );
    assert.deepEqual((await admin.call(DescribeAcls, 3, everything)).resources, []);
  });
});
