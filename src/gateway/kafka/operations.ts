import type { RequestContext } from './handler.ts';

/** Bits of `authorizedOperations` (AclOperation of Apache Kafka, by code). */
const OPERATIONS = {
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
} as const;

type Operation = keyof typeof OPERATIONS;

const bitsOf = (operations: readonly Operation[]): number =>
  operations.reduce((bits, operation) => bits | (1 << OPERATIONS[operation]), 0);

const TOPIC = {
  read: bitsOf(['read', 'describe', 'describeConfigs']),
  write: bitsOf(['write', 'describe']),
  administer: bitsOf(['create', 'delete', 'alter', 'describe', 'describeConfigs', 'alterConfigs']),
} as const;
const CLUSTER = {
  read: bitsOf(['describe', 'describeConfigs']),
  write: bitsOf(['idempotentWrite']),
  administer: bitsOf(['create', 'alter', 'clusterAction', 'describe', 'describeConfigs', 'alterConfigs']),
} as const;

function permitted(
  bits: { readonly read: number; readonly write: number; readonly administer: number },
  resource: string,
  { permits }: RequestContext,
): number {
  return (['read', 'write', 'administer'] as const).reduce(
    (sum, action) => (permits(action, resource) ? sum | bits[action] : sum),
    0,
  );
}

/** What the principal may do with a topic. */
export const topicOperations = (name: string, context: RequestContext): number =>
  permitted(TOPIC, `stream/${name}`, context);

export const clusterOperations = (context: RequestContext): number =>
  permitted(CLUSTER, 'platform/kafka', context);
