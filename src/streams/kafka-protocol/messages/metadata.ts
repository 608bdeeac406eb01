/** What a client asks first: versions, brokers, topics. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, int8, int16, int32, int64, string, struct, uuid } from '../codec/fields.ts';

export const ApiVersions = api(
  'ApiVersions',
  18,
  [0, 4],
  3,
  { clientSoftwareName: string.from(3), clientSoftwareVersion: string.from(3) },
  {
    errorCode: int16,
    apiKeys: array({ apiKey: int16, minVersion: int16, maxVersion: int16 }),
    throttleTimeMs: int32.from(1).or(0),
    supportedFeatures: array({ name: string, minVersion: int16, maxVersion: int16 }).from(3).tagged(0, 3),
    finalizedFeaturesEpoch: int64.from(3).or(-1).tagged(1, 3),
    finalizedFeatures: array({ name: string, maxVersionLevel: int16, minVersionLevel: int16 })
      .from(3)
      .tagged(2, 3),
    zkMigrationReady: bool.from(3).tagged(3, 3),
  },
);

export const Metadata = api(
  'Metadata',
  3,
  [0, 13],
  9,
  {
    topics: array({ topicId: uuid.from(10), name: string.nullable(10) }).nullable(1),
    allowAutoTopicCreation: bool.from(4).or(true),
    includeClusterAuthorizedOperations: bool.from(8).until(10),
    includeTopicAuthorizedOperations: bool.from(8),
  },
  {
    throttleTimeMs: int32.from(3).or(0),
    brokers: array({ nodeId: int32, host: string, port: int32, rack: string.from(1).nullable().or(null) }),
    clusterId: string.from(2).nullable().or(null),
    controllerId: int32.from(1).or(-1),
    topics: array({
      errorCode: int16,
      name: string.nullable(12),
      topicId: uuid.from(10),
      isInternal: bool.from(1),
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: int32.from(7).or(-1),
        replicaNodes: array(int32),
        isrNodes: array(int32),
        offlineReplicas: array(int32).from(5),
      }),
      topicAuthorizedOperations: int32.from(8).or(-2147483648),
    }),
    clusterAuthorizedOperations: int32.from(8).until(10).or(-2147483648),
    errorCode: int16.from(13),
  },
);

export const DescribeCluster = api(
  'DescribeCluster',
  60,
  [0, 2],
  0,
  {
    includeClusterAuthorizedOperations: bool,
    endpointType: int8.from(1).or(1),
    includeFencedBrokers: bool.from(2),
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    errorMessage: string.nullable().or(null),
    endpointType: int8.from(1).or(1),
    clusterId: string,
    controllerId: int32.or(-1),
    brokers: array({
      brokerId: int32,
      host: string,
      port: int32,
      rack: string.nullable().or(null),
      isFenced: bool.from(2),
    }),
    clusterAuthorizedOperations: int32.or(-2147483648),
  },
);

export const DescribeTopicPartitions = api(
  'DescribeTopicPartitions',
  75,
  [0, 0],
  0,
  {
    topics: array({ name: string }),
    responsePartitionLimit: int32.or(2000),
    cursor: struct({ topicName: string, partitionIndex: int32 }).nullable().or(null),
  },
  {
    throttleTimeMs: int32.or(0),
    topics: array({
      errorCode: int16,
      name: string.nullable(),
      topicId: uuid,
      isInternal: bool,
      partitions: array({
        errorCode: int16,
        partitionIndex: int32,
        leaderId: int32,
        leaderEpoch: int32.or(-1),
        replicaNodes: array(int32),
        isrNodes: array(int32),
        eligibleLeaderReplicas: array(int32).nullable().or(null),
        lastKnownElr: array(int32).nullable().or(null),
        offlineReplicas: array(int32),
      }),
      topicAuthorizedOperations: int32.or(-2147483648),
    }),
    nextCursor: struct({ topicName: string, partitionIndex: int32 }).nullable().or(null),
  },
);
