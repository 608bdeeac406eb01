import { aclHandlers } from '../acls/handlers.ts';
import { groupHandlers } from '../groups/index.ts';
import type { Broker, Handler } from '../handler.ts';
import { transactionHandlers } from '../transactions/index.ts';
import { alterClientQuotasHandler } from './alter-client-quotas.ts';
import { alterConfigsHandler } from './alter-configs.ts';
import { alterUserScramCredentialsHandler } from './alter-user-scram-credentials.ts';
import { createPartitionsHandler } from './create-partitions.ts';
import { createTopicsHandler } from './create-topics.ts';
import { deleteRecordsHandler } from './delete-records.ts';
import { deleteTopicsHandler } from './delete-topics.ts';
import { describeClientQuotasHandler } from './describe-client-quotas.ts';
import { describeClusterHandler } from './describe-cluster.ts';
import { describeConfigsHandler } from './describe-configs.ts';
import { describeLogDirsHandler } from './describe-log-dirs.ts';
import { describeTopicPartitionsHandler } from './describe-topic-partitions.ts';
import { describeUserScramCredentialsHandler } from './describe-user-scram-credentials.ts';
import { electLeadersHandler } from './elect-leaders.ts';
import { fetchHandler } from './fetch.ts';
import { incrementalAlterConfigsHandler } from './incremental-alter-configs.ts';
import { listConfigResourcesHandler } from './list-config-resources.ts';
import { listOffsetsHandler } from './list-offsets.ts';
import { listPartitionReassignmentsHandler } from './list-partition-reassignments.ts';
import { metadataHandler } from './metadata.ts';
import { offsetForLeaderEpochHandler } from './offset-for-leader-epoch.ts';
import { produceHandler } from './produce.ts';
import { saslAuthenticateHandler } from './sasl-authenticate.ts';
import { saslHandshakeHandler } from './sasl-handshake.ts';

/** Every API that the door serves; one file each. ApiVersions is the registry's own. */
export function createHandlers(broker: Broker): readonly Handler[] {
  return [
    produceHandler(broker),
    fetchHandler(broker),
    listOffsetsHandler(broker),
    offsetForLeaderEpochHandler(broker),
    metadataHandler(broker),
    describeClusterHandler(broker),
    describeTopicPartitionsHandler(broker),
    createTopicsHandler(broker),
    deleteTopicsHandler(broker),
    createPartitionsHandler(broker),
    deleteRecordsHandler(broker),
    describeLogDirsHandler(broker),
    electLeadersHandler(broker),
    listPartitionReassignmentsHandler(),
    describeConfigsHandler(broker),
    alterConfigsHandler(broker),
    incrementalAlterConfigsHandler(broker),
    listConfigResourcesHandler(broker),
    saslHandshakeHandler(),
    saslAuthenticateHandler(),
    describeUserScramCredentialsHandler(broker),
    alterUserScramCredentialsHandler(broker),
    describeClientQuotasHandler(broker),
    alterClientQuotasHandler(broker),
    ...groupHandlers(broker),
    ...aclHandlers(broker.acls),
    ...transactionHandlers(broker),
  ];
}
