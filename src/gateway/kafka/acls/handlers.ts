import {
  ACL_OPERATIONS,
  type AclBinding,
  type AclFilter,
  type AclOperation,
  type AclResource,
  type Acls,
} from '../../../govern/index.ts';
import {
  CreateAcls,
  DeleteAcls,
  DescribeAcls,
  type RequestOf,
} from '../../../streams/kafka-protocol/index.ts';
import { CLUSTER_NAME } from '../authorizer.ts';
import { KAFKA_ERRORS, KafkaError } from '../errors.ts';
import type { Handler, RequestContext } from '../handler.ts';

/** Codes of the protocol (ResourceType, PatternType, AclOperation, AclPermissionType of Apache Kafka); 1 is any. */
const ANY = 1;
const RESOURCES: readonly (readonly [number, AclResource])[] = [
  [2, 'topic'],
  [3, 'group'],
  [4, 'cluster'],
  [5, 'transactionalId'],
];
const PATTERNS = [
  [2, 'match'],
  [3, 'literal'],
  [4, 'prefixed'],
] as const;
const PERMISSIONS = [
  [2, 'deny'],
  [3, 'allow'],
] as const;
/** `all` is 2, the others follow in their order. */
const OPERATIONS = ACL_OPERATIONS.map((operation, index): [number, AclOperation] => [index + 2, operation]);

type Creation = RequestOf<typeof CreateAcls>['creations'][number];
type Filter = RequestOf<typeof DescribeAcls>;

function decode<Value>(pairs: readonly (readonly [number, Value])[], code: number, what: string): Value {
  const pair = pairs.find(([each]) => each === code);
  if (pair) return pair[1];
  throw new KafkaError('INVALID_REQUEST', `${what} ${code} is not known.`);
}

function encode<Value>(pairs: readonly (readonly [number, Value])[], value: Value): number {
  return pairs.find(([, each]) => each === value)![0];
}

function bindingOf(creation: Creation): AclBinding {
  const resource = decode(RESOURCES, creation.resourceType, 'Resource type');
  const pattern = decode(PATTERNS, creation.resourcePatternType, 'Pattern type');
  const { resourceName: name, principal, host } = creation;
  const refuse = (message: string): never => {
    throw new KafkaError('INVALID_REQUEST', message);
  };
  if (pattern === 'match') return refuse('A pattern of the type MATCH is for filters alone.');
  if (name === '') refuse('The resource needs a name.');
  if (resource === 'cluster' && name !== CLUSTER_NAME) refuse(`The one cluster is named ${CLUSTER_NAME}.`);
  if (!/^User:.+/s.test(principal))
    refuse(`The principal ${JSON.stringify(principal)} is not of the form User:name.`);
  if (host === '') refuse('The host is empty; * stands for all.');
  return {
    ...{ resource, name, pattern, principal, host },
    operation: decode(OPERATIONS, creation.operation, 'Operation'),
    permission: decode(PERMISSIONS, creation.permissionType, 'Permission type'),
  };
}

function filterOf(filter: Filter): AclFilter {
  const { resourceTypeFilter, patternTypeFilter, operation, permissionType } = filter;
  const { resourceNameFilter, principalFilter, hostFilter } = filter;
  return {
    ...(resourceTypeFilter === ANY
      ? {}
      : { resource: decode(RESOURCES, resourceTypeFilter, 'Resource type') }),
    ...(patternTypeFilter === ANY ? {} : { pattern: decode(PATTERNS, patternTypeFilter, 'Pattern type') }),
    ...(operation === ANY ? {} : { operation: decode(OPERATIONS, operation, 'Operation') }),
    ...(permissionType === ANY ? {} : { permission: decode(PERMISSIONS, permissionType, 'Permission type') }),
    ...(resourceNameFilter === null ? {} : { name: resourceNameFilter }),
    ...(principalFilter === null ? {} : { principal: principalFilter }),
    ...(hostFilter === null ? {} : { host: hostFilter }),
  };
}

const entryOf = ({ principal, host, operation, permission }: AclBinding) => ({
  ...{ principal, host },
  operation: encode(OPERATIONS, operation),
  permissionType: encode(PERMISSIONS, permission),
});

const resourceOf = ({ resource, name, pattern }: AclBinding) => ({
  resourceType: encode(RESOURCES, resource),
  resourceName: name,
  patternType: encode<string>(PATTERNS, pattern),
});

const mayAlter = ({ permits }: RequestContext): boolean => permits('administer', 'platform/kafka');
/** Its place is with each list and each filter: the answers have none for the request as a whole. */
const DENIED = {
  errorCode: KAFKA_ERRORS.CLUSTER_AUTHORIZATION_FAILED,
  errorMessage: 'Only who may alter the cluster may change access control lists.',
};

export function createAclsHandler(acls: Acls): Handler<typeof CreateAcls> {
  return {
    api: CreateAcls,
    async handle({ creations }, context) {
      if (!mayAlter(context)) return { results: creations.map(() => DENIED) };
      const bindings: AclBinding[] = [];
      const results = creations.map((creation) => {
        try {
          bindings.push(bindingOf(creation));
          return { errorCode: 0, errorMessage: null };
        } catch (error) {
          return refusal(error);
        }
      });
      await acls.create(bindings);
      return { results };
    },
  };
}

export function describeAclsHandler(acls: Acls): Handler<typeof DescribeAcls> {
  return {
    api: DescribeAcls,
    handle(request, context) {
      if (!context.permits('read', 'platform/kafka')) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
      const byResource = new Map<string, AclBinding[]>();
      for (const binding of acls.list(filterOf(request))) {
        const key = JSON.stringify(resourceOf(binding));
        byResource.set(key, [...(byResource.get(key) ?? []), binding]);
      }
      const resources = [...byResource.values()].map((bindings) => ({
        ...resourceOf(bindings[0]!),
        acls: bindings.map(entryOf),
      }));
      return { errorCode: 0, errorMessage: null, resources };
    },
  };
}

export function deleteAclsHandler(acls: Acls): Handler<typeof DeleteAcls> {
  const remove = async (filter: Filter) => {
    try {
      const removed = await acls.remove(filterOf(filter));
      const matchingAcls = removed.map((binding) => ({
        ...{ errorCode: 0, errorMessage: null, ...resourceOf(binding), ...entryOf(binding) },
      }));
      return { errorCode: 0, errorMessage: null, matchingAcls };
    } catch (error) {
      return { ...refusal(error), matchingAcls: [] };
    }
  };

  return {
    api: DeleteAcls,
    async handle({ filters }, context) {
      if (!mayAlter(context)) return { filterResults: filters.map(() => ({ ...DENIED, matchingAcls: [] })) };
      const filterResults = [];
      for (const filter of filters) filterResults.push(await remove(filter));
      return { filterResults };
    },
  };
}

function refusal(error: unknown): { errorCode: number; errorMessage: string } {
  if (!(error instanceof KafkaError)) throw error;
  return { errorCode: KAFKA_ERRORS[error.kafkaName], errorMessage: error.message };
}

/** Access control lists, over one store of them. */
export function aclHandlers(acls: Acls): readonly Handler[] {
  return [createAclsHandler(acls), describeAclsHandler(acls), deleteAclsHandler(acls)];
}
