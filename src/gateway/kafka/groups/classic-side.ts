import type { TopicPartition } from '../../../streams/index.ts';
import { readOwned, readSubscription, writeAssignment } from '../../../streams/kafka-protocol/index.ts';
import type { KafkaErrorName } from '../errors.ts';
import { commonProtocols, electProtocol } from './classic-members.ts';
import {
  type ClassicDoor,
  type ClassicIdentity,
  type ClassicJoin,
  type ClassicProtocol,
  type ClassicSync,
  CONSUMER_PROTOCOL,
  type JoinResult,
  joinRefused,
  type MovingMember,
  type SyncResult,
  syncRefused,
} from './classic-types.ts';
import type { ConsumerMember, MemberProfile } from './consumer-member.ts';

/** What a group of the newer protocol lets its classic side do. */
export interface ConsumerInside {
  makeId(): string;
  readonly isFull: boolean;
  members(): Iterable<ConsumerMember>;
  find(memberId: string): ConsumerMember | undefined;
  holderOf(instanceId: string): string | undefined;
  /** Takes the member in, or what it says now; resolves once it is assigned. */
  enter(memberId: string, profile: MemberProfile): Promise<ConsumerMember>;
  /** Brings the member nearer to its target; `owned` is what it holds. */
  advance(member: ConsumerMember, owned: readonly TopicPartition[]): void;
  touch(member: ConsumerMember): void;
  /** Whether it has to join again to get on. */
  lags(member: ConsumerMember): boolean;
  /** Told so, it is out unless it does within its rebalance timeout. */
  expectRejoin(member: ConsumerMember): void;
  placesOf(member: ConsumerMember): readonly TopicPartition[];
}

/**
 * Members of the classic protocol in a group of the newer one, while its members are upgraded one after the other (KIP-848,
 * "Upgrading to the New Protocol"). The platform assigns to all. To a classic member the steps of its way to its target look like
 * rebalances: its generation is its epoch, it is told by heartbeat to join again, says in joining what it holds, and gets in
 * syncing what it has by then. There is no leader.
 */
export class ClassicSide implements ClassicDoor {
  readonly #group: ConsumerInside;

  constructor(group: ConsumerInside) {
    this.#group = group;
  }

  async join(request: ClassicJoin): Promise<JoinResult> {
    const { instanceId, clientId, clientHost, protocols, sessionTimeoutMs, rebalanceTimeoutMs } = request;
    const protocolName = this.#protocolFor(request);
    if (protocolName === null) return joinRefused('INCONSISTENT_GROUP_PROTOCOL', request.memberId);
    const problem = this.#joinProblem(request);
    if (problem) return joinRefused(problem, request.memberId);
    const memberId = request.memberId || `${instanceId ?? clientId}-${this.#group.makeId()}`;
    if (request.memberId === '' && request.requiresMemberId)
      return joinRefused('MEMBER_ID_REQUIRED', memberId);
    const { metadata } = protocols.find(({ name }) => name === protocolName)!;
    const classic = { sessionTimeoutMs, protocols: copyOf(protocols) };
    const owned = readOwned(metadata);
    const member = await this.#group.enter(memberId, {
      ...{ instanceId, rackId: null, clientId, clientHost, rebalanceTimeoutMs, classic },
      ...{ topicNames: readSubscription(metadata)!, topicRegex: '', assignor: null },
      maySee: () => true,
    });
    member.rejoined();
    this.#group.advance(member, owned);
    this.#group.touch(member);
    return {
      ...{ error: 'NONE', memberId, generation: member.epoch, skipAssignment: false },
      ...{ protocolType: CONSUMER_PROTOCOL, protocolName, leader: '', members: [] },
    };
  }

  async sync(request: ClassicSync): Promise<SyncResult> {
    const found = this.#known(request);
    if (typeof found === 'string') return syncRefused(found);
    const protocolName = electProtocol(this.#classicMembers());
    const { protocolType = null } = request;
    const isOther =
      (protocolType !== null && protocolType !== CONSUMER_PROTOCOL) ||
      (request.protocolName !== null && request.protocolName !== protocolName);
    if (isOther) return syncRefused('INCONSISTENT_GROUP_PROTOCOL');
    // Who has to give up something has joined for that already: it is told what it keeps.
    if (found.state !== 'unrevoked' && this.#group.lags(found)) {
      this.#group.expectRejoin(found);
      return syncRefused('REBALANCE_IN_PROGRESS');
    }
    this.#group.touch(found);
    const assignment = writeAssignment(this.#group.placesOf(found));
    return { error: 'NONE', protocolType: CONSUMER_PROTOCOL, protocolName, assignment };
  }

  heartbeat(identity: ClassicIdentity): KafkaErrorName {
    const found = this.#known(identity);
    if (typeof found === 'string') return found;
    this.#group.touch(found);
    if (!this.#group.lags(found)) return 'NONE';
    this.#group.expectRejoin(found);
    return 'REBALANCE_IN_PROGRESS';
  }

  /** For the group of the classic protocol that takes over. */
  moving(): readonly MovingMember[] {
    return [...this.#group.members()].map((member) => ({
      ...{ memberId: member.memberId, instanceId: member.instanceId },
      ...{ clientId: member.clientId, clientHost: member.clientHost },
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      ...member.classic!,
      assignment: writeAssignment(this.#group.placesOf(member)),
    }));
  }

  #classicMembers(): { readonly memberId: string; readonly protocols: readonly ClassicProtocol[] }[] {
    return [...this.#group.members()].flatMap(({ memberId, classic }) =>
      classic ? [{ memberId, protocols: classic.protocols }] : [],
    );
  }

  /** What all classic members still have in common with it; null where that is nothing, or nothing that can be read. */
  #protocolFor({ memberId, protocolType, protocols }: ClassicJoin): string | null {
    const legible = protocols.every(({ metadata }) => readSubscription(metadata) !== undefined);
    if (protocolType !== CONSUMER_PROTOCOL || protocols.length === 0 || !legible) return null;
    const others = this.#classicMembers().filter((one) => one.memberId !== memberId);
    const members = [...others, { memberId, protocols }];
    return commonProtocols(members).size === 0 ? null : electProtocol(members);
  }

  #joinProblem({ memberId, instanceId }: ClassicJoin): KafkaErrorName | undefined {
    if (memberId !== '' && instanceId !== null) {
      const holderId = this.#group.holderOf(instanceId);
      if (holderId === undefined) return 'UNKNOWN_MEMBER_ID';
      if (holderId !== memberId) return 'FENCED_INSTANCE_ID';
    }
    const isKnown =
      instanceId === null
        ? this.#group.find(memberId) !== undefined
        : this.#group.holderOf(instanceId) !== undefined;
    return !isKnown && this.#group.isFull ? 'GROUP_MAX_SIZE_REACHED' : undefined;
  }

  #known({ memberId, instanceId, generation }: ClassicIdentity): ConsumerMember | KafkaErrorName {
    const holderId = instanceId === null ? memberId : this.#group.holderOf(instanceId);
    if (holderId !== undefined && holderId !== memberId) return 'FENCED_INSTANCE_ID';
    const member = this.#group.find(memberId);
    if (holderId === undefined || !member?.classic) return 'UNKNOWN_MEMBER_ID';
    return member.epoch === generation ? member : 'ILLEGAL_GENERATION';
  }
}

/** The request's bytes are a view. */
const copyOf = (protocols: readonly ClassicProtocol[]): readonly ClassicProtocol[] =>
  protocols.map(({ name, metadata }) => ({ name, metadata: metadata.slice() }));
