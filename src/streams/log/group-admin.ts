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
import { byPlace, type StateStores } from './state-stores.ts';

export interface GroupParts {
  readonly groups: GroupAdmin;
  join(group: string, topics: readonly string[], options?: JoinOptions): Promise<Membership>;
}

class GroupFrames implements GroupParts {
  readonly #onTransaction: () => void;
  readonly #states: StateStores;
  readonly #core: Core;
  readonly #groups: Core['groups'];
  readonly #appender: Core['appender'];
  readonly #transactions: Core['transactions'];
  readonly #clock: Core['clock'];
  readonly #admin: GroupAdmin = {
    list: () => this.#groups.list(),
    find: (group) => this.#groups.find(group),
    holder: (group) => this.#groups.holder(group),
    hold: (group, make, matches) => this.#groups.hold(group, make, matches),
    pending: (group) => this.#transactions.pendingOffsets(group),
    offsets: (group, partitions) => this.#groups.offsets(group, partitions),
    setOffsets: async (group, offsets, options = {}) => {
      const { producer, epoch, admit } = options;
      if (!producer) {
        await this.#write(() => this.#groups.setOffsets(group, offsets, options));
        return;
      }
      const id = this.#transactions.idOf(producer.producerId);
      await this.#core.mutex(`transaction ${id}`, async () => {
        await this.#write(() => {
          admit?.();
          const valid = this.#groups.checkOffsets(group, offsets, epoch);
          return this.#transactions.addOffsets(producer, group, valid, this.#clock.now());
        });
      });
      this.#onTransaction();
    },
    deleteOffsets: async (group, partitions) => {
      await this.#write(() => this.#groups.deleteOffsets(group, partitions));
    },
    delete: async (group) => {
      await this.#write(() => this.#groups.delete(group));
      this.#states.forget(group);
    },
  };
  /** Commits under way, by group: what follows a rebalance must see those that were let through before it (L4, L5). */
  readonly #underWay = new Map<string, Set<Promise<unknown>>>();

  constructor(core: Core, states: StateStores, onTransaction: () => void) {
    this.#onTransaction = onTransaction;
    this.#states = states;
    this.#core = core;
    this.#groups = core.groups;
    this.#appender = core.appender;
    this.#transactions = core.transactions;
    this.#clock = core.clock;
  }

  /** `decide` throws before anything happens. */
  readonly #write = (decide: () => GroupChange | TransactionChange) =>
    this.#appender.transact(0, () => ({ batches: [], changes: [decide()] }));

  readonly #settled = async (group: string): Promise<void> => {
    await Promise.allSettled(this.#underWay.get(group) ?? []);
  };

  readonly #noteCommit = (group: string, commit: Promise<CommitResult>): Promise<CommitResult> => {
    const commits = this.#underWay.get(group) ?? new Set();
    this.#underWay.set(group, commits.add(commit));
    const forget = (): void => {
      commits.delete(commit);
      if (commits.size === 0 && this.#underWay.get(group) === commits) this.#underWay.delete(group);
    };
    commit.then(forget, forget);
    return commit;
  };

  readonly #present = (share: Share, options: JoinOptions): Assignment => {
    const known = new Map<string, Promise<Position>>();
    share.revoked.addEventListener('abort', () => {
      if (this.#groups.find(share.group)?.members.length === 0) this.#states.forget(share.group);
    });
    const inOrder = createCommitOrder();
    return {
      group: share.group,
      memberId: share.memberId,
      epoch: share.epoch,
      partitions: share.partitions,
      revoked: share.revoked,
      position: (partition) => {
        const key = `${partition.partition}/${partition.topic}`;
        let found = known.get(key);
        if (!found) {
          found = this.#firstPosition(share, partition, options.from ?? 'start');
          known.set(key, found);
          found.catch(() => known.delete(key)); // the caller has the error; the next call tries again
        }
        return found.then((first) => this.#groups.position(share.group, partition) ?? first);
      },
      state: async (store, partition) => {
        await this.#settled(share.group);
        return this.#states.view(share.group, store, partition);
      },
      commit: (commit) =>
        this.#noteCommit(
          share.group,
          inOrder((turn) => this.#commitShare(share, commit, turn)),
        ),
    };
  };

  readonly #firstPosition = async (
    share: Share,
    partition: TopicPartition,
    from: 'start' | 'end',
  ): Promise<Position> => {
    await this.#settled(share.group);
    const committed = this.#groups.position(share.group, partition);
    if (committed) return committed;
    const bounds = this.#core.topics.partition(partition).bounds();
    const offset = from === 'start' ? bounds.logStartOffset : bounds.highWatermark;
    const first: Position = { offset, done: [] };
    const { topic, partition: number } = partition;
    await this.#write(() =>
      this.#groups.commitOffsets(share, {
        offsets: this.#groups.holds(share) ? [{ topic, partition: number, ...first }] : [],
        state: [],
      }),
    );
    return first;
  };

  readonly #commitShare = async (share: Share, commit: Commit, turn: CommitTurn): Promise<CommitResult> => {
    if (!this.#groups.holds(share)) return { status: 'FENCED' };
    // Without a wait where nothing is to be made: commits keep the order of their calls.
    const writes = byPlace(commit.state);
    const making = this.#states.prepare(share.group, writes);
    if (making) await making;
    const appends = commit.appends.map((input) => this.#appender.prepare(input));
    const changelogs = this.#states.encode(share.group, writes);
    const bytes = sizeOf(appends) + sizeOf(changelogs);
    let fenced = false;
    try {
      const durable = this.#appender.transact(bytes, () => {
        fenced = turn.overtaken() || !this.#groups.holds(share);
        if (fenced) throw new MillraceError('GROUP_FENCED', `Group '${share.group}' has moved on.`);
        const change = this.#groups.commitOffsets(share, commit);
        const changes = commit.offsets.length > 0 ? [change] : [];
        return { batches: [...appends, ...changelogs], changes };
      });
      turn.ordered(); // what comes now waits behind it, for room and for the disk
      const results = await durable;
      this.#states.apply(share.group, writes);
      return { status: 'COMMITTED', appends: results.slice(0, appends.length) };
    } catch (error) {
      if (fenced) return { status: 'FENCED' };
      throw error;
    }
  };

  readonly groups: GroupParts['groups'] = this.#admin;

  readonly join: GroupParts['join'] = async (group, topics, options = {}) => {
    const memberId = Buffer.from(this.#core.random.bytes(16)).toString('hex');
    return this.#groups.join(group, memberId, topics, options, (share) => this.#present(share, options));
  };
}

export function createGroupAdmin(core: Core, states: StateStores, onTransaction: () => void): GroupParts {
  return new GroupFrames(core, states, onTransaction);
}

function sizeOf(batches: readonly Prepared[]): number {
  return batches.reduce((sum, one) => sum + one.batch.length, 0);
}
