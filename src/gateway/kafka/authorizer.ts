import type { AclOperation, AclResource, Acls } from '../../govern/index.ts';
import { type Guard, type GuardAction, MillraceError, type Principal } from '../../kernel/index.ts';

/** What one request may do, and where it came from. */
export interface Permission {
  readonly principal: Principal;
  /** Address of the peer, without its port. */
  readonly host: string;
  /** Name of the API. */
  readonly api: string;
  readonly action: GuardAction;
  /** `stream/…`, `group/…`, `transaction/…` or `platform/…`. */
  readonly resource: string;
}

export type Authorizer = (permission: Permission) => boolean;

type Operations = AclOperation | { readonly [action in GuardAction]?: AclOperation };

/** The operation that an action stands for where the API says nothing of its own. */
const BY_ACTION: { readonly [action in GuardAction]: AclOperation } = {
  read: 'read',
  write: 'write',
  invoke: 'read',
  deploy: 'alter',
  administer: 'alter',
};

/** What each API needs of each kind of resource (Apache Kafka, "Authorization and ACLs", "Protocols in Kafka"). */
const BY_API: { readonly [api: string]: { readonly [resource in AclResource]?: Operations } } = {
  Metadata: { topic: { read: 'describe', write: 'create', administer: 'alter' } },
  DescribeTopicPartitions: { topic: 'describe' },
  ListOffsets: { topic: 'describe' },
  OffsetForLeaderEpoch: { topic: 'describe' },
  CreateTopics: { topic: 'create', cluster: 'create' },
  DeleteTopics: { topic: 'delete' },
  DeleteRecords: { topic: 'delete' },
  CreatePartitions: { topic: 'alter' },
  DescribeConfigs: { topic: 'describeConfigs', cluster: 'describeConfigs' },
  ListConfigResources: { topic: 'describeConfigs', cluster: 'describeConfigs' },
  AlterConfigs: { topic: 'alterConfigs', cluster: 'alterConfigs' },
  IncrementalAlterConfigs: { topic: 'alterConfigs', cluster: 'alterConfigs' },
  DescribeCluster: { cluster: 'describe' },
  DescribeLogDirs: { cluster: 'describe' },
  ListPartitionReassignments: { cluster: 'describe' },
  DescribeAcls: { cluster: 'describe' },
  DescribeClientQuotas: { cluster: 'describeConfigs' },
  AlterClientQuotas: { cluster: 'alterConfigs' },
  DescribeUserScramCredentials: { cluster: 'describe' },
  FindCoordinator: { group: 'describe', transactionalId: 'describe' },
  OffsetFetch: { group: 'describe', topic: 'describe' },
  ListGroups: { group: 'describe' },
  DescribeGroups: { group: { read: 'describe', administer: 'delete' } },
  ConsumerGroupDescribe: { group: { read: 'describe', administer: 'delete' } },
  ConsumerGroupHeartbeat: { topic: 'describe' },
  DeleteGroups: { group: 'delete' },
  OffsetDelete: { group: 'delete' },
  DescribeTransactions: { transactionalId: 'describe', topic: 'describe' },
  ListTransactions: { transactionalId: 'describe' },
  InitProducerId: { cluster: 'idempotentWrite' },
};

/**
 * The one place where a Kafka client's permissions are decided. Programs on loopback that nobody asked to authenticate may
 * do everything but what a list denies them, and tokens that administer everything; everybody else needs the token's scope and, where a list names them,
 * what the lists allow.
 */
export function createAuthorizer(guard: Guard, acls: Acls | undefined): Authorizer {
  const hasScope = (principal: Principal, action: GuardAction, resource: string): boolean => {
    try {
      guard.permit(principal, action, resource);
      return true;
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'FORBIDDEN') return false;
      throw error;
    }
  };
  return ({ principal, host, api, action, resource }) => {
    if (!hasScope(principal, action, resource)) return false;
    const isLocal = principal.kind === 'local';
    if (!acls || (!isLocal && hasScope(principal, 'administer', resource))) return true;
    const asked = resourceOf(resource);
    const operations = BY_API[api]?.[asked.resource];
    const operation =
      (typeof operations === 'string' ? operations : operations?.[action]) ?? BY_ACTION[action];
    const question = { principal: principalName(principal), host, ...asked, operation };
    // Whoever may change the lists must be able to take a denial back.
    if (isLocal) return asked.resource === 'cluster' || !acls.denies(question);
    const decision = acls.decide(question);
    return decision !== 'deny';
  };
}

/** As lists name it. */
export const principalName = ({ name, id, kind }: Principal): string =>
  kind === 'local' ? 'User:ANONYMOUS' : `User:${name ?? id}`;

const RESOURCES: { readonly [kind: string]: AclResource } = {
  stream: 'topic',
  group: 'group',
  transaction: 'transactionalId',
};

/** The name by which Kafka knows the one cluster there is. */
export const CLUSTER_NAME = 'kafka-cluster';

function resourceOf(resource: string): { resource: AclResource; name: string } {
  const at = resource.indexOf('/');
  const kind = RESOURCES[resource.slice(0, at)];
  return kind
    ? { resource: kind, name: resource.slice(at + 1) }
    : { resource: 'cluster', name: CLUSTER_NAME };
}
