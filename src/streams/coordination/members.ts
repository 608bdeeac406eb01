import type { Clock, Timer } from '../../kernel/index.ts';
import type { Assignment, GroupHolder, GroupInfo, JoinOptions, Membership, TopicPartition } from '../port.ts';
import { assignPartitions } from './assignor.ts';

/** A share of a group's partitions, held until a rebalance gives its member another. */
export interface Share {
  readonly group: string;
  readonly memberId: string;
  readonly epoch: number;
  readonly partitions: readonly TopicPartition[];
  readonly revoked: AbortSignal;
}

interface Member {
  readonly memberId: string;
  readonly order: number;
  readonly instanceId: string | undefined;
  readonly sessionTimeoutMs: number;
  topics: readonly string[];
  share: Share | undefined;
  revoke: AbortController;
  /** Left, but comes back under its instance id before this fires. */
  away: Timer | undefined;
  gone: boolean;
  readonly wake: Set<() => void>;
  assignment: Assignment | undefined;
  readonly present: (share: Share) => Assignment;
}

const DEFAULT_SESSION_MS = 45_000;

/**
 * The members of one group that live in this process. Rebalances take effect at once: whoever held a partition before
 * is fenced by its epoch, so nobody has to be waited for.
 *
 * M1 The epoch grows with every rebalance.
 * M2 A member whose partitions a rebalance leaves alone keeps its assignment; any other gets a new one, and the old one
 *    is revoked and fenced.
 * M3 A member with an instance id that left keeps its partitions until its session is over; whoever joins under that
 *    id gets them, and an earlier holder of the id is fenced.
 */
export class GroupMembers implements GroupHolder {
  readonly kind = 'platform';
  readonly #group: string;
  readonly #clock: Clock;
  readonly #partitionsOf: (topic: string) => number;
  readonly #members = new Map<string, Member>();
  #epoch: number;
  #joined = 0;

  constructor(group: string, epoch: number, clock: Clock, partitionsOf: (topic: string) => number) {
    this.#group = group;
    this.#epoch = epoch;
    this.#clock = clock;
    this.#partitionsOf = partitionsOf;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get size(): number {
    return this.#members.size;
  }

  /** `present` makes what the member's owner sees of a share. */
  join(
    memberId: string,
    topics: readonly string[],
    options: JoinOptions,
    present: (share: Share) => Assignment,
  ): Membership {
    const before = options.instanceId === undefined ? undefined : this.#findInstance(options.instanceId);
    const member: Member = {
      memberId,
      order: before?.order ?? this.#joined++,
      instanceId: options.instanceId,
      sessionTimeoutMs: options.sessionTimeoutMs ?? DEFAULT_SESSION_MS,
      topics: [...new Set(topics)],
      share: undefined,
      revoke: new AbortController(),
      away: undefined,
      gone: false,
      wake: new Set(),
      assignment: undefined,
      present,
    };
    const inherited = before?.share?.partitions ?? [];
    if (before) this.#drop(before);
    this.#members.set(memberId, member);
    this.#rebalance(new Map([[memberId, inherited]]));
    return this.#membershipOf(member);
  }

  /** Whether this share is still its member's (M2). */
  holds(share: Share): boolean {
    return this.#members.get(share.memberId)?.share === share;
  }

  /** Topics were made, deleted, or got more partitions. */
  topicsChanged(): void {
    if (this.#members.size > 0) this.#rebalance(new Map());
  }

  info(): GroupInfo['members'] {
    return this.#inOrder().map(({ memberId, instanceId, share }) => ({
      memberId,
      ...(instanceId === undefined ? {} : { instanceId }),
      partitions: share?.partitions ?? [],
    }));
  }

  /** Ends every membership: the store stops. */
  close(): void {
    for (const member of [...this.#members.values()]) this.#drop(member);
  }

  #membershipOf(member: Member): Membership {
    const { memberId } = member;
    const group = this.#group;
    return {
      group,
      memberId,
      get assignment() {
        return member.assignment;
      },
      assignments: () => assignmentsOf(member),
      leave: async () => this.#leave(member),
    };
  }

  #leave(member: Member): void {
    if (member.gone) return;
    if (member.instanceId === undefined) {
      this.#drop(member);
      this.#rebalance(new Map());
      return;
    }
    this.#end(member);
    member.away = this.#clock.after(member.sessionTimeoutMs, () => {
      this.#members.delete(member.memberId);
      this.#rebalance(new Map());
    });
  }

  /** Takes a member out; its partitions go with the next rebalance. */
  #drop(member: Member): void {
    member.away?.cancel();
    this.#members.delete(member.memberId);
    this.#end(member);
  }

  /** Its owner sees the end of it; the share stays booked for a static member that comes back. */
  #end(member: Member): void {
    member.gone = true;
    member.assignment = undefined;
    if (member.share) member.share = { ...member.share };
    member.revoke.abort();
    for (const wake of member.wake) wake();
  }

  #rebalance(inherited: ReadonlyMap<string, readonly TopicPartition[]>): void {
    this.#epoch++;
    const members = this.#inOrder();
    const shares = assignPartitions(
      members.map((member) => ({
        memberId: member.memberId,
        topics: member.topics,
        partitions: inherited.get(member.memberId) ?? member.share?.partitions ?? [],
      })),
      this.#partitionsOf,
    );
    // Everyone is fenced before anyone hears of it: a listener must not see half of a rebalance.
    const replaced = members.flatMap((member) => this.#give(member, shares.get(member.memberId)!));
    for (const controller of replaced) controller.abort();
    for (const member of members) for (const wake of member.wake) wake();
  }

  /** Answers with what revokes the share before, if there is a new one (M2). */
  #give(member: Member, partitions: readonly TopicPartition[]): AbortController[] {
    if (member.share && samePartitions(member.share.partitions, partitions)) return [];
    const before = member.revoke;
    member.revoke = new AbortController();
    const { memberId } = member;
    const revoked = member.revoke.signal;
    member.share = { group: this.#group, memberId, epoch: this.#epoch, partitions, revoked };
    if (!member.gone) member.assignment = member.present(member.share);
    return [before];
  }

  #inOrder(): Member[] {
    return [...this.#members.values()].sort((a, b) => a.order - b.order);
  }

  #findInstance(instanceId: string): Member | undefined {
    return this.#members.values().find((member) => member.instanceId === instanceId);
  }
}

function samePartitions(a: readonly TopicPartition[], b: readonly TopicPartition[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((one, index) => one.topic === b[index]!.topic && one.partition === b[index]!.partition);
}

/** The current assignment, then each that replaces it; those replaced before they were taken are left out. */
async function* assignmentsOf(member: Member): AsyncGenerator<Assignment, void, undefined> {
  let taken: Assignment | undefined;
  while (!member.gone) {
    const current = member.assignment;
    if (current && current !== taken) {
      taken = current;
      yield current;
      continue;
    }
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        member.wake.delete(wake);
        resolve();
      };
      member.wake.add(wake);
    });
  }
}
