import type { Clock, Timer } from '../../../kernel/index.ts';
import type { GroupHolder, GroupInfo, TopicPartition } from '../../../streams/index.ts';
import { KafkaError, type KafkaErrorName } from '../errors.ts';
import { ClassicMember, commonProtocols, electProtocol } from './classic-members.ts';
import {
  type ClassicDescription,
  type ClassicDoor,
  type ClassicIdentity,
  type ClassicJoin,
  type ClassicState,
  type ClassicSync,
  CONSUMER_PROTOCOL,
  type JoinResult,
  joinRefused,
  type MovingMember,
  NO_BYTES,
  type SyncResult,
  syncRefused,
} from './classic-types.ts';

/** What a group does not know by itself. */
export interface ClassicParts {
  readonly clock: Clock;
  /** Unique, and not to be guessed: whoever knows a member's id may speak for it. */
  makeId(): string;
  readonly settings: ClassicSettings;
  /** What an assignment gives its member; nothing for bytes of another protocol than that of consumers. */
  readAssignment(assignment: Uint8Array): readonly TopicPartition[];
  /** What a member's metadata subscribes to; undefined where that cannot be told. */
  readSubscription(metadata: Uint8Array): readonly string[] | undefined;
}

export interface ClassicSettings {
  /** How long the first members of an empty group wait for others to come. */
  readonly initialDelayMs: number;
  readonly maxMembers: number;
}

export const DEFAULT_CLASSIC_SETTINGS: ClassicSettings = { initialDelayMs: 100, maxMembers: 2_000 };

/** How long a new member may wait for its first answer; its client may be gone. */
const NEW_MEMBER_TIMEOUT_MS = 300_000;
/** How often a group whose static members are all away looks whether they are back. */
const LEAST_WAIT_MS = 1000;

/**
 * A group of the classic protocol: members join, one of them (the leader) assigns, all fetch what it assigned (KIP-62,
 * KIP-134, KIP-345 static members, KIP-394 member ids first, KIP-429 cooperative, which is the clients' business alone).
 *
 * Empty → PreparingRebalance → CompletingRebalance → Stable → PreparingRebalance …
 *
 * C1 The generation grows whenever the set of members is settled anew.
 * C2 A rebalance is settled once every member has joined again, or the longest rebalance timeout is over: then those who
 *    did not come are out. Static members stay until their session ends.
 * C3 Who is silent for its session timeout is out, unless it waits for an answer from here.
 * C4 A static member that comes back takes over what its instance had, and its former self is fenced.
 */
export class ClassicGroup implements GroupHolder, ClassicDoor {
  readonly kind = 'classic';
  readonly #parts: ClassicParts;
  readonly #members = new Map<string, ClassicMember>();
  /** Members' ids by instance. */
  readonly #static = new Map<string, string>();
  /** Ids that were given out and not joined with yet. */
  readonly #expected = new Map<string, Timer>();
  /** Who has not asked for its assignment yet. */
  readonly #unsynced = new Set<string>();
  #state: ClassicState = 'Empty';
  #generation: number;
  #protocolType: string | null = null;
  #protocolName: string | null = null;
  #leader: string | null = null;
  #joinTimer: Timer | undefined;
  #syncTimer: Timer | undefined;
  /** While the first members wait for others (and whether others came meanwhile). */
  #delay: { joined: boolean } | undefined;

  constructor(generation: number, parts: ClassicParts) {
    this.#generation = generation;
    this.#parts = parts;
  }

  static is(holder: GroupHolder): holder is ClassicGroup {
    return holder instanceof ClassicGroup;
  }

  get epoch(): number {
    return this.#generation;
  }

  get size(): number {
    return this.#members.size + this.#expected.size;
  }

  get state(): 'rebalancing' | 'stable' {
    return this.#state === 'Stable' ? 'stable' : 'rebalancing';
  }

  get protocolType(): string {
    return this.#protocolType ?? '';
  }

  get classicState(): ClassicState {
    return this.#state;
  }

  info(): GroupInfo['members'] {
    return [...this.#members.values()].map(({ memberId, instanceId, assignment }) => ({
      memberId,
      ...(instanceId === null ? {} : { instanceId }),
      partitions: this.#isConsumers() ? this.#parts.readAssignment(assignment) : [],
    }));
  }

  /** Consumers watch the topics themselves, and join again when they see a change. */
  topicsChanged(): void {}

  close(): void {
    this.#state = 'Dead';
    this.#joinTimer?.cancel();
    this.#syncTimer?.cancel();
    for (const timer of this.#expected.values()) timer.cancel();
    this.#expected.clear();
    for (const member of this.#members.values()) member.end('COORDINATOR_NOT_AVAILABLE');
    this.#members.clear();
    this.#static.clear();
  }

  /**
   * Its members, for a group of the newer protocol that takes them over; nobody is left. Who waits for an answer is told to join
   * again. Undefined, and nothing changes, where a member is no consumer whose bytes can be read.
   */
  surrender(): readonly MovingMember[] | undefined {
    const members = [...this.#members.values()];
    const legible = members.every(({ protocols }) =>
      protocols.every(({ metadata }) => this.#parts.readSubscription(metadata) !== undefined),
    );
    if (members.length > 0 && !(this.#isConsumers() && legible)) return undefined;
    for (const member of members) member.end('REBALANCE_IN_PROGRESS');
    this.#members.clear();
    this.close();
    return members;
  }

  /** Takes over the members of a group of the newer protocol. They go on with what they have, and are told to join again. */
  adopt(moving: readonly MovingMember[]): void {
    for (const { assignment, ...one } of moving) {
      const rules = { protocolType: CONSUMER_PROTOCOL, requiresMemberId: false, canSkipAssignment: false };
      const member = new ClassicMember(one.memberId, { ...one, ...rules });
      member.assignment = assignment;
      member.isNew = false;
      this.#members.set(member.memberId, member);
      if (member.instanceId !== null) this.#static.set(member.instanceId, member.memberId);
      this.#touch(member);
    }
    this.#protocolType = CONSUMER_PROTOCOL;
    this.#protocolName = electProtocol([...this.#members.values()]);
    this.#leader = moving[0]!.memberId;
    this.#state = 'Stable';
    this.#prepareRebalance();
  }

  /** Answers once the rebalance is settled. */
  async join(request: ClassicJoin): Promise<JoinResult> {
    const { memberId } = request;
    if (this.#state === 'Dead') return joinRefused('COORDINATOR_NOT_AVAILABLE', memberId);
    if (!this.#members.has(memberId) && !this.#expected.has(memberId) && this.#isFull())
      return joinRefused('GROUP_MAX_SIZE_REACHED', memberId);
    if (!this.#canTake(request)) return joinRefused('INCONSISTENT_GROUP_PROTOCOL', memberId);
    if (memberId === '') return this.#joinWithoutId(request);
    return this.#joinWithId(request);
  }

  /** Answers once the leader has assigned. */
  async sync(request: ClassicSync): Promise<SyncResult> {
    const problem = this.#problemOf(request) ?? this.#protocolProblem(request);
    if (problem) return syncRefused(problem);
    const member = this.#members.get(request.memberId)!;
    if (this.#state === 'PreparingRebalance') return syncRefused('REBALANCE_IN_PROGRESS');
    this.#synced(member);
    if (this.#state === 'Stable') return this.#assignmentOf(member);
    const answer = member.awaitSync();
    if (member.memberId === this.#leader) this.#assign(request.assignments);
    return answer;
  }

  heartbeat(identity: ClassicIdentity): KafkaErrorName {
    const problem = this.#problemOf(identity);
    if (problem) return problem;
    this.#touch(this.#members.get(identity.memberId)!);
    return this.#state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE';
  }

  /** A static member may be named by its instance alone: an operator removes it. */
  leave({ memberId, instanceId }: { memberId: string; instanceId: string | null }): KafkaErrorName {
    if (memberId === '' && instanceId !== null) {
      const known = this.#static.get(instanceId);
      if (known === undefined) return 'UNKNOWN_MEMBER_ID';
      this.#remove(this.#members.get(known)!);
      this.#rebalance();
      return 'NONE';
    }
    if (this.#forgetExpected(memberId)) {
      this.#settleIfAllJoined();
      return 'NONE';
    }
    const problem = this.#memberProblem(memberId, instanceId);
    if (problem) return problem;
    this.#remove(this.#members.get(memberId)!);
    this.#rebalance();
    return 'NONE';
  }

  /** Throws KafkaError unless these positions may be committed. A generation below 0: from outside of the group. */
  admitCommit(identity: ClassicIdentity, transactional: boolean): void {
    const { memberId, instanceId, generation } = identity;
    if (this.#state === 'Dead') throw new KafkaError('COORDINATOR_NOT_AVAILABLE');
    if (generation < 0 && this.#state === 'Empty') return;
    if (generation >= 0 || memberId !== '' || instanceId !== null) {
      const problem = this.#problemOf(identity);
      if (problem) throw new KafkaError(problem);
    } else if (!transactional && this.#state !== 'Empty') {
      throw new KafkaError('UNKNOWN_MEMBER_ID', 'The group has members; who is none of them cannot commit.');
    }
    if (transactional) return;
    if (this.#state === 'CompletingRebalance') throw new KafkaError('REBALANCE_IN_PROGRESS');
    const member = this.#members.get(memberId);
    if (member) this.#touch(member);
  }

  /** Whether positions on the topic must stay: members read from it. */
  subscribes(topic: string): boolean {
    if (this.#members.size === 0) return false;
    if (!this.#isConsumers()) return true;
    return [...this.#members.values()].some((member) => {
      const name = this.#protocolName ?? member.protocols[0]?.name ?? null;
      return this.#parts.readSubscription(member.metadata(name))?.includes(topic) ?? true;
    });
  }

  describe(): ClassicDescription {
    const settled = this.#state === 'Stable';
    return {
      state: this.#state,
      protocolType: this.protocolType,
      protocolName: settled ? (this.#protocolName ?? '') : '',
      members: [...this.#members.values()].map((member) => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        metadata: settled ? member.metadata(this.#protocolName) : NO_BYTES,
        assignment: settled ? member.assignment : NO_BYTES,
      })),
    };
  }

  // Joining

  #joinWithoutId(request: ClassicJoin): JoinResult | Promise<JoinResult> {
    const { instanceId, clientId, requiresMemberId } = request;
    const memberId = `${instanceId ?? clientId}-${this.#parts.makeId()}`;
    if (instanceId !== null) {
      const former = this.#static.get(instanceId);
      return former === undefined ? this.#add(memberId, request) : this.#replace(former, memberId, request);
    }
    if (!requiresMemberId) return this.#add(memberId, request);
    const forget = (): void => {
      this.#expected.delete(memberId);
      this.#settleIfAllJoined();
    };
    this.#expected.set(memberId, this.#parts.clock.after(request.sessionTimeoutMs, forget));
    return joinRefused('MEMBER_ID_REQUIRED', memberId);
  }

  #joinWithId(request: ClassicJoin): JoinResult | Promise<JoinResult> {
    const { memberId, instanceId, protocols } = request;
    if (this.#forgetExpected(memberId)) {
      if (instanceId === null) return this.#add(memberId, request);
      return joinRefused('UNKNOWN_MEMBER_ID', memberId);
    }
    const problem = this.#memberProblem(memberId, instanceId);
    if (problem) return joinRefused(problem, memberId);
    const member = this.#members.get(memberId)!;
    const settled = this.#state === 'CompletingRebalance' || this.#state === 'Stable';
    // The leader that joins a stable group again has seen a change that it wants to assign anew.
    const wantsChange = this.#state === 'Stable' && memberId === this.#leader;
    if (settled && !wantsChange && member.saysSame(protocols)) {
      this.#touch(member);
      return this.#joined(member);
    }
    member.update(request);
    const answer = member.awaitJoin();
    this.#rebalance();
    return answer;
  }

  #add(memberId: string, request: ClassicJoin): Promise<JoinResult> {
    const member = new ClassicMember(memberId, request);
    this.#members.set(memberId, member);
    if (member.instanceId !== null) this.#static.set(member.instanceId, memberId);
    this.#protocolType ??= request.protocolType;
    if (this.#members.size === 1) this.#protocolType = request.protocolType;
    this.#leader ??= memberId;
    member.touch(this.#parts.clock, () => this.#expire(member), NEW_MEMBER_TIMEOUT_MS);
    if (this.#delay) this.#delay.joined = true;
    const answer = member.awaitJoin();
    this.#rebalance();
    return answer;
  }

  /** C4. */
  #replace(formerId: string, memberId: string, request: ClassicJoin): JoinResult | Promise<JoinResult> {
    const former = this.#members.get(formerId)!;
    const member = new ClassicMember(memberId, request);
    member.assignment = former.assignment;
    member.isNew = false;
    const inOrder = [...this.#members.values()].map((one) => (one === former ? member : one));
    this.#members.clear();
    for (const one of inOrder) this.#members.set(one.memberId, one);
    this.#static.set(member.instanceId!, memberId);
    if (this.#unsynced.delete(formerId)) this.#unsynced.add(memberId);
    const leads = this.#leader === formerId;
    if (leads) this.#leader = memberId;
    former.end('FENCED_INSTANCE_ID');
    this.#touch(member);
    if (this.#state === 'Stable' && electProtocol(inOrder) === this.#protocolName) {
      // Who cannot be told to skip the assignment must not take itself for the leader: it would assign again.
      if (leads && !request.canSkipAssignment)
        return { ...this.#joined(member), leader: formerId, members: [] };
      return { ...this.#joined(member), skipAssignment: leads };
    }
    const answer = member.awaitJoin();
    this.#rebalance();
    return answer;
  }

  // Rebalancing

  /** Begins a rebalance, or goes on with the one that is under way. */
  #rebalance(): void {
    if (this.#state === 'PreparingRebalance') this.#settleIfAllJoined();
    else this.#prepareRebalance();
  }

  #prepareRebalance(): void {
    const wasEmpty = this.#state === 'Empty';
    if (this.#state === 'CompletingRebalance') {
      for (const member of this.#members.values()) {
        member.assignment = NO_BYTES;
        member.answerSync(syncRefused('REBALANCE_IN_PROGRESS'));
        this.#touch(member);
      }
    }
    this.#state = 'PreparingRebalance';
    this.#syncTimer?.cancel();
    this.#unsynced.clear();
    const { initialDelayMs } = this.#parts.settings;
    if (wasEmpty && initialDelayMs > 0) this.#waitForOthers(this.#longestRebalanceMs());
    else {
      this.#settleAfter(this.#longestRebalanceMs());
      this.#settleIfAllJoined();
    }
  }

  /** As long as others keep coming, but no longer than the rebalance timeout. */
  #waitForOthers(remainingMs: number): void {
    const delayMs = Math.min(this.#parts.settings.initialDelayMs, remainingMs);
    const delay = { joined: false };
    this.#delay = delay;
    this.#joinTimer = this.#parts.clock.after(delayMs, () => {
      if (delay.joined && remainingMs > delayMs) return this.#waitForOthers(remainingMs - delayMs);
      this.#delay = undefined;
      if (this.#everyoneJoined()) this.#settle();
      else this.#settleAfter(Math.max(0, remainingMs - delayMs));
    });
  }

  #settleAfter(delayMs: number): void {
    this.#joinTimer?.cancel();
    this.#joinTimer = this.#parts.clock.after(delayMs, () => this.#settle());
  }

  #everyoneJoined(): boolean {
    return this.#expected.size === 0 && [...this.#members.values()].every((member) => member.joining);
  }

  #settleIfAllJoined(): void {
    if (this.#state !== 'PreparingRebalance' || this.#delay) return;
    if (this.#everyoneJoined()) this.#settle();
  }

  /** C1, C2: who is here now is the next generation. */
  #settle(): void {
    this.#joinTimer?.cancel();
    for (const member of [...this.#members.values()]) {
      if (!member.joining && member.instanceId === null) this.#remove(member);
    }
    const members = [...this.#members.values()];
    const joined = members.filter((member) => member.joining);
    if (members.length > 0 && joined.length === 0) {
      // Static members alone, none of which came back yet: they leave with their sessions, or come.
      // Their timeout may be 0: waiting must not become a timer that fires all the time.
      this.#settleAfter(Math.max(LEAST_WAIT_MS, this.#longestRebalanceMs()));
      return;
    }
    this.#generation++;
    if (members.length === 0) this.#becomeEmpty();
    else this.#completeJoin(members, joined);
  }

  #completeJoin(members: readonly ClassicMember[], joined: readonly ClassicMember[]): void {
    this.#state = 'CompletingRebalance';
    this.#protocolName = electProtocol(members);
    if (!joined.some((member) => member.memberId === this.#leader)) this.#leader = joined[0]!.memberId;
    this.#awaitSyncs(members);
    for (const member of members) {
      member.isNew = false;
      this.#touch(member);
      member.answerJoin(this.#joined(member));
    }
  }

  #becomeEmpty(): void {
    this.#state = 'Empty';
    this.#protocolName = null;
    this.#leader = null;
  }

  /** Who does not ask for its assignment within the rebalance timeout is out. */
  #awaitSyncs(members: readonly ClassicMember[]): void {
    for (const { memberId } of members) this.#unsynced.add(memberId);
    this.#syncTimer?.cancel();
    this.#syncTimer = this.#parts.clock.after(this.#longestRebalanceMs(), () => {
      const late = [...this.#unsynced].flatMap((memberId) => this.#members.get(memberId) ?? []);
      for (const member of late) this.#remove(member);
      if (late.length > 0) this.#rebalance();
    });
  }

  #synced(member: ClassicMember): void {
    this.#unsynced.delete(member.memberId);
    if (this.#unsynced.size === 0) this.#syncTimer?.cancel();
    this.#touch(member);
  }

  #assign(assignments: ClassicSync['assignments']): void {
    const given = new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment]));
    this.#state = 'Stable';
    for (const member of this.#members.values()) {
      member.assignment = given.get(member.memberId)?.slice() ?? NO_BYTES;
      this.#touch(member);
      member.answerSync(this.#assignmentOf(member));
    }
  }

  // Members

  #touch(member: ClassicMember): void {
    member.touch(this.#parts.clock, () => this.#expire(member));
  }

  /** C3. */
  #expire(member: ClassicMember): void {
    if (this.#members.get(member.memberId) !== member || (member.awaited && !member.isNew)) return;
    this.#remove(member);
    this.#rebalance();
  }

  #remove(member: ClassicMember): void {
    this.#members.delete(member.memberId);
    this.#unsynced.delete(member.memberId);
    if (member.instanceId !== null) this.#static.delete(member.instanceId);
    if (this.#leader === member.memberId) this.#leader = this.#members.keys().next().value ?? null;
    member.end('UNKNOWN_MEMBER_ID');
  }

  #forgetExpected(memberId: string): boolean {
    this.#expected.get(memberId)?.cancel();
    return this.#expected.delete(memberId);
  }

  #isFull(): boolean {
    return this.size >= this.#parts.settings.maxMembers;
  }

  #isConsumers(): boolean {
    return this.#protocolType === CONSUMER_PROTOCOL;
  }

  /** Whether all members would still have a protocol in common. */
  #canTake({ memberId, protocolType, protocols }: ClassicJoin): boolean {
    if (protocolType === '' || protocols.length === 0) return false;
    const others = [...this.#members.values()].filter((member) => member.memberId !== memberId);
    if (this.#members.size === 0) return true;
    if (protocolType !== this.#protocolType) return false;
    if (others.length === 0) return true;
    const common = commonProtocols(others);
    return protocols.some(({ name }) => common.has(name));
  }

  #memberProblem(memberId: string, instanceId: string | null): KafkaErrorName | undefined {
    if (instanceId !== null) {
      const known = this.#static.get(instanceId);
      if (known === undefined) return 'UNKNOWN_MEMBER_ID';
      if (known !== memberId) return 'FENCED_INSTANCE_ID';
    }
    return this.#members.has(memberId) ? undefined : 'UNKNOWN_MEMBER_ID';
  }

  #problemOf({ memberId, instanceId, generation }: ClassicIdentity): KafkaErrorName | undefined {
    const problem = this.#memberProblem(memberId, instanceId);
    return problem ?? (generation === this.#generation ? undefined : 'ILLEGAL_GENERATION');
  }

  #protocolProblem({ protocolType, protocolName }: ClassicSync): KafkaErrorName | undefined {
    const other =
      (protocolType !== null && protocolType !== this.#protocolType) ||
      (protocolName !== null && this.#protocolName !== null && protocolName !== this.#protocolName);
    return other ? 'INCONSISTENT_GROUP_PROTOCOL' : undefined;
  }

  #joined(member: ClassicMember): JoinResult {
    const leads = member.memberId === this.#leader;
    const members = leads ? [...this.#members.values()] : [];
    return {
      error: 'NONE',
      memberId: member.memberId,
      generation: this.#generation,
      protocolType: this.#protocolType,
      protocolName: this.#protocolName,
      leader: this.#leader ?? '',
      skipAssignment: false,
      members: members.map((one) => ({
        memberId: one.memberId,
        instanceId: one.instanceId,
        metadata: one.metadata(this.#protocolName),
      })),
    };
  }

  #assignmentOf(member: ClassicMember): SyncResult {
    return {
      error: 'NONE',
      protocolType: this.#protocolType,
      protocolName: this.#protocolName,
      assignment: member.assignment,
    };
  }

  #longestRebalanceMs(): number {
    return Math.max(1, ...[...this.#members.values()].map((member) => member.rebalanceTimeoutMs));
  }
}
