import { Buffer } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../../../kernel/index.ts';
import type { GroupAdmin, GroupHolder, LogStore, TopicPartition } from '../../../streams/index.ts';
import { readAssignment, readSubscription } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError, type KafkaErrorName } from '../errors.ts';
import type { Broker, RequestContext } from '../handler.ts';
import { ClassicGroup, type ClassicParts, DEFAULT_CLASSIC_SETTINGS } from './classic-group.ts';
import type { ClassicDoor } from './classic-types.ts';
import { ConsumerGroup, type ConsumerParts, DEFAULT_CONSUMER_SETTINGS } from './consumer-group.ts';
import { compileRegex } from './regex.ts';

/** Whoever commits, as the three APIs that commit name it. */
export interface Committer {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** The generation of a classic group, the member's epoch in one of the newer protocol; below 0: no member. */
  readonly epoch: number;
  readonly transactional: boolean;
  /** Whether the request's version knows the newer protocol. */
  readonly knowsEpochs: boolean;
}

/**
 * The groups of Kafka clients, kept behind the log's port: the log knows who holds which group, so that members of the
 * platform and of the two protocols never mix in one.
 */
export class GroupCoordinator {
  readonly #log: LogStore;
  readonly #classicParts: ClassicParts;
  readonly #consumerParts: Omit<ConsumerParts, 'downgrade'>;
  /** Commits under way, by group: who asks for positions sees those that were taken before. */
  readonly #underWay = new Map<string, Set<Promise<unknown>>>();

  constructor({ streams, clock, random }: Pick<Broker, 'streams' | 'clock' | 'random'>) {
    this.#log = streams.log;
    const makeId = (): string => uuidOf(random.bytes(16));
    this.#classicParts = {
      ...{ clock, makeId, readAssignment, readSubscription },
      settings: DEFAULT_CLASSIC_SETTINGS,
    };
    this.#consumerParts = {
      clock,
      settings: DEFAULT_CONSUMER_SETTINGS,
      topics: () => this.#log.topics.list().filter((topic) => !topic.internal),
      compile: compileRegex,
      ...{ makeId, pause: nextTurn },
    };
  }

  /**
   * Offsets below 0 that were committed: no position, but clients that reset a group like to read them back. They are
   * forgotten with the next commit, and when the platform starts again.
   */
  readonly unset = new UnsetPositions();

  get groups(): GroupAdmin {
    return this.#log.groups;
  }

  /** The group's members of the classic protocol, if it has such. */
  classic(group: string): ClassicGroup | undefined {
    const holder = this.groups.holder(group);
    return holder && ClassicGroup.is(holder) ? holder : undefined;
  }

  consumer(group: string): ConsumerGroup | undefined {
    const holder = this.groups.holder(group);
    return holder && ConsumerGroup.is(holder) ? holder : undefined;
  }

  /** For members of the classic protocol, in whatever group they are. */
  classicDoor(group: string): ClassicDoor | undefined {
    return this.classic(group) ?? this.consumer(group)?.classic;
  }

  /** For a member that joins. Throws INCONSISTENT_GROUP_PROTOCOL while members of the platform are in the group. */
  holdClassic(group: string): ClassicDoor {
    const consumers = this.consumer(group);
    if (consumers && consumers.size > 0) return consumers.classic;
    return this.#makeClassic(group);
  }

  #makeClassic(group: string): ClassicGroup {
    const make = (epoch: number): ClassicGroup => new ClassicGroup(epoch, this.#classicParts);
    return this.#hold(group, make, ClassicGroup.is, 'INCONSISTENT_GROUP_PROTOCOL');
  }

  /**
   * For a member that joins. A group of consumers of the classic protocol becomes one of the newer, with all its members. Throws
   * GROUP_ID_NOT_FOUND while members of another kind are in the group.
   */
  holdConsumer(group: string): ConsumerGroup {
    const moving = this.classic(group)?.surrender() ?? [];
    const downgrade = (): void => this.#downgrade(group);
    const make = (epoch: number): ConsumerGroup => {
      const made = new ConsumerGroup(epoch, { ...this.#consumerParts, downgrade });
      if (moving.length > 0) made.adopt(moving);
      return made;
    };
    return this.#hold(group, make, ConsumerGroup.is, 'GROUP_ID_NOT_FOUND');
  }

  /** The last member of the newer protocol has left. */
  #downgrade(group: string): void {
    const moving = this.consumer(group)!.surrender();
    this.#makeClassic(group).adopt(moving);
  }

  newMemberId(): string {
    return this.#classicParts.makeId();
  }

  #hold<Holder extends GroupHolder>(
    group: string,
    make: (epoch: number) => Holder,
    matches: (holder: GroupHolder) => holder is Holder,
    refusal: KafkaErrorName,
  ): Holder {
    try {
      return this.groups.hold(group, make, matches);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === 'BAD_REQUEST') throw new KafkaError('INVALID_GROUP_ID', error.message);
      if (error.code === 'GROUP_NOT_EMPTY') throw new KafkaError(refusal, error.message);
      throw error;
    }
  }

  /** Throws KafkaError unless whoever it is may commit positions of the group now; asked again where they take effect. */
  admitCommit(group: string, committer: Committer): void {
    const { memberId, instanceId, epoch, transactional, knowsEpochs } = committer;
    const holder = this.groups.holder(group);
    if (holder && ClassicGroup.is(holder)) {
      holder.admitCommit({ memberId, instanceId, generation: epoch }, transactional);
    } else if (holder && ConsumerGroup.is(holder)) {
      if (!knowsEpochs && !transactional && epoch >= 0 && !holder.usesClassic(memberId)) {
        throw new KafkaError('UNSUPPORTED_VERSION', `Group '${group}' needs version 9 of OffsetCommit.`);
      }
      holder.admitCommit(memberId, epoch, transactional);
    } else if (holder && holder.size > 0) {
      throw new KafkaError('UNKNOWN_MEMBER_ID', `Group '${group}' has members of the platform.`);
    } else if (epoch >= 0 && !transactional) {
      if (this.groups.find(group)) throw new KafkaError('UNKNOWN_MEMBER_ID');
      throw new KafkaError(knowsEpochs ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION');
    }
  }

  noteCommit(group: string, commit: Promise<unknown>): void {
    const commits = this.#underWay.get(group) ?? new Set();
    this.#underWay.set(group, commits.add(commit));
    const forget = (): void => {
      commits.delete(commit);
      if (commits.size === 0 && this.#underWay.get(group) === commits) this.#underWay.delete(group);
    };
    commit.then(forget, forget);
  }

  /** Resolves when all commits that were taken by now can be read. */
  async settled(group: string): Promise<void> {
    const commits = this.#underWay.get(group);
    if (commits) await Promise.allSettled(commits);
  }
}

const MOST_UNSET = 10_000;

class UnsetPositions {
  readonly #offsets = new Map<string, number>();

  find(group: string, place: TopicPartition): number | undefined {
    return this.#offsets.get(unsetKey(group, place));
  }

  note(group: string, places: readonly (TopicPartition & { readonly offset: number })[]): void {
    for (const place of places) {
      const key = unsetKey(group, place);
      if (place.offset >= 0) this.#offsets.delete(key);
      else if (this.#offsets.size < MOST_UNSET) this.#offsets.set(key, place.offset);
    }
  }
}

const unsetKey = (group: string, { topic, partition }: TopicPartition): string =>
  `${partition}/${topic}/${group}`;

/** Throws INVALID_GROUP_ID, GROUP_AUTHORIZATION_FAILED. */
export function requireGroup(group: string, context: RequestContext): void {
  if (group === '') throw new KafkaError('INVALID_GROUP_ID', 'A group needs a name.');
  if (!context.permits('read', `group/${group}`)) throw new KafkaError('GROUP_AUTHORIZATION_FAILED');
}

/** The code that a group's name or the principal is refused with; 0 where neither is. */
export function groupRefusal(group: string, context: RequestContext): number {
  try {
    requireGroup(group, context);
    return 0;
  } catch (error) {
    if (error instanceof KafkaError) return error.code;
    throw error;
  }
}

/** As Apache Kafka shows a client's address. */
export const hostOf = (context: RequestContext): string => `/${context.peer}`;

function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
