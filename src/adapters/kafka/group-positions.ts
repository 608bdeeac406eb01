import { OffsetCommit as OffsetCommitApi, OffsetFetch } from '../../streams/kafka-protocol/index.ts';
import type { OffsetCommit, TopicPartition } from '../../streams/port.ts';
import { placeKey } from './bounds.ts';
import type { Cluster } from './cluster.ts';
import { requireOk } from './failure.ts';
import { type CommittedOffset, readPosition, readRuns, type SpilledAt } from './positions.ts';
import type { ReadPartition } from './reading.ts';
import { retrying } from './retry.ts';
import { type GroupIdentity, offsetTopics } from './transactions.ts';

const OFFSET_FETCH = 8;
const OFFSET_COMMIT = 8;

interface PositionsParts {
  readonly cluster: Cluster;
  /** Where done offsets stand that do not fit the metadata. */
  readonly spillTopic: string;
  readonly read: ReadPartition;
}

/** Committed offsets of groups, as positions with done offsets. Names are those of the cluster. */
export class GroupPositions {
  readonly #parts: PositionsParts;

  constructor(parts: PositionsParts) {
    this.#parts = parts;
  }

  /**
   * Of all partitions that have one, or of those named, by partition. `stable`: waits for transactions that are about to
   * change one of them.
   */
  async fetch(
    group: string,
    places: readonly TopicPartition[] | null,
    stable: boolean,
  ): Promise<Map<string, OffsetCommit>> {
    const topics =
      places &&
      [...Map.groupBy(places, ({ topic }) => topic)].map(([name, of]) => ({
        name,
        partitionIndexes: of.map(({ partition }) => partition),
      }));
    const request = {
      ...{ groupId: '', topics: null, requireStable: stable },
      groups: [{ groupId: group, memberId: null, memberEpoch: -1, topics }],
    };
    const committed = await this.#retrying(group, async () => {
      const answer = await this.#parts.cluster.callCoordinator(
        'group',
        group,
        'control',
        OffsetFetch,
        OFFSET_FETCH,
        request,
      );
      const [found] = answer.groups;
      requireOk(found!.errorCode, `tell the offsets of '${group}'`);
      return found!.topics.flatMap(({ name, partitions }) =>
        partitions.flatMap((one): CommittedOffset[] => {
          const { partitionIndex: partition, committedOffset: offset, metadata, errorCode } = one;
          requireOk(errorCode, `tell the offset of '${group}' in '${name}'`);
          if (offset < 0) return [];
          return [{ topic: name, partition, offset, leaderEpoch: one.committedLeaderEpoch, metadata }];
        }),
      );
    });
    const positions = await Promise.all(committed.map((one) => this.#positionOf(one)));
    return new Map(positions.map((one) => [placeKey(one), one]));
  }

  /** Outside a transaction. `who`: generation -1 for somebody outside the group. */
  async commit(who: GroupIdentity, offsets: readonly CommittedOffset[]): Promise<void> {
    const { group, generation, memberId, instanceId } = who;
    await this.#retrying(group, async () => {
      const answer = await this.#parts.cluster.callCoordinator(
        'group',
        group,
        'control',
        OffsetCommitApi,
        OFFSET_COMMIT,
        {
          ...{ groupId: group, generationIdOrMemberEpoch: generation, memberId, groupInstanceId: instanceId },
          topics: offsetTopics(offsets),
        },
      );
      for (const { name, partitions } of answer.topics) {
        for (const { errorCode } of partitions)
          requireOk(errorCode, `set the offset of '${group}' in '${name}'`);
      }
    });
  }

  async #positionOf(committed: CommittedOffset): Promise<OffsetCommit> {
    const { position, spilledAt } = readPosition(committed);
    return spilledAt ? { ...position, done: await this.#readSpilled(position.offset, spilledAt) } : position;
  }

  async #readSpilled(offset: number, at: SpilledAt): Promise<number[]> {
    const place = { topic: this.#parts.spillTopic, partition: at.partition };
    let runs = '';
    await this.#parts.read(place, { from: at.offset, to: at.offset + 1 }, (record) => {
      runs = Buffer.from(record.value()!).toString();
    });
    return readRuns(offset, runs);
  }

  #retrying<Result>(group: string, work: () => Promise<Result>): Promise<Result> {
    const { cluster } = this.#parts;
    return retrying(work, {
      forMs: cluster.options.retryForMs,
      stopped: () => cluster.closed,
      refresh: () => {
        cluster.forgetCoordinator('group', group);
        return undefined;
      },
    });
  }
}
