import { MillraceError } from '../../kernel/index.ts';
import {
  type CommitTurn,
  createCommitOrder,
  type GroupChange,
  type Share,
  type TransactionChange,
} from '../coordination/index.ts';
import type {
  Assignment,
  Commit,
  CommitResult,
  GroupAdmin,
  JoinOptions,
  Membership,
  Position,
  TopicPartition,
} from '../port.ts';
import type { Prepared } from './appender.ts';
import type { Core } from './core.ts';
import type { StateStores } from './state-stores.ts';

export interface GroupParts {
  readonly groups: GroupAdmin;
  join(group: string, topics: readonly string[], options?: JoinOptions): Promise<Membership>;
}

export function createGroupAdmin(core: Core, states: StateStores, onTransaction: () => void): GroupParts {
  const { groups, appender, transactions, clock } = core;

  /** `decide` throws before anything happens. */
  const write = (decide: () => GroupChange | TransactionChange) =>
    appender.transact(0, () => ({ batches: [], changes: [decide()] }));

  const admin: GroupAdmin = {
    list: () => groups.list(),
    find: (group) => groups.find(group),
    offsets: (group, partitions) => groups.offsets(group, partitions),
    async setOffsets(group, offsets, options = {}) {
      const { producer, epoch } = options;
      if (!producer) {
        await write(() => groups.setOffsets(group, offsets, epoch === undefined ? {} : { epoch }));
        return;
      }
      const id = transactions.idOf(producer.producerId);
      await core.mutex(`transaction ${id}`, async () => {
        await write(() => {
          const valid = groups.checkOffsets(group, offsets, epoch);
          return transactions.addOffsets(producer, group, valid, clock.now());
        });
      });
      onTransaction();
    },
    async deleteOffsets(group, partitions) {
      await write(() => groups.deleteOffsets(group, partitions));
    },
    async delete(group) {
      await write(() => groups.delete(group));
      states.forget(group);
    },
  };

  /** Commits under way, by group: what follows a rebalance must see those that were let through before it (L4, L5). */
  const underWay = new Map<string, Set<Promise<unknown>>>();
  const settled = async (group: string): Promise<void> => {
    await Promise.allSettled(underWay.get(group) ?? []);
  };
  const noteCommit = (group: string, commit: Promise<CommitResult>): Promise<CommitResult> => {
    const commits = underWay.get(group) ?? new Set();
    underWay.set(group, commits.add(commit));
    const forget = (): void => {
      commits.delete(commit);
      if (commits.size === 0 && underWay.get(group) === commits) underWay.delete(group);
    };
    commit.then(forget, forget);
    return commit;
  };

  const present = (share: Share, options: JoinOptions): Assignment => {
    const known = new Map<string, Promise<Position>>();
    share.revoked.addEventListener('abort', () => {
      if (groups.find(share.group)?.members.length === 0) states.forget(share.group);
    });
    const inOrder = createCommitOrder();
    return {
      group: share.group,
      memberId: share.memberId,
      epoch: share.epoch,
      partitions: share.partitions,
      revoked: share.revoked,
      position(partition) {
        const key = `${partition.partition}/${partition.topic}`;
        let found = known.get(key);
        if (!found) {
          found = firstPosition(share, partition, options.from ?? 'start');
          known.set(key, found);
          found.catch(() => known.delete(key)); // the caller has the error; the next call tries again
        }
        return found.then((first) => positionOf(groups.position(share.group, partition)) ?? first);
      },
      async state(store, partition) {
        await settled(share.group);
        return states.view(share.group, store, partition);
      },
      commit: (commit) =>
        noteCommit(
          share.group,
          inOrder((turn) => commitShare(share, commit, turn)),
        ),
    };
  };

  const firstPosition = async (
    share: Share,
    partition: TopicPartition,
    from: 'start' | 'end',
  ): Promise<Position> => {
    await settled(share.group);
    const committed = positionOf(groups.position(share.group, partition));
    if (committed) return committed;
    const bounds = core.topics.partition(partition).bounds();
    const offset = from === 'start' ? bounds.logStartOffset : bounds.highWatermark;
    const first: Position = { offset, done: [] };
    const { topic, partition: number } = partition;
    await write(() =>
      groups.commitOffsets(share, {
        offsets: groups.holds(share) ? [{ topic, partition: number, ...first }] : [],
        state: [],
      }),
    );
    return first;
  };

  const commitShare = async (share: Share, commit: Commit, turn: CommitTurn): Promise<CommitResult> => {
    if (!groups.holds(share)) return { status: 'FENCED' };
    // Without a wait where nothing is to be made: commits keep the order of their calls.
    const making = states.prepare(share.group, commit.state);
    if (making) await making;
    const appends = commit.appends.map((input) => appender.prepare(input));
    const changelogs = states.encode(share.group, commit.state);
    const bytes = sizeOf(appends) + sizeOf(changelogs);
    let fenced = false;
    try {
      const durable = appender.transact(bytes, () => {
        fenced = turn.overtaken() || !groups.holds(share);
        if (fenced) throw new MillraceError('GROUP_FENCED', `Group '${share.group}' has moved on.`);
        const change = groups.commitOffsets(share, commit);
        const changes = commit.offsets.length > 0 ? [change] : [];
        return { batches: [...appends, ...changelogs], changes };
      });
      turn.ordered(); // what comes now waits behind it, for room and for the disk
      const results = await durable;
      states.apply(share.group, commit.state);
      return { status: 'COMMITTED', appends: results.slice(0, appends.length) };
    } catch (error) {
      if (fenced) return { status: 'FENCED' };
      throw error;
    }
  };

  return {
    groups: admin,
    async join(group, topics, options = {}) {
      const memberId = Buffer.from(core.random.bytes(16)).toString('hex');
      return groups.join(group, memberId, topics, options, (share) => present(share, options));
    },
  };
}

function sizeOf(batches: readonly Prepared[]): number {
  return batches.reduce((sum, one) => sum + one.batch.length, 0);
}

function positionOf(committed: Position | undefined): Position | undefined {
  if (!committed) return undefined;
  const { offset, done, metadata } = committed;
  return { offset, done, ...(metadata === undefined ? {} : { metadata }) };
}
