import { createHash } from 'node:crypto';
import type { Json, StateStore } from '../kernel/index.ts';

/**
 * Access control lists as Apache Kafka has them (KIP-11, KIP-290): who may do what with which resources, from where.
 *
 * A1 Deny wins over allow; what no list allows is denied, for principals that any list names.
 * A2 A principal that no list names is judged by its token's scopes alone.
 * A3 Read, write, delete and alter include describe; alterConfigs includes describeConfigs.
 */
export const ACL_OPERATIONS = [
  ...(['all', 'read', 'write', 'create', 'delete', 'alter', 'describe', 'clusterAction'] as const),
  ...(['describeConfigs', 'alterConfigs', 'idempotentWrite'] as const),
] as const;

export type AclResource = 'topic' | 'group' | 'cluster' | 'transactionalId';
export type AclOperation = (typeof ACL_OPERATIONS)[number];

export interface AclBinding {
  readonly resource: AclResource;
  readonly name: string;
  /** `literal` names one resource, or all as `*`; `prefixed` all whose names begin so. */
  readonly pattern: 'literal' | 'prefixed';
  /** `User:name`; `User:*` is everybody. */
  readonly principal: string;
  /** An address; `*` is everywhere. */
  readonly host: string;
  readonly operation: AclOperation;
  readonly permission: 'allow' | 'deny';
}

/** What is left out matches everything. */
export interface AclFilter extends Partial<Omit<AclBinding, 'pattern'>> {
  /** `match`: all that apply to the resource of that name, wildcards and prefixes among them. */
  readonly pattern?: AclBinding['pattern'] | 'match';
}

export interface AclQuestion {
  readonly principal: string;
  readonly host: string;
  readonly resource: AclResource;
  readonly name: string;
  readonly operation: AclOperation;
}

export interface Acls {
  /** Reads what is stored; before that nobody may ask. */
  start(): Promise<void>;
  list(filter?: AclFilter): readonly AclBinding[];
  /** Durable when it resolves, and in force at once. What is there already stays as it is. */
  create(bindings: readonly AclBinding[]): Promise<void>;
  /** Resolves to what was removed. */
  remove(filter: AclFilter): Promise<readonly AclBinding[]>;
  /** undefined where no list names the principal (A2). */
  decide(question: AclQuestion): 'allow' | 'deny' | undefined;
  /** Whether a list says so in as many words; that none allows it does not count. */
  denies(question: AclQuestion): boolean;
}

const TABLE = 'govern.acls';
const EVERYBODY = 'User:*';
const PAGE = 10_000;

const INCLUDED_IN: { readonly [operation in AclOperation]?: readonly AclOperation[] } = {
  describe: ['read', 'write', 'delete', 'alter'],
  describeConfigs: ['alterConfigs'],
};

/** Bindings in the state store, all of them in memory as well: every request asks. */
export function createAcls({ state }: { readonly state: StateStore }): Acls {
  const bindings = new Map<string, AclBinding>();
  const list = (filter: AclFilter = {}): AclBinding[] =>
    [...bindings.values()].filter((binding) => matches(binding, filter));
  return {
    async start() {
      let after: string | undefined;
      for (;;) {
        const page = await state.list(TABLE, { limit: PAGE, ...(after === undefined ? {} : { after }) });
        for (const { key, value } of page) bindings.set(key, value as unknown as AclBinding);
        if (page.length < PAGE) return;
        after = page.at(-1)!.key;
      }
    },
    list,
    async create(added) {
      const fresh = added.map(plain).filter((binding) => !bindings.has(keyOf(binding)));
      if (fresh.length === 0) return;
      const unique = new Map(fresh.map((binding) => [keyOf(binding), binding]));
      await state.transact(
        [...unique].map(([key, value]) => ({
          kind: 'put',
          table: TABLE,
          key,
          value: value as unknown as Json,
        })),
      );
      for (const [key, binding] of unique) bindings.set(key, binding);
    },
    async remove(filter) {
      const gone = list(filter);
      if (gone.length === 0) return gone;
      await state.transact(gone.map((binding) => ({ kind: 'delete', table: TABLE, key: keyOf(binding) })));
      for (const binding of gone) bindings.delete(keyOf(binding));
      return gone;
    },
    denies: (question) =>
      bindings
        .values()
        .some(
          (binding) =>
            binding.permission === 'deny' &&
            (binding.principal === question.principal || binding.principal === EVERYBODY) &&
            applies(binding, question),
        ),
    decide(question) {
      let named = false;
      let allowed = false;
      for (const binding of bindings.values()) {
        if (binding.principal !== question.principal && binding.principal !== EVERYBODY) continue;
        named = true;
        if (!applies(binding, question)) continue;
        if (binding.permission === 'deny') return 'deny';
        allowed = true;
      }
      if (!named) return undefined;
      return allowed ? 'allow' : 'deny';
    },
  };
}

function applies(binding: AclBinding, { host, resource, name, operation }: AclQuestion): boolean {
  if (binding.resource !== resource || !covers(binding, name)) return false;
  if (binding.host !== '*' && binding.host !== host) return false;
  if (binding.operation === 'all' || binding.operation === operation) return true;
  // To deny reading does not deny describing; to allow it includes that.
  return binding.permission === 'allow' && (INCLUDED_IN[operation]?.includes(binding.operation) ?? false);
}

function covers({ pattern, name }: Pick<AclBinding, 'pattern' | 'name'>, resourceName: string): boolean {
  if (pattern === 'prefixed') return resourceName.startsWith(name);
  return name === '*' || name === resourceName;
}

function matches(binding: AclBinding, filter: AclFilter): boolean {
  const { pattern, name, ...rest } = filter;
  for (const [field, wanted] of Object.entries(rest)) {
    if (wanted !== undefined && binding[field as keyof AclBinding] !== wanted) return false;
  }
  if (pattern === 'match') return name === undefined || covers(binding, name);
  if (pattern !== undefined && binding.pattern !== pattern) return false;
  return name === undefined || binding.name === name;
}

/** One order of the fields, whoever made it. */
function plain({ resource, name, pattern, principal, host, operation, permission }: AclBinding): AclBinding {
  return { resource, name, pattern, principal, host, operation, permission };
}

function keyOf(binding: AclBinding): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.values(plain(binding))))
    .digest('hex');
}
