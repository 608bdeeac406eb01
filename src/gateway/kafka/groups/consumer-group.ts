import type { Clock } from '../../../kernel/index.ts';
import type { GroupHolder, GroupInfo, TopicPartition } from '../../../streams/index.ts';
import { readAssignment, readSubscription } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError, type KafkaErrorName } from '../errors.ts';
import { type PartitionKey, sharesOf, type TopicShare } from './assignors.ts';
import { ClassicSide } from './classic-side.ts';
import type { ClassicDoor, MovingMember } from './classic-types.ts';
import { ConsumerMember, type MemberProfile, type MemberState } from './consumer-member.ts';
import { Subscriptions, type TopicParts } from './subscriptions.ts';

export interface ConsumerHeartbeat extends MemberProfile {
  readonly memberId: string;
  /** 0 to join, -1 to leave, -2 to leave for a while as a static member. */
  readonly memberEpoch: number;
  /** What it holds, by topic id; null: as before. */
  readonly owned: readonly TopicShare[] | null;
}

export interface HeartbeatResult {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** null: as before. */
  readonly assignment: readonly TopicShare[] | null;
}

export interface ConsumerParts extends TopicParts {
  readonly clock: Clock;
  readonly settings: ConsumerSettings;
  /** Lets everything else through that waits for its turn. */
  pause(): Promise<void>;
  /** For ids of members; not to be guessed. */
  makeId(): string;
  /** Nobody is left but members of the classic protocol: the group may go back to it. */
  downgrade(): void;
}

export interface ConsumerSettings {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly maxMembers: number;
}

/**
 * Kafka's defaults but for the interval (5 s there): a rebalance takes as many heartbeats as it has steps, and they cost
 * little here.
 */
export const DEFAULT_CONSUMER_SETTINGS: ConsumerSettings = {
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 1_000,
  maxMembers: 2_000,
};

export interface ConsumerDescription {
  readonly state: ConsumerState;
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  readonly assignor: string;
  readonly members: readonly {
    readonly member: ConsumerMember;
    readonly assigned: readonly TopicShare[];
    readonly target: readonly TopicShare[];
  }[];
}

export type ConsumerState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable' | 'Dead';

const LEAVE = -1;
const LEAVE_FOR_A_WHILE = -2;
/** Members and partitions that are assigned at once, in a fraction of a millisecond; more is assigned with pauses. */
const ASSIGNED_AT_ONCE = 2_000;
const NOTHING: ReadonlySet<PartitionKey> = new Set();

/**
 * A group of the newer protocol (KIP-848): the server assigns, and each member goes to its target on its own, by
 * heartbeats. Nobody waits for anybody but for the partitions it is to get.
 *
 * K1 The group's epoch grows with every change of members, subscriptions or topics; the target assignment follows it.
 * K2 A partition has one owner: it is given to the next only when the former no longer reports it, left, or is fenced.
 * K3 A member's epoch is the target's once it has given up what it must; whoever comes with another epoch is fenced.
 * K4 Who is silent for the session timeout is out; so is who does not give up its partitions in its rebalance timeout.
 * K5 A static member that left for a while is replaced by whoever comes under its instance, without a rebalance.
 * K6 A large assignment is made with pauses. Until it is there members keep to the one before; who joins waits for it.
 * K7 Members of the classic protocol may be in the group while others talk the newer one (see `ClassicSide`).
 */
export class ConsumerGroup implements GroupHolder {
  readonly kind = 'consumer';
  readonly #parts: ConsumerParts;
  readonly #members = new Map<string, ConsumerMember>();
  readonly #static = new Map<string, string>();
  /** Who has each partition, to be given up or not (K2). */
  readonly #owners = new Map<PartitionKey, string>();
  #target = new Map<string, ReadonlySet<PartitionKey>>();
  #targetEpoch: number;
  #epoch: number;
  readonly #subscriptions: Subscriptions;
  readonly #classicSide: ClassicSide;
  #topicsDirty = true;
  /** The assignment that is being made (K6). */
  #assigning: Promise<void> | undefined;
  /** Who took over from whom while it is. */
  #replaced = new Map<string, string>();

  constructor(epoch: number, parts: ConsumerParts) {
    this.#epoch = epoch;
    this.#targetEpoch = epoch;
    this.#parts = parts;
    this.#subscriptions = new Subscriptions(parts);
    this.#classicSide = this.#openClassicSide();
  }

  static is(holder: GroupHolder): holder is ConsumerGroup {
    return holder instanceof ConsumerGroup;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get size(): number {
    return this.#members.size;
  }

  /** For members of the classic protocol. */
  get classic(): ClassicDoor {
    return this.#classicSide;
  }

  get state(): 'rebalancing' | 'stable' {
    return this.consumerState === 'Stable' ? 'stable' : 'rebalancing';
  }

  get consumerState(): ConsumerState {
    if (this.#members.size === 0) return 'Empty';
    if (this.#epoch > this.#targetEpoch) return 'Assigning';
    const settled = [...this.#members.values()].every((member) => this.#isSettled(member));
    return settled ? 'Stable' : 'Reconciling';
  }

  info(): GroupInfo['members'] {
    return [...this.#members.values()].map(({ memberId, instanceId, assigned }) => ({
      memberId,
      ...(instanceId === null ? {} : { instanceId }),
      partitions: this.#places(assigned),
    }));
  }

  topicsChanged(): void {
    this.#topicsDirty = true;
  }

  close(): void {
    for (const member of this.#members.values()) member.end();
    this.#members.clear();
    this.#static.clear();
    this.#owners.clear();
  }

  /** Throws KafkaError: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID, UNRELEASED_INSTANCE_ID and the like. */
  heartbeat(request: ConsumerHeartbeat): HeartbeatResult | Promise<HeartbeatResult> {
    const { memberEpoch } = request;
    if (memberEpoch === LEAVE || memberEpoch === LEAVE_FOR_A_WHILE) return this.#leave(request);
    // Before anything changes: a subscription that cannot be is refused whole.
    if (request.topicRegex) this.#subscriptions.check(request.topicRegex);
    const { member, isNew } = memberEpoch === 0 ? this.#admit(request) : this.#known(request);
    this.#note(member, request, isNew);
    if (memberEpoch !== 0 || !this.#assigning) return this.#proceed(member, request);
    return this.#assigned(member).then(() => this.#proceed(member, request));
  }

  /** What a member says of itself, and what follows from it for the group. */
  #note(member: ConsumerMember, profile: MemberProfile, isNew: boolean): void {
    const changed = member.update(profile);
    if (changed || isNew) this.#topicsDirty = true;
    const topicsChanged = this.#refreshTopics();
    if (changed || isNew || topicsChanged) this.#epoch++;
    this.#assign();
  }

  #proceed(member: ConsumerMember, { memberEpoch, owned, topicNames }: ConsumerHeartbeat): HeartbeatResult {
    const before = member.assigned;
    this.#reconcile(member, this.#keysOf(owned));
    const full = memberEpoch === 0 || (owned !== null && topicNames !== null);
    this.#touch(member);
    const told = full || !sameKeys(before, member.assigned);
    return this.#answer(member, member.epoch, told ? sharesOf(member.assigned) : null);
  }

  /** An operator removes a member; a static one may be named by its instance alone. */
  expel(memberId: string, instanceId: string | null): KafkaErrorName {
    const found = memberId === '' && instanceId !== null ? this.#static.get(instanceId) : memberId;
    const member = found === undefined ? undefined : this.#members.get(found);
    if (!member) return 'UNKNOWN_MEMBER_ID';
    this.#remove(member);
    return 'NONE';
  }

  /** Throws KafkaError unless this member may commit positions now. An epoch below 0: from outside of the group. */
  admitCommit(memberId: string, memberEpoch: number, transactional: boolean): void {
    if (memberEpoch < 0 && this.#members.size === 0) return;
    if (transactional && memberEpoch < 0 && memberId === '') return;
    this.requireMember(memberId, memberEpoch);
  }

  /** Throws UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH. */
  requireMember(memberId: string, memberEpoch: number): void {
    const member = this.#members.get(memberId);
    if (!member) throw unknownMember(memberId);
    if (member.epoch === memberEpoch) return;
    if (member.classic) throw new KafkaError('ILLEGAL_GENERATION');
    throw new KafkaError(
      'STALE_MEMBER_EPOCH',
      `Member '${memberId}' is at epoch ${member.epoch}, not ${memberEpoch}. Take the next heartbeat's epoch and try again.`,
    );
  }

  subscribes(topic: string): boolean {
    return [...this.#members.values()].some((member) => this.#subscriptions.has(member, topic));
  }

  describe(): ConsumerDescription {
    return {
      state: this.consumerState,
      groupEpoch: this.#epoch,
      assignmentEpoch: this.#targetEpoch,
      assignor: this.#subscriptions.assignorOf(this.#members.values()),
      members: [...this.#members.values()].map((member) => ({
        member,
        assigned: sharesOf(member.assigned),
        target: sharesOf(this.#target.get(member.memberId) ?? NOTHING),
      })),
    };
  }

  topicName(topicId: string): string {
    return this.#subscriptions.topicName(topicId);
  }

  // Members

  #admit(request: Pick<ConsumerHeartbeat, 'memberId' | 'instanceId' | 'classic'>): {
    member: ConsumerMember;
    isNew: boolean;
  } {
    const { memberId, instanceId } = request;
    const known = this.#members.get(memberId);
    const holderId = instanceId === null ? undefined : this.#static.get(instanceId);
    if (holderId !== undefined && holderId !== memberId) {
      const former = this.#members.get(holderId)!;
      // In the classic protocol an instance is taken over without having been left.
      if (former.away || former.classic || request.classic)
        return { member: this.#replace(former, memberId), isNew: false };
      throw new KafkaError(
        'UNRELEASED_INSTANCE_ID',
        `Instance '${instanceId}' is still in the group. Stop it first, or wait until its session is over.`,
      );
    }
    if (known) {
      if (known.away) known.away = false;
      return { member: known, isNew: false };
    }
    if (this.#members.size >= this.#parts.settings.maxMembers) {
      throw new KafkaError('GROUP_MAX_SIZE_REACHED', `The group has ${this.#members.size} members already.`);
    }
    const member = new ConsumerMember(memberId, instanceId);
    this.#members.set(memberId, member);
    if (instanceId !== null) this.#static.set(instanceId, memberId);
    return { member, isNew: true };
  }

  /** K5. */
  #replace(former: ConsumerMember, memberId: string): ConsumerMember {
    const member = new ConsumerMember(memberId, former.instanceId);
    member.takeOver(former);
    former.end();
    this.#members.delete(former.memberId);
    this.#members.set(memberId, member);
    this.#static.set(member.instanceId!, memberId);
    for (const key of [...member.assigned, ...member.revoking]) this.#owners.set(key, memberId);
    this.#target.set(memberId, this.#target.get(former.memberId) ?? NOTHING);
    this.#target.delete(former.memberId);
    if (this.#assigning) this.#replaced.set(former.memberId, memberId);
    return member;
  }

  #known(request: ConsumerHeartbeat): { member: ConsumerMember; isNew: boolean } {
    const member = this.#find(request);
    if (member.away) throw unknownMember(request.memberId);
    if (request.memberEpoch !== member.epoch && !this.#repeats(member, request)) {
      throw new KafkaError(
        'FENCED_MEMBER_EPOCH',
        `Member '${member.memberId}' is at epoch ${member.epoch}, not ${request.memberEpoch}. Give up all partitions and join again.`,
      );
    }
    return { member, isNew: false };
  }

  /** The answer that raised its epoch was lost: it comes again with the one before, and has no more than it was given. */
  #repeats(member: ConsumerMember, { memberEpoch, owned }: ConsumerHeartbeat): boolean {
    if (memberEpoch !== member.previousEpoch || owned === null) return false;
    return [...this.#keysOf(owned)!].every((key) => member.assigned.has(key));
  }

  #find({ memberId, instanceId }: Pick<ConsumerHeartbeat, 'memberId' | 'instanceId'>): ConsumerMember {
    if (instanceId !== null) {
      const holderId = this.#static.get(instanceId);
      if (holderId === undefined) throw unknownMember(memberId);
      if (holderId !== memberId) {
        throw new KafkaError('FENCED_INSTANCE_ID', `Another member has taken over instance '${instanceId}'.`);
      }
    }
    const member = this.#members.get(memberId);
    if (!member) throw unknownMember(memberId);
    return member;
  }

  #leave(request: ConsumerHeartbeat): HeartbeatResult {
    const member = this.#find(request);
    if (request.memberEpoch === LEAVE_FOR_A_WHILE) {
      member.away = true;
      this.#touch(member);
    } else this.#remove(member);
    return {
      memberId: member.memberId,
      memberEpoch: request.memberEpoch,
      heartbeatIntervalMs: 0,
      assignment: null,
    };
  }

  #remove(member: ConsumerMember): void {
    if (this.#members.get(member.memberId) !== member) return;
    member.end();
    this.#members.delete(member.memberId);
    if (member.instanceId !== null) this.#static.delete(member.instanceId);
    for (const key of [...member.assigned, ...member.revoking]) this.#release(key, member.memberId);
    this.#target.delete(member.memberId);
    if (this.#isClassicOnly()) {
      this.#parts.downgrade();
      return;
    }
    this.#topicsDirty = true;
    this.#refreshTopics();
    this.#epoch++;
    this.#assign();
  }

  #touch(member: ConsumerMember): void {
    const { clock, settings } = this.#parts;
    const sessionMs = member.classic?.sessionTimeoutMs ?? settings.sessionTimeoutMs;
    member.touch(clock, sessionMs, () => this.#remove(member));
  }

  // Members of the classic protocol

  usesClassic(memberId: string): boolean {
    return this.#members.get(memberId)?.classic !== undefined;
  }

  /** Takes over the members of a group of the classic protocol, with what they have. Only for a group that is new. */
  adopt(moving: readonly MovingMember[]): void {
    for (const { memberId, instanceId, sessionTimeoutMs, protocols, ...profile } of moving) {
      const member = new ConsumerMember(memberId, instanceId);
      const topicNames = readSubscription(protocols[0]!.metadata)!;
      member.update({
        ...{ ...profile, instanceId, rackId: null, topicNames, topicRegex: '', assignor: null },
        ...{ classic: { sessionTimeoutMs, protocols }, maySee: () => true },
      });
      member.epoch = this.#epoch;
      this.#members.set(memberId, member);
      if (instanceId !== null) this.#static.set(instanceId, memberId);
    }
    this.#topicsDirty = true;
    this.#refreshTopics();
    for (const { memberId, assignment } of moving) {
      const member = this.#members.get(memberId)!;
      const keys = this.#keysOfPlaces(readAssignment(assignment)).filter((key) => !this.#owners.has(key));
      for (const key of keys) this.#owners.set(key, memberId);
      member.assigned = new Set(keys);
      this.#target.set(memberId, member.assigned);
      this.#touch(member);
    }
  }

  /** Its members, for a group of the classic protocol that takes them over; nobody is left. */
  surrender(): readonly MovingMember[] {
    const moving = this.#classicSide.moving();
    this.close();
    return moving;
  }

  #isClassicOnly(): boolean {
    if (this.#members.size === 0) return false;
    return this.#members.values().every(({ classic }) => classic !== undefined);
  }

  #openClassicSide(): ClassicSide {
    const { makeId, settings, clock } = this.#parts;
    const isFull = (): boolean => this.#members.size >= settings.maxMembers;
    return new ClassicSide({
      makeId,
      get isFull() {
        return isFull();
      },
      members: () => this.#members.values(),
      find: (memberId) => this.#members.get(memberId),
      holderOf: (instanceId) => this.#static.get(instanceId),
      enter: async (memberId, profile) => {
        const { member, isNew } = this.#admit({ memberId, ...profile });
        this.#note(member, profile, isNew);
        if (this.#isClassicOnly()) this.#parts.downgrade();
        await this.#assigned(member);
        return member;
      },
      advance: (member, owned) => this.#reconcile(member, new Set(this.#keysOfPlaces(owned))),
      touch: (member) => this.#touch(member),
      lags: (member) => this.#lags(member),
      expectRejoin: (member) => member.expectRejoin(clock, () => this.#remove(member)),
      placesOf: (member) => this.#places(member.assigned).filter(({ topic }) => topic !== ''),
    });
  }

  /** There is something for it to give up, or to take. */
  #lags(member: ConsumerMember): boolean {
    if (this.#refreshTopics()) this.#epoch++;
    this.#assign();
    if (member.epoch < this.#targetEpoch || member.state === 'unrevoked') return true;
    if (member.state === 'stable') return false;
    const target = this.#target.get(member.memberId) ?? NOTHING;
    return target.values().some((key) => !this.#owners.has(key));
  }

  #keysOfPlaces(places: readonly TopicPartition[]): PartitionKey[] {
    return places.flatMap(({ topic, partition }) => {
      const topicId = this.#subscriptions.topicId(topic);
      return topicId === undefined ? [] : [this.#subscriptions.keyOf(topicId, partition)];
    });
  }

  // Assignment

  #refreshTopics(): boolean {
    if (!this.#topicsDirty) return false;
    this.#topicsDirty = false;
    return this.#subscriptions.refresh([...this.#members.values()]);
  }

  /** K1. */
  #assign(): void {
    if (this.#epoch === this.#targetEpoch || this.#assigning) return;
    if (this.#subscriptions.partitions + this.#members.size > ASSIGNED_AT_ONCE) {
      this.#assigning = this.#assignWithPauses();
      return;
    }
    const work = this.#subscriptions.assign([...this.#members.values()], this.#target);
    let step = work.next();
    while (!step.done) step = work.next();
    this.#target = step.value;
    this.#targetEpoch = this.#epoch;
  }

  /** K6. What changes meanwhile is seen by the next one, which follows at once. */
  async #assignWithPauses(): Promise<void> {
    const epoch = this.#epoch;
    const work = this.#subscriptions.assign([...this.#members.values()], new Map(this.#target));
    let step = work.next();
    while (!step.done) {
      await this.#parts.pause();
      step = work.next();
    }
    for (const [formerId, memberId] of this.#replaced) {
      step.value.set(memberId, step.value.get(formerId) ?? new Set());
      step.value.delete(formerId);
    }
    this.#replaced.clear();
    this.#target = step.value;
    this.#targetEpoch = epoch;
    this.#assigning = undefined;
    this.#assign();
  }

  /** Resolves once what the member brought about is assigned. Throws UNKNOWN_MEMBER_ID if it has gone by then. */
  async #assigned(member: ConsumerMember): Promise<void> {
    const wanted = this.#epoch;
    while (this.#targetEpoch < wanted && this.#assigning) await this.#assigning;
    if (this.#members.get(member.memberId) !== member) throw unknownMember(member.memberId);
  }

  /** Brings a member one step nearer to its target (K2, K3). `owned`: what it says it has; undefined: as before. */
  #reconcile(member: ConsumerMember, owned: ReadonlySet<PartitionKey> | undefined): void {
    if (member.state === 'unrevoked') {
      if (ownsAny(owned, member.revoking)) return;
      for (const key of member.revoking) this.#release(key, member.memberId);
      member.revoking = NOTHING;
      this.#step(member, owned);
    } else if (!this.#isSettled(member)) this.#step(member, owned);
    member.watchRevocation(this.#parts.clock, () => this.#remove(member));
  }

  #step(member: ConsumerMember, owned: ReadonlySet<PartitionKey> | undefined): void {
    const target = this.#target.get(member.memberId) ?? NOTHING;
    const kept = member.assigned.intersection(target);
    const revoking = member.assigned.difference(target);
    if (revoking.size > 0 && ownsAny(owned, revoking)) {
      this.#settle(member, 'unrevoked', member.epoch, kept);
      member.revoking = revoking;
      return;
    }
    for (const key of revoking) this.#release(key, member.memberId);
    const wanted = [...target].filter((key) => !kept.has(key));
    const free = wanted.filter((key) => !this.#owners.has(key));
    for (const key of free) this.#owners.set(key, member.memberId);
    const state = free.length < wanted.length ? 'unreleased' : 'stable';
    this.#settle(member, state, this.#targetEpoch, kept.union(new Set(free)));
  }

  #settle(
    member: ConsumerMember,
    state: MemberState,
    epoch: number,
    assigned: ReadonlySet<PartitionKey>,
  ): void {
    member.state = state;
    member.advance(epoch);
    if (!sameKeys(assigned, member.assigned)) member.assigned = assigned;
  }

  #isSettled(member: ConsumerMember): boolean {
    return member.state === 'stable' && member.epoch === this.#targetEpoch;
  }

  #release(key: PartitionKey, memberId: string): void {
    if (this.#owners.get(key) === memberId) this.#owners.delete(key);
  }

  // Answers

  #answer(
    { memberId }: ConsumerMember,
    memberEpoch: number,
    assignment: readonly TopicShare[] | null,
  ): HeartbeatResult {
    const { heartbeatIntervalMs } = this.#parts.settings;
    return { memberId, memberEpoch, heartbeatIntervalMs, assignment };
  }

  #keysOf(owned: readonly TopicShare[] | null): Set<PartitionKey> | undefined {
    if (owned === null) return undefined;
    const keys = new Set<PartitionKey>();
    for (const { topicId, partitions } of owned) {
      for (const partition of partitions) keys.add(this.#subscriptions.keyOf(topicId, partition));
    }
    return keys;
  }

  #places(keys: ReadonlySet<PartitionKey>): TopicPartition[] {
    return sharesOf(keys).flatMap(({ topicId, partitions }) =>
      partitions.map((partition) => ({ topic: this.topicName(topicId), partition })),
    );
  }
}

/** Who does not say what it has is taken to have all it had. */
function ownsAny(owned: ReadonlySet<PartitionKey> | undefined, keys: ReadonlySet<PartitionKey>): boolean {
  return owned === undefined || !owned.isDisjointFrom(keys);
}

function sameKeys(a: ReadonlySet<PartitionKey>, b: ReadonlySet<PartitionKey>): boolean {
  return a === b || (a.size === b.size && a.isSubsetOf(b));
}

function unknownMember(memberId: string): KafkaError {
  return new KafkaError(
    'UNKNOWN_MEMBER_ID',
    `The group has no member '${memberId}'. Join again with epoch 0.`,
  );
}
