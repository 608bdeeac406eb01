import type { Clock } from '../../../kernel/index.ts';
import type { GroupHolder, GroupInfo, TopicPartition } from '../../../streams/index.ts';
import { KafkaError, type KafkaErrorName } from '../errors.ts';
import { ASSIGNORS, type PartitionKey, type Subscriber, splitKey } from './assignors.ts';
import { ConsumerMember, type MemberProfile, type MemberState } from './consumer-member.ts';

export interface ConsumerHeartbeat extends MemberProfile {
  readonly memberId: string;
  /** 0 to join, -1 to leave, -2 to leave for a while as a static member. */
  readonly memberEpoch: number;
  /** What it holds, by topic id; null: as before. */
  readonly owned: readonly TopicShare[] | null;
}

export interface TopicShare {
  readonly topicId: string;
  readonly partitions: readonly number[];
}

export interface HeartbeatResult {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** null: as before. */
  readonly assignment: readonly TopicShare[] | null;
}

export interface ConsumerParts {
  readonly clock: Clock;
  readonly settings: ConsumerSettings;
  /** Topics that members may see, with their partitions. */
  topics(): readonly { readonly id: string; readonly name: string; readonly partitions: number }[];
  /** Throws KafkaError INVALID_REGULAR_EXPRESSION. */
  compile(regex: string): (topic: string) => boolean;
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
const DEFAULT_ASSIGNOR = 'uniform';
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
  #topicNames = new Map<string, string>();
  #seenTopics = '';
  #topicsDirty = true;
  #patterns = new Map<string, (topic: string) => boolean>();

  constructor(epoch: number, parts: ConsumerParts) {
    this.#epoch = epoch;
    this.#targetEpoch = epoch;
    this.#parts = parts;
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
  heartbeat(request: ConsumerHeartbeat): HeartbeatResult {
    const { memberEpoch } = request;
    if (memberEpoch === LEAVE || memberEpoch === LEAVE_FOR_A_WHILE) return this.#leave(request);
    // Before anything changes: a subscription that cannot be is refused whole.
    if (request.topicRegex && !this.#patterns.has(request.topicRegex))
      this.#parts.compile(request.topicRegex);
    const { member, isNew } = memberEpoch === 0 ? this.#admit(request) : this.#known(request);
    const before = member.assigned;
    const changed = member.update(request);
    if (changed || isNew) this.#topicsDirty = true;
    const topicsChanged = this.#refreshTopics();
    if (changed || isNew || topicsChanged) this.#epoch++;
    this.#assign();
    this.#reconcile(member, keysOf(request.owned));
    const full = memberEpoch === 0 || (request.owned !== null && request.topicNames !== null);
    this.#touch(member);
    const told = full || !sameKeys(before, member.assigned);
    return this.#answer(member, member.epoch, told ? this.#shares(member.assigned) : null);
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
    throw new KafkaError(
      'STALE_MEMBER_EPOCH',
      `Member '${memberId}' is at epoch ${member.epoch}, not ${memberEpoch}. Take the next heartbeat's epoch and try again.`,
    );
  }

  subscribes(topic: string): boolean {
    return [...this.#members.values()].some((member) => this.#subscribesTo(member, topic));
  }

  describe(): ConsumerDescription {
    return {
      state: this.consumerState,
      groupEpoch: this.#epoch,
      assignmentEpoch: this.#targetEpoch,
      assignor: this.#assignorName(),
      members: [...this.#members.values()].map((member) => ({
        member,
        assigned: this.#shares(member.assigned),
        target: this.#shares(this.#target.get(member.memberId) ?? NOTHING),
      })),
    };
  }

  topicName(topicId: string): string {
    return this.#topicNames.get(topicId) ?? '';
  }

  // Members

  #admit(request: ConsumerHeartbeat): { member: ConsumerMember; isNew: boolean } {
    const { memberId, instanceId } = request;
    const known = this.#members.get(memberId);
    const holderId = instanceId === null ? undefined : this.#static.get(instanceId);
    if (holderId !== undefined && holderId !== memberId) {
      const former = this.#members.get(holderId)!;
      if (former.away) return { member: this.#replace(former, memberId), isNew: false };
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
    return [...keysOf(owned)!].every((key) => member.assigned.has(key));
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
    this.#topicsDirty = true;
    this.#refreshTopics();
    this.#epoch++;
    this.#assign();
  }

  #touch(member: ConsumerMember): void {
    const { clock, settings } = this.#parts;
    member.touch(clock, settings.sessionTimeoutMs, () => this.#remove(member));
  }

  // Assignment

  /** Whether what the members subscribe to has changed: topics made, deleted, made again, or grown. */
  #refreshTopics(): boolean {
    if (!this.#topicsDirty) return false;
    this.#topicsDirty = false;
    const members = [...this.#members.values()];
    const regexes = new Set(members.map((member) => member.topicRegex));
    for (const regex of this.#patterns.keys()) if (!regexes.has(regex)) this.#patterns.delete(regex);
    regexes.delete('');
    const patterns = [...regexes].map((regex) => this.#patternOf(regex));
    const names = new Set(members.flatMap((member) => member.topicNames));
    const topics = this.#parts
      .topics()
      .filter(({ name }) => names.has(name) || patterns.some((matches) => matches(name)));
    this.#topicNames = new Map(topics.map(({ id, name }) => [id, name]));
    const seen = JSON.stringify(topics.map(({ id, partitions }) => [id, partitions]).sort());
    const changed = seen !== this.#seenTopics;
    this.#seenTopics = seen;
    return changed;
  }

  #subscribesTo(member: ConsumerMember, topic: string): boolean {
    if (member.topicNames.includes(topic)) return true;
    return member.topicRegex !== '' && member.maySee(topic) && this.#patternOf(member.topicRegex)(topic);
  }

  #patternOf(regex: string): (topic: string) => boolean {
    const known = this.#patterns.get(regex);
    if (known) return known;
    const compiled = this.#parts.compile(regex);
    this.#patterns.set(regex, compiled);
    return compiled;
  }

  /** The one that most members ask for. */
  #assignorName(): string {
    const votes = new Map<string, number>();
    for (const { assignor } of this.#members.values()) {
      if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1);
    }
    let name = DEFAULT_ASSIGNOR;
    for (const [candidate, count] of votes) if (count > (votes.get(name) ?? 0)) name = candidate;
    return name;
  }

  /** K1. */
  #assign(): void {
    if (this.#epoch === this.#targetEpoch) return;
    const topics = this.#parts.topics().filter(({ id }) => this.#topicNames.has(id));
    const partitions = new Map(topics.map(({ id, partitions }) => [id, partitions]));
    const members = [...this.#members.values()].map(
      (member): Subscriber => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        topics: new Set(topics.filter(({ name }) => this.#subscribesTo(member, name)).map(({ id }) => id)),
        current: this.#target.get(member.memberId) ?? NOTHING,
      }),
    );
    this.#target = ASSIGNORS.get(this.#assignorName())!(members, (id) => partitions.get(id) ?? 0);
    this.#targetEpoch = this.#epoch;
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

  #shares(keys: ReadonlySet<PartitionKey>): TopicShare[] {
    const byTopic = new Map<string, number[]>();
    for (const key of keys) {
      const { topicId, partition } = splitKey(key);
      byTopic.set(topicId, [...(byTopic.get(topicId) ?? []), partition]);
    }
    return [...byTopic].map(([topicId, partitions]) => ({
      topicId,
      partitions: partitions.sort((a, b) => a - b),
    }));
  }

  #places(keys: ReadonlySet<PartitionKey>): TopicPartition[] {
    return this.#shares(keys).flatMap(({ topicId, partitions }) =>
      partitions.map((partition) => ({ topic: this.topicName(topicId), partition })),
    );
  }
}

function keysOf(owned: readonly TopicShare[] | null): Set<PartitionKey> | undefined {
  return owned === null
    ? undefined
    : new Set(owned.flatMap(({ topicId, partitions }) => partitions.map((one) => `${topicId}/${one}`)));
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
