import { type Clock, LIMITS, MillraceError } from '../../kernel/index.ts';
import type {
  Assignment,
  Commit,
  GroupHolder,
  GroupInfo,
  JoinOptions,
  Membership,
  OffsetCommit,
  Position,
  TopicPartition,
} from '../port.ts';
import { GroupOffsets, normalisePosition } from './group-offsets.ts';
import { GroupMembers, type Share } from './members.ts';

/** Plain JSON; replaying the changes over a snapshot gives the positions again. */
export type GroupChange =
  | {
      readonly kind: 'group-offsets';
      readonly group: string;
      /** So that epochs go on growing after a restart. */
      readonly epoch: number;
      readonly offsets: readonly OffsetCommit[];
    }
  | {
      readonly kind: 'group-offsets-gone';
      readonly group: string;
      readonly partitions: readonly TopicPartition[];
    }
  | { readonly kind: 'group-gone'; readonly group: string };

export interface GroupsSnapshot {
  readonly groups: readonly {
    readonly group: string;
    readonly epoch: number;
    readonly offsets: readonly OffsetCommit[];
  }[];
}

/** How many groups may be known before those that hold nothing are forgotten. */
const VACANT_GROUPS = 1_000;

interface Group {
  readonly name: string;
  readonly offsets: GroupOffsets;
  /** The highest epoch that is known from a holder before or from before a restart. */
  epochFloor: number;
  holder: GroupHolder | undefined;
}

/**
 * All consumer groups of a store. Positions change only by `apply`, once a change is durable; membership is volatile.
 *
 * G1 Positions outlive members; members do not outlive the process.
 * G2 The epoch of a group grows as long as the group is known, restarts included.
 */
export class Groups {
  readonly #groups = new Map<string, Group>();
  readonly #clock: Clock;
  readonly #partitionsOf: (topic: string) => number | undefined;
  #sweepAt = VACANT_GROUPS;

  /** `partitionsOf` answers undefined for a topic that is not there. */
  constructor(clock: Clock, partitionsOf: (topic: string) => number | undefined, snapshot?: GroupsSnapshot) {
    this.#clock = clock;
    this.#partitionsOf = partitionsOf;
    for (const { group, epoch, offsets } of snapshot?.groups ?? []) {
      this.#make(group, epoch).offsets.set(offsets);
    }
  }

  /**
   * A member of this process. Throws STREAM_NOT_FOUND, BAD_REQUEST, and GROUP_NOT_EMPTY while members of another kind
   * hold the group.
   */
  join(
    name: string,
    memberId: string,
    topics: readonly string[],
    options: JoinOptions,
    present: (share: Share) => Assignment,
  ): Membership {
    checkName(name);
    if (topics.length === 0)
      throw new MillraceError('BAD_REQUEST', `Group '${name}' needs a stream to join.`);
    for (const topic of topics) {
      if (this.#partitionsOf(topic) === undefined) throw topicMissing(topic);
    }
    const group = this.#groups.get(name) ?? this.#make(name, 0);
    const holder = this.hold(
      name,
      (epoch) => new GroupMembers(name, epoch, this.#clock, (topic) => this.#partitionsOf(topic) ?? 0),
      (found): found is GroupMembers => found instanceof GroupMembers,
    );
    const membership = holder.join(memberId, topics, options, present);
    group.epochFloor = holder.epoch;
    return membership;
  }

  /** See `GroupAdmin.hold`. */
  hold<Holder extends GroupHolder>(
    name: string,
    make: (epoch: number) => Holder,
    matches: (holder: GroupHolder) => holder is Holder,
  ): Holder {
    checkName(name);
    const group = this.#groups.get(name) ?? this.#make(name, 0);
    if (group.holder && matches(group.holder)) return group.holder;
    if (group.holder && group.holder.size > 0) throw notEmpty(name, 'members of another kind');
    group.epochFloor = epochOf(group);
    group.holder?.close();
    const made = make(group.epochFloor);
    group.holder = made;
    return made;
  }

  holder(name: string): GroupHolder | undefined {
    return this.#groups.get(name)?.holder;
  }

  /** Whether the share is still its member's. */
  holds(share: Share): boolean {
    const holder = this.#groups.get(share.group)?.holder;
    return holder instanceof GroupMembers && holder.holds(share);
  }

  list(): GroupInfo[] {
    return [...this.#groups.keys()].sort().map((name) => this.find(name)!);
  }

  find(name: string): GroupInfo | undefined {
    const group = this.#groups.get(name);
    if (!group) return undefined;
    const members = group.holder?.info() ?? [];
    const state = members.length === 0 ? 'empty' : (group.holder?.state ?? 'stable');
    const kind = group.holder ? { kind: group.holder.kind } : {};
    return { group: name, ...kind, state, epoch: epochOf(group), members };
  }

  position(name: string, partition: TopicPartition): Position | undefined {
    return this.#groups.get(name)?.offsets.get(partition);
  }

  offsets(name: string, partitions?: readonly TopicPartition[]): OffsetCommit[] {
    return this.#groups.get(name)?.offsets.list(partitions) ?? [];
  }

  /**
   * The change that a commit of a share's positions makes. Throws BAD_REQUEST for positions or state outside the share,
   * and for positions that are none. Ask `holds` first.
   */
  commitOffsets(share: Share, commit: Pick<Commit, 'offsets' | 'state'>): GroupChange {
    const mine = new Set(share.partitions.map((one) => `${one.partition}/${one.topic}`));
    const numbers = new Set(share.partitions.map((one) => one.partition));
    for (const one of commit.offsets) {
      if (!mine.has(`${one.partition}/${one.topic}`))
        throw outside(share, `'${one.topic}' partition ${one.partition}`);
    }
    for (const one of commit.state) {
      if (!numbers.has(one.partition)) throw outside(share, `the state of partition ${one.partition}`);
    }
    return this.#offsetsChange(share.group, commit.offsets);
  }

  /**
   * The change that `setOffsets` makes. Throws GROUP_FENCED, GROUP_NOT_EMPTY, STREAM_NOT_FOUND, PARTITION_NOT_FOUND,
   * BAD_REQUEST.
   */
  setOffsets(
    name: string,
    offsets: readonly OffsetCommit[],
    { epoch, admit }: { epoch?: number; admit?: () => void } = {},
  ): GroupChange {
    if (admit) admit();
    else if (epoch === undefined) this.requireEmpty(name);
    this.checkOffsets(name, offsets, epoch);
    return this.#offsetsChange(name, offsets);
  }

  /** What `setOffsets` checks, for positions that wait for a transaction; members of the group do not matter. */
  checkOffsets(name: string, offsets: readonly OffsetCommit[], epoch?: number): OffsetCommit[] {
    checkName(name);
    const group = this.#groups.get(name);
    const current = group ? epochOf(group) : 0;
    if (epoch !== undefined && epoch !== current) throw groupFenced(name, epoch, current);
    for (const one of offsets) this.#requirePartition(one);
    return offsets.map(normalisePosition);
  }

  /** Positions of a transaction, checked when they were added; the group may have gone on since. */
  transactionOffsets(name: string, offsets: readonly OffsetCommit[]): GroupChange {
    return this.#offsetsChange(name, offsets);
  }

  /** Throws GROUP_NOT_EMPTY. */
  requireEmpty(name: string): void {
    if ((this.#groups.get(name)?.holder?.size ?? 0) > 0) throw notEmpty(name, 'members');
  }

  /** Throws GROUP_NOT_FOUND. */
  deleteOffsets(name: string, partitions: readonly TopicPartition[]): GroupChange {
    this.#require(name);
    return { kind: 'group-offsets-gone', group: name, partitions };
  }

  /** Throws GROUP_NOT_FOUND, GROUP_NOT_EMPTY. */
  delete(name: string): GroupChange {
    this.#require(name);
    this.requireEmpty(name);
    return { kind: 'group-gone', group: name };
  }

  apply(change: GroupChange): void {
    if (change.kind === 'group-gone') {
      this.#groups.get(change.group)?.holder?.close();
      this.#groups.delete(change.group);
    } else if (change.kind === 'group-offsets-gone')
      this.#groups.get(change.group)?.offsets.delete(change.partitions);
    else {
      const group = this.#groups.get(change.group) ?? this.#make(change.group, change.epoch);
      group.epochFloor = Math.max(group.epochFloor, change.epoch);
      group.offsets.set(change.offsets);
    }
  }

  topicsChanged(): void {
    for (const { holder } of this.#groups.values()) holder?.topicsChanged();
  }

  /** A topic is gone, and the positions on it with it. */
  forgetTopic(topic: string): void {
    for (const { offsets } of this.#groups.values()) offsets.forgetTopic(topic);
    this.topicsChanged();
  }

  snapshot(): GroupsSnapshot {
    return {
      groups: this.#groups
        .values()
        .map((group) => ({ group: group.name, epoch: epochOf(group), offsets: group.offsets.list() }))
        .toArray(),
    };
  }

  /** Ends every membership. */
  close(): void {
    for (const { holder } of this.#groups.values()) holder?.close();
  }

  #offsetsChange(name: string, offsets: readonly OffsetCommit[]): GroupChange {
    const group = this.#groups.get(name);
    const epoch = group ? epochOf(group) : 0;
    return { kind: 'group-offsets', group: name, epoch, offsets: offsets.map(normalisePosition) };
  }

  #make(name: string, epochFloor: number): Group {
    if (this.#groups.size >= this.#sweepAt) this.#forgetVacant();
    const group: Group = { name, offsets: new GroupOffsets(), epochFloor, holder: undefined };
    this.#groups.set(name, group);
    return group;
  }

  /** Groups that nobody is in and that hold no position: whoever makes up names must not fill the memory. */
  #forgetVacant(): void {
    for (const [name, { holder, offsets }] of this.#groups) {
      if ((holder?.size ?? 0) > 0 || offsets.size > 0) continue;
      holder?.close();
      this.#groups.delete(name);
    }
    this.#sweepAt = Math.max(VACANT_GROUPS, 2 * this.#groups.size);
  }

  #require(name: string): void {
    if (this.#groups.has(name)) return;
    throw new MillraceError('GROUP_NOT_FOUND', `There is no consumer group '${name}'. Check the name.`);
  }

  #requirePartition({ topic, partition }: TopicPartition): void {
    const partitions = this.#partitionsOf(topic);
    if (partitions === undefined) throw topicMissing(topic);
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return;
    throw new MillraceError(
      'PARTITION_NOT_FOUND',
      `'${topic}' has ${partitions} partitions, no partition ${partition}.`,
    );
  }
}

function epochOf(group: Group): number {
  return Math.max(group.epochFloor, group.holder?.epoch ?? 0);
}

function checkName(name: string): void {
  if (name.length > 0 && name.length <= LIMITS.nameLength) return;
  throw new MillraceError(
    'BAD_REQUEST',
    `A consumer group's name has 1 to ${LIMITS.nameLength} characters, not ${name.length}.`,
  );
}

function topicMissing(topic: string): MillraceError {
  return new MillraceError('STREAM_NOT_FOUND', `There is no stream '${topic}'. Create it first.`);
}

function outside(share: Share, what: string): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    `Member '${share.memberId}' of group '${share.group}' was not given ${what}. Commit what its assignment has.`,
  );
}

function notEmpty(name: string, who: string): MillraceError {
  return new MillraceError('GROUP_NOT_EMPTY', `Consumer group '${name}' has ${who}. Stop them first.`);
}

function groupFenced(name: string, epoch: number, current: number): MillraceError {
  return new MillraceError(
    'GROUP_FENCED',
    `Consumer group '${name}' is at epoch ${current}, not ${epoch}. Join again and go on from its positions.`,
  );
}
