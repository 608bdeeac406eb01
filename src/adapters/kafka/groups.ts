import { MillraceError } from '../../kernel/index.ts';
import { normalisePosition } from '../../streams/coordination/index.ts';
import {
  DeleteGroups,
  DescribeGroups,
  ListGroups,
  OffsetDelete,
  readAssignment,
} from '../../streams/kafka-protocol/index.ts';
import type {
  GroupAdmin,
  GroupInfo,
  OffsetCommit,
  ProducerIdentity,
  TopicPartition,
} from '../../streams/port.ts';
import { placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { CODES, failedWith, KafkaFailure, requireOk, saidInPort } from './failure.ts';
import { PROTOCOL_NAME, PROTOCOL_TYPE } from './group-member.ts';
import type { GroupPositions } from './group-positions.ts';
import type { KafkaMembership } from './membership.ts';
import type { Names } from './names.ts';
import { writeMetadata } from './positions.ts';
import type { TransactionCalls } from './transactions.ts';

const LIST_GROUPS = 4;
const DESCRIBE_GROUPS = 5;
const DELETE_GROUPS = 2;
const OFFSET_DELETE = 0;
const WANTED_FOR_MS = 60_000;

interface GroupsParts {
  readonly cluster: Cluster;
  readonly names: Names;
  readonly positions: GroupPositions;
  readonly calls: TransactionCalls;
  readonly members: ReadonlySet<KafkaMembership>;
  /** Throws PRODUCER_UNKNOWN. */
  transactionalIdOf(producer: ProducerIdentity): Promise<string>;
  /** The transaction has positions of the group in it. */
  addedOffsets(producer: ProducerIdentity, group: string, partitions: readonly TopicPartition[]): void;
  pending(group: string): readonly TopicPartition[];
  requirePartitions(places: readonly TopicPartition[]): Promise<void>;
  deleteChangelogs(group: string): Promise<void>;
}

interface KnownGroup {
  info: GroupInfo;
  offsets: Map<string, OffsetCommit>;
}

/** The groups of the cluster as last seen: exact for what this process did, as old as the last look for the rest. */
export class GroupCatalog {
  readonly #parts: GroupsParts;
  readonly #groups = new Map<string, KnownGroup>();
  #wantedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: GroupsParts) {
    this.#parts = parts;
  }

  /** Whether somebody has asked lately. */
  get wanted(): boolean {
    return performance.now() - this.#wantedMs < WANTED_FOR_MS;
  }

  committed(group: string, offsets: readonly OffsetCommit[]): void {
    const known = this.#known(group);
    for (const one of offsets) known.offsets.set(placeKey(one), one);
  }

  forgetTopic(topic: string): void {
    for (const { offsets } of this.#groups.values()) {
      for (const [key, one] of offsets) if (one.topic === topic) offsets.delete(key);
    }
  }

  /** Reads all groups, or one. */
  async sync(group?: string): Promise<void> {
    const found = group === undefined ? await this.#listed() : [group];
    if (group === undefined) {
      for (const name of this.#groups.keys()) if (!found.includes(name)) this.#groups.delete(name);
    }
    await Promise.all(found.map((name) => this.#read(name)));
  }

  readonly admin: GroupAdmin = {
    list: () => {
      this.#wantedMs = performance.now();
      return [...this.#groups.keys()]
        .filter((group) => this.#isThere(group))
        .map((group) => this.#infoOf(group));
    },
    find: (group) => {
      this.#wantedMs = performance.now();
      return this.#isThere(group) ? this.#infoOf(group) : undefined;
    },
    holder: () => undefined,
    hold: () => {
      throw new MillraceError(
        'UNAVAILABLE',
        'The Kafka cluster keeps the members of consumer groups itself. Point clients at its brokers.',
      );
    },
    pending: (group) => this.#parts.pending(group),
    offsets: (group, partitions) => {
      this.#wantedMs = performance.now();
      const offsets = this.#groups.get(group)?.offsets;
      if (!offsets) return [];
      if (partitions) return partitions.flatMap((one) => offsets.get(placeKey(one)) ?? []);
      return [...offsets.values()].sort((a, b) =>
        a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
      );
    },
    setOffsets: (group, offsets, options = {}) => saidInPort(() => this.#setOffsets(group, offsets, options)),
    deleteOffsets: (group, partitions) => saidInPort(() => this.#deleteOffsets(group, partitions)),
    delete: (group) => saidInPort(() => this.#delete(group)),
  };

  #known(group: string): KnownGroup {
    let known = this.#groups.get(group);
    if (!known) {
      const info: GroupInfo = { group, state: 'empty', epoch: 0, members: [] };
      this.#groups.set(group, (known = { info, offsets: new Map() }));
    }
    return known;
  }

  #isThere(group: string): boolean {
    const known = this.#groups.get(group);
    return known !== undefined && (known.offsets.size > 0 || known.info.members.length > 0);
  }

  /** What the cluster said, with the epoch of this process's members: it tells nobody else. */
  #infoOf(group: string): GroupInfo {
    const { info } = this.#groups.get(group)!;
    const member = this.#localMember(group);
    return member ? { ...info, epoch: member.member.generation } : info;
  }

  #localMember(group: string): KafkaMembership | undefined {
    return [...this.#parts.members].find((one) => one.group === group && !one.member.ended);
  }

  async #listed(): Promise<string[]> {
    const { cluster, names } = this.#parts;
    const answers = await Promise.all(
      cluster.nodes.map((node) =>
        cluster.call(node, 'control', ListGroups, LIST_GROUPS, { statesFilter: [], typesFilter: [] }),
      ),
    );
    return answers
      .flatMap(({ groups }) => groups)
      .flatMap(({ groupId, protocolType }) => {
        const name = names.fromCluster(groupId);
        return name === undefined || !(protocolType === '' || protocolType === PROTOCOL_TYPE) ? [] : [name];
      });
  }

  async #read(group: string): Promise<void> {
    const { cluster, names, positions } = this.#parts;
    const inCluster = names.inCluster(group);
    const request = { groups: [inCluster], includeAuthorizedOperations: false };
    const [answer, offsets] = await Promise.all([
      cluster.callCoordinator('group', inCluster, 'control', DescribeGroups, DESCRIBE_GROUPS, request),
      positions.fetch(inCluster, null, false),
    ]);
    const [found] = answer.groups;
    if (found!.errorCode === CODES.NOT_COORDINATOR) {
      cluster.forgetCoordinator('group', inCluster);
      return;
    }
    const known = this.#known(group);
    known.offsets = new Map(
      [...offsets.values()].flatMap((one) => {
        const topic = names.fromCluster(one.topic);
        return topic === undefined ? [] : [[placeKey({ ...one, topic }), { ...one, topic }] as const];
      }),
    );
    known.info = this.#described(group, found!);
  }

  #described(group: string, found: DescribedGroup): GroupInfo {
    const members = found.members.map(({ memberId, groupInstanceId, memberAssignment }) => ({
      memberId,
      ...(groupInstanceId === null ? {} : { instanceId: groupInstanceId }),
      partitions: readAssignment(memberAssignment).flatMap(({ topic, partition }) => {
        const name = this.#parts.names.fromCluster(topic);
        return name === undefined ? [] : [{ topic: name, partition }];
      }),
    }));
    const state = found.groupState === 'Stable' ? 'stable' : members.length > 0 ? 'rebalancing' : 'empty';
    const kind = found.protocolData === PROTOCOL_NAME ? 'platform' : 'classic';
    return { group, kind, state, epoch: this.#groups.get(group)?.info.epoch ?? 0, members };
  }

  async #setOffsets(
    group: string,
    offsets: readonly OffsetCommit[],
    { epoch, producer, admit }: NonNullable<Parameters<GroupAdmin['setOffsets']>[2]>,
  ): Promise<void> {
    admit?.();
    const checked = offsets.map(normalisePosition);
    await this.#parts.requirePartitions(checked);
    const { names, calls, positions } = this.#parts;
    const inCluster = names.inCluster(group);
    const written = checked.map((one) => ({
      ...{ topic: names.inCluster(one.topic), partition: one.partition, offset: one.offset },
      ...{ leaderEpoch: one.leaderEpoch ?? -1, metadata: writeMetadata(one) },
    }));
    const nobody = { group: inCluster, generation: -1, memberId: '', instanceId: null };
    if (producer) {
      const id = await this.#parts.transactionalIdOf(producer);
      await calls.addOffsets(id, producer, inCluster);
      await calls.commitOffsets(id, producer, nobody, written);
      this.#parts.addedOffsets(producer, group, checked);
      return;
    }
    if (epoch === undefined) await positions.commit(nobody, written);
    else {
      const local = this.#localMember(group)?.member.identity;
      await positions.commit({ ...(local ?? nobody), generation: epoch }, written).catch((error) => {
        throw failedWith(error, CODES.UNKNOWN_MEMBER_ID)
          ? new KafkaFailure(CODES.ILLEGAL_GENERATION, 'set offsets')
          : error;
      });
      for (const one of this.#parts.members) if (one.group === group) one.moved(checked);
    }
    this.committed(group, checked);
  }

  async #deleteOffsets(group: string, partitions: readonly TopicPartition[]): Promise<void> {
    const { cluster, names } = this.#parts;
    const groupId = names.inCluster(group);
    const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, of]) => ({
      name: names.inCluster(name),
      partitions: of.map(({ partition }) => ({ partitionIndex: partition })),
    }));
    const answer = await cluster.callCoordinator('group', groupId, 'control', OffsetDelete, OFFSET_DELETE, {
      groupId,
      topics,
    });
    requireOk(answer.errorCode, `delete offsets of '${group}'`);
    for (const { partitions: of } of answer.topics) {
      for (const { errorCode } of of) requireOk(errorCode, `delete offsets of '${group}'`);
    }
    const offsets = this.#groups.get(group)?.offsets;
    for (const one of partitions) offsets?.delete(placeKey(one));
  }

  async #delete(group: string): Promise<void> {
    const { cluster, names } = this.#parts;
    const groupId = names.inCluster(group);
    const request = { groupsNames: [groupId] };
    const answer = await cluster.callCoordinator(
      'group',
      groupId,
      'control',
      DeleteGroups,
      DELETE_GROUPS,
      request,
    );
    requireOk(answer.results[0]!.errorCode, `delete the group '${group}'`);
    this.#groups.delete(group);
    await this.#parts.deleteChangelogs(group);
  }
}

interface DescribedGroup {
  readonly groupState: string;
  readonly protocolData: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly groupInstanceId: string | null;
    readonly memberAssignment: Uint8Array;
  }[];
}
