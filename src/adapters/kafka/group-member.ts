import { signal } from '../../kernel/index.ts';
import { assignPartitions } from '../../streams/coordination/index.ts';
import {
  type AnswerOf,
  type Api,
  type CallOf,
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  readAssignment,
  readOwned,
  readSubscription,
  SyncGroup,
  writeAssignment,
  writeSubscription,
} from '../../streams/kafka-protocol/index.ts';
import type { TopicPartition } from '../../streams/port.ts';
import { placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { CODES, ConnectionLost, failedWith, isPassing, requireOk } from './failure.ts';
import type { GroupIdentity } from './transactions.ts';

/** So that Kafka's own tools can read subscriptions and assignments. */
export const PROTOCOL_TYPE = 'consumer';
/** Of the assignor: groups of other clients do not take part in it by accident. */
export const PROTOCOL_NAME = 'millrace';
const JOIN = 9;
const SYNC = 5;
const HEARTBEAT = 4;
const LEAVE = 5;
const SHORTEST_BEAT_MS = 100;
const LONGEST_BEAT_MS = 1_000;
const AFTER_FAILURE_MS = 100;
/** So that a session has room for a second try, at another coordinator. */
const TRIES_A_SESSION = 2;
/** How much longer than a rebalance may take an answer is waited for. */
const GRACE_MS = 5_000;

interface MemberParts {
  readonly cluster: Cluster;
  readonly group: string;
  /** As the cluster names them. */
  readonly topics: readonly string[];
  readonly instanceId: string | null;
  readonly sessionTimeoutMs: number;
  /** Tells this member's connection from others. */
  readonly connection: string;
  /** The group has been shared out anew. */
  readonly onAssigned: (partitions: readonly TopicPartition[], generation: number) => void;
  /** The coordinator has given the partitions to others, or will. */
  readonly onLost: () => void;
  /** Another member has taken over the instance id. */
  readonly onReplaced: () => void;
  /** What is being committed is finished before the group moves on. */
  readonly quiesce: () => Promise<void>;
}

/**
 * One member of a classic consumer group. The assignor is the platform's own, run by the leader: sticky and in one step,
 * because commits of a former owner are refused by its generation.
 */
export class GroupMember {
  memberId = '';
  generation = -1;
  owned: readonly TopicPartition[] = [];
  readonly #parts: MemberParts;
  #joining = true;
  #left = false;
  #leads = false;
  /** Partitions of each topic as the leader last shared them out. */
  #sharedOut = '';
  #wake: (() => void) | undefined;
  #rejoin = false;
  /** When the coordinator was last heard of for sure: what it had answered was sent then. */
  #lastContactMs = performance.now();
  #silence: NodeJS.Timeout | undefined;
  readonly #beganMs = performance.now();
  readonly #waiting = new Set<() => void>();
  readonly #first = Promise.withResolvers<void>();
  readonly #running: Promise<void>;

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.#first.promise.catch(() => undefined);
    this.#running = this.#run();
  }

  /** Resolves with the first assignment. */
  get joined(): Promise<void> {
    return this.#first.promise;
  }

  get ended(): boolean {
    return this.#left;
  }

  get identity(): GroupIdentity {
    const { group, instanceId } = this.#parts;
    return { group, instanceId, generation: this.generation, memberId: this.memberId };
  }

  /** Resolves when the group is not being shared out, this member has left, or `revoked` has fired. */
  async stable(revoked: AbortSignal): Promise<void> {
    while (this.#joining && !this.#left && !revoked.aborted) await this.#changed();
  }

  /** Resolves when this member has come to `generation`, or has left. */
  async reached(generation: number): Promise<void> {
    while ((this.generation < generation || this.#joining) && !this.#left) await this.#changed();
  }

  /** Asks the coordinator now how things stand. */
  hurry(): void {
    this.#wake?.();
  }

  /** Shares out again if this member leads and topics have changed. */
  topicsChanged(): void {
    if (!this.#leads || this.#joining || this.#counts() === this.#sharedOut) return;
    this.#rejoin = true;
    this.hurry();
  }

  /** A member with an instance id only falls silent: it may come back within the session. */
  async leave(): Promise<void> {
    if (this.#left) return this.#running;
    this.#left = true;
    this.hurry();
    this.#tell();
    const { cluster, group, instanceId } = this.#parts;
    await this.#parts.quiesce();
    if (instanceId === null && this.memberId !== '') {
      const member = { memberId: this.memberId, groupInstanceId: null, reason: null };
      await cluster
        .callCoordinator('group', group, 'control', LeaveGroup, LEAVE, {
          ...{ groupId: group, memberId: '', members: [member] },
        })
        .catch(() => undefined);
    }
    cluster.dropConnections(this.#purpose);
    await this.#running;
  }

  get #purpose(): `member ${string}` {
    return `member ${this.#parts.connection}`;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (!this.#left && !this.#parts.cluster.closed) {
      try {
        await this.#join();
        this.#joining = false;
        this.#first.resolve();
        this.#tell();
        await this.#beat();
        this.#joining = true;
        await this.#parts.quiesce();
      } catch (error) {
        await this.#failed(error);
      }
      this.#joining = true;
    }
    this.#left = true;
    clearTimeout(this.#silence);
    this.#first.reject(new ConnectionLost('The member left before it had joined.'));
    this.#tell();
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#left) return;
    this.#joining = true;
    const { cluster, group } = this.#parts;
    if (failedWith(error, CODES.FENCED_INSTANCE_ID)) {
      this.#left = true;
      this.#first.reject(error);
      this.#parts.onReplaced();
      return;
    }
    if (failedWith(error, CODES.UNKNOWN_MEMBER_ID)) {
      this.memberId = '';
      this.#lose();
      return;
    }
    if (failedWith(error, CODES.ILLEGAL_GENERATION, CODES.REBALANCE_IN_PROGRESS)) return;
    const never = this.generation < 0;
    if (never && performance.now() - this.#beganMs > cluster.options.retryForMs) {
      this.#left = true;
      this.#first.reject(error);
      return;
    }
    if (!isPassing(error)) {
      this.#first.reject(error);
      const message = `A member of the group '${group}' cannot join; it tries again: ${(error as Error).message}`;
      signal('platform.log', { level: 'error', room: 'kafka', message, error });
      if (never) this.#left = true;
    }
    if (this.#silent) this.#lose();
    await this.#lookElsewhere();
  }

  async #lookElsewhere(): Promise<void> {
    const { cluster, group } = this.#parts;
    cluster.forgetCoordinator('group', group);
    cluster.dropConnections(this.#purpose);
    await this.#sleep(AFTER_FAILURE_MS);
    await cluster.refresh().catch(() => undefined);
  }

  /** For a session. */
  get #silent(): boolean {
    return performance.now() - this.#lastContactMs >= this.#parts.sessionTimeoutMs;
  }

  /**
   * What was answered had been sent at `sentMs`. When a session goes by without another answer the coordinator may have given
   * the partitions to others, so they count as lost.
   */
  #heardOf(sentMs: number): void {
    this.#lastContactMs = sentMs;
    clearTimeout(this.#silence);
    const leftMs = sentMs + this.#parts.sessionTimeoutMs - performance.now();
    this.#silence = setTimeout(() => {
      // Who waits for the others to join is known to the coordinator; that call has a bound of its own.
      if (!this.#joining) this.#lose();
    }, leftMs);
    this.#silence.unref();
  }

  #lose(): void {
    if (this.owned.length === 0) return;
    this.owned = [];
    this.#rejoin = true;
    this.#parts.onLost();
    this.#tell();
    this.hurry();
  }

  async #join(): Promise<void> {
    this.#rejoin = false;
    let answer = await this.#askToJoin();
    if (answer.errorCode === CODES.MEMBER_ID_REQUIRED) {
      this.memberId = answer.memberId;
      answer = await this.#askToJoin();
    }
    requireOk(answer.errorCode, `join the group '${this.#parts.group}'`);
    this.memberId = answer.memberId;
    this.#leads = answer.leader === answer.memberId && !answer.skipAssignment;
    const assignments = this.#leads ? await this.#shareOut(answer) : [];
    const { group, instanceId } = this.#parts;
    const sentMs = performance.now();
    const synced = await this.#call(SyncGroup, SYNC, {
      ...{ groupId: group, generationId: answer.generationId, memberId: this.memberId },
      ...{
        groupInstanceId: instanceId,
        protocolType: PROTOCOL_TYPE,
        protocolName: PROTOCOL_NAME,
        assignments,
      },
    });
    requireOk(synced.errorCode, `share out the group '${group}'`);
    this.#heardOf(sentMs);
    this.generation = answer.generationId;
    this.owned = readAssignment(synced.assignment);
    if (!this.#left) this.#parts.onAssigned(this.owned, this.generation);
  }

  #askToJoin(): Promise<AnswerOf<typeof JoinGroup>> {
    const { group, topics, instanceId, sessionTimeoutMs } = this.#parts;
    const metadata = writeSubscription(topics, this.owned);
    return this.#call(JoinGroup, JOIN, {
      ...{ groupId: group, sessionTimeoutMs, rebalanceTimeoutMs: sessionTimeoutMs, memberId: this.memberId },
      ...{ groupInstanceId: instanceId, protocolType: PROTOCOL_TYPE, reason: null },
      protocols: [{ name: PROTOCOL_NAME, metadata }],
    });
  }

  async #shareOut(answer: AnswerOf<typeof JoinGroup>) {
    const { cluster } = this.#parts;
    await cluster.refresh();
    const members = answer.members
      .map(({ memberId, metadata }) => ({
        memberId,
        topics: readSubscription(metadata) ?? [],
        partitions: readOwned(metadata),
      }))
      .sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
    const countOf = (topic: string): number => cluster.topics.get(topic)?.leaders.length ?? 0;
    this.#sharedOut = this.#counts();
    const shares = assignPartitions(members, countOf);
    return [...shares].map(([memberId, places]) => ({ memberId, assignment: writeAssignment(places) }));
  }

  #counts(): string {
    const { cluster, topics } = this.#parts;
    return topics.map((topic) => `${topic}=${cluster.topics.get(topic)?.leaders.length ?? 0}`).join();
  }

  /** Until the group is to be shared out again. Throws what ends the membership as it is. */
  async #beat(): Promise<void> {
    const { group, sessionTimeoutMs } = this.#parts;
    const beatMs = Math.min(Math.max(sessionTimeoutMs / 10, SHORTEST_BEAT_MS), LONGEST_BEAT_MS);
    while (!this.#left && !this.#rejoin) {
      await this.#sleep(beatMs);
      if (this.#left || this.#rejoin) return;
      const sentMs = performance.now();
      try {
        const errorCode = await this.#heartbeat();
        if (errorCode === CODES.REBALANCE_IN_PROGRESS) return;
        requireOk(errorCode, `stay in the group '${group}'`);
        this.#heardOf(sentMs);
      } catch (error) {
        // A coordinator that comes up in another's place knows the group as it was: within the session nothing has changed.
        if (!isPassing(error) || this.#silent) throw error;
        await this.#lookElsewhere();
      }
    }
  }

  async #heartbeat(): Promise<number> {
    const { group, instanceId, sessionTimeoutMs } = this.#parts;
    const request = {
      ...{ groupId: group, groupInstanceId: instanceId },
      ...{ generationId: this.generation, memberId: this.memberId },
    };
    const answer = await this.#call(Heartbeat, HEARTBEAT, request, sessionTimeoutMs / TRIES_A_SESSION);
    return answer.errorCode;
  }

  #call<Of extends Api>(
    of: Of,
    version: number,
    request: CallOf<Of>,
    withinMs = this.#parts.sessionTimeoutMs + GRACE_MS,
  ): Promise<AnswerOf<Of>> {
    const { cluster, group } = this.#parts;
    return cluster.callCoordinator('group', group, this.#purpose, of, version, request, withinMs);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      timer.unref();
      this.#wake = end;
    });
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

export const samePlaces = (a: readonly TopicPartition[], b: readonly TopicPartition[]): boolean =>
  a.length === b.length && new Set([...a, ...b].map(placeKey)).size === a.length;
