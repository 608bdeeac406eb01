import type { Clock, Timer } from '../../../kernel/index.ts';
import type { KafkaErrorName } from '../errors.ts';
import {
  type ClassicJoin,
  type ClassicProtocol,
  type JoinResult,
  joinRefused,
  NO_BYTES,
  type SyncResult,
  syncRefused,
} from './classic-types.ts';

/** One member of a group of the classic protocol. */
export class ClassicMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  clientId = '';
  clientHost = '';
  sessionTimeoutMs = 0;
  rebalanceTimeoutMs = 0;
  protocols: readonly ClassicProtocol[] = [];
  assignment: Uint8Array = NO_BYTES;
  /** Has not been given an answer to its first join yet. */
  isNew = true;
  #joining: ((result: JoinResult) => void) | undefined;
  #syncing: ((result: SyncResult) => void) | undefined;
  #session: Timer | undefined;

  constructor(memberId: string, join: ClassicJoin) {
    this.memberId = memberId;
    this.instanceId = join.instanceId;
    this.update(join);
  }

  /** Takes over what the join says; copies, because the request's bytes are a view. */
  update(join: ClassicJoin): void {
    this.clientId = join.clientId;
    this.clientHost = join.clientHost;
    this.sessionTimeoutMs = join.sessionTimeoutMs;
    this.rebalanceTimeoutMs = join.rebalanceTimeoutMs;
    this.protocols = join.protocols.map(({ name, metadata }) => ({ name, metadata: metadata.slice() }));
  }

  get joining(): boolean {
    return this.#joining !== undefined;
  }

  get awaited(): boolean {
    return this.#joining !== undefined || this.#syncing !== undefined;
  }

  /** A request that was sent again replaces the one before, which must not wait for ever. */
  awaitJoin(): Promise<JoinResult> {
    this.answerJoin(joinRefused('REBALANCE_IN_PROGRESS', this.memberId));
    const { promise, resolve } = Promise.withResolvers<JoinResult>();
    this.#joining = resolve;
    return promise;
  }

  awaitSync(): Promise<SyncResult> {
    this.answerSync(syncRefused('REBALANCE_IN_PROGRESS'));
    const { promise, resolve } = Promise.withResolvers<SyncResult>();
    this.#syncing = resolve;
    return promise;
  }

  answerJoin(result: JoinResult): void {
    const answer = this.#joining;
    this.#joining = undefined;
    answer?.(result);
  }

  answerSync(result: SyncResult): void {
    const answer = this.#syncing;
    this.#syncing = undefined;
    answer?.(result);
  }

  /** The member is heard of: its session begins anew. */
  touch(clock: Clock, onExpired: () => void, forMs = this.sessionTimeoutMs): void {
    this.#session?.cancel();
    this.#session = clock.after(forMs, onExpired);
  }

  end(error: KafkaErrorName): void {
    this.#session?.cancel();
    this.answerJoin(joinRefused(error, this.memberId));
    this.answerSync(syncRefused(error));
  }

  metadata(protocolName: string | null): Uint8Array {
    return this.protocols.find(({ name }) => name === protocolName)?.metadata ?? NO_BYTES;
  }

  /** Whether it says again just what it said before. */
  saysSame(protocols: readonly ClassicProtocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every(({ name, metadata }, index) => {
        const own = this.protocols[index]!;
        return own.name === name && Buffer.compare(own.metadata, metadata) === 0;
      })
    );
  }
}

/** The protocol that all members support and most like best; each votes for the first on its list that all support. */
export function electProtocol(members: readonly Pick<ClassicMember, 'protocols'>[]): string | null {
  const common = commonProtocols(members);
  const votes = new Map<string, number>();
  for (const { protocols } of members) {
    const choice = protocols.find(({ name }) => common.has(name))?.name;
    if (choice !== undefined) votes.set(choice, (votes.get(choice) ?? 0) + 1);
  }
  let elected: string | null = null;
  for (const [name, count] of votes) if (elected === null || count > votes.get(elected)!) elected = name;
  return elected;
}

export function commonProtocols(members: readonly Pick<ClassicMember, 'protocols'>[]): ReadonlySet<string> {
  const [first, ...others] = members;
  const names = first?.protocols.map(({ name }) => name) ?? [];
  return new Set(
    names.filter((name) => others.every(({ protocols }) => protocols.some((one) => one.name === name))),
  );
}
