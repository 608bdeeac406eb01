import { MillraceError } from '../../kernel/index.ts';
import { createCommitOrder, type KeyedState, normalisePosition } from '../../streams/coordination/index.ts';
import type {
  AppendResult,
  Assignment,
  Commit,
  CommitResult,
  OffsetCommit,
  StateWrite,
  TopicPartition,
} from '../../streams/port.ts';
import { placeKey } from './bounds.ts';
import type { RestoredState } from './changelogs.ts';
import { CommitQueue, type Waiting } from './commit-queue.ts';
import { type CheckedCommit, CommitTransaction } from './commit-transaction.ts';
import { CODES, failedWith, saidInPort } from './failure.ts';
import type { GroupMember } from './group-member.ts';
import type { GroupParts } from './group-parts.ts';
import { offsetOf } from './positions.ts';

/** What a membership has at one time. */
export interface Holding extends Assignment {
  /** Ends it: nothing that comes later takes effect. */
  revoke(): void;
  /** Positions were set from outside. */
  moved(offsets: readonly OffsetCommit[]): void;
  /** Resolves when nothing is being committed. */
  quiesce(): Promise<void>;
}

interface HoldingParts extends GroupParts {
  readonly member: GroupMember;
  /** As the store names them. */
  readonly partitions: readonly TopicPartition[];
  /** Those that came with this assignment: what their former owners left open is aborted. */
  readonly gained: readonly TopicPartition[];
  readonly from: 'start' | 'end';
  readonly epoch: number;
  /** States of the partitions that the member has had without a break. */
  readonly states: Map<string, Promise<RestoredState>>;
}

/** Somebody else's generation or producer epoch counts now, or the brokers know the transaction no more. */
const FENCING = [
  ...[
    CODES.ILLEGAL_GENERATION,
    CODES.UNKNOWN_MEMBER_ID,
    CODES.FENCED_INSTANCE_ID,
    CODES.REBALANCE_IN_PROGRESS,
  ],
  ...[CODES.INVALID_PRODUCER_EPOCH, CODES.PRODUCER_FENCED, CODES.INVALID_PRODUCER_ID_MAPPING],
  ...[CODES.TRANSACTION_COORDINATOR_FENCED, CODES.INVALID_TXN_STATE, CODES.TRANSACTION_ABORTABLE],
  ...[CODES.OUT_OF_ORDER_SEQUENCE_NUMBER, CODES.UNKNOWN_PRODUCER_ID],
] as const;

/** How often a transaction is begun anew while the group is being shared out and this assignment stays. */
const TRIES = 5;
const VISIBLE_WITHIN_MS = 200;
const SETTLED_WITHIN_MS = 5_000;
/** A transaction that is under way is let to its end before the group moves on, if it does not take too long. */
const QUIESCE_WITHIN_MS = 2_000;
const TURN_MS = 5;

/**
 * One assignment of one member. Commits that come while one is under way share the next transaction. Its transactional id is
 * that of its first partition, so that whoever gets the partition next aborts what is open.
 */
export function createHolding(parts: HoldingParts): Holding {
  const { member, partitions, names, group, cluster, calls, positions, bounds } = parts;
  const revoked = new AbortController();
  const inOrder = createCommitOrder();
  const known = new Map<string, OffsetCommit>();
  let transacting: Promise<unknown> | undefined;
  const [first] = partitions;
  const idOf = ({ topic, partition }: TopicPartition): string =>
    names.transactionalId(group, topic, partition);
  const spill = { topic: names.positions, now: () => parts.clock.now() };
  const transaction = first && new CommitTransaction(cluster, calls, idOf(first), spill);
  const inCluster = ({ topic, partition }: TopicPartition): TopicPartition => ({
    topic: names.inCluster(topic),
    partition,
  });
  const has = (place: TopicPartition): boolean => partitions.some((one) => placeKey(one) === placeKey(place));
  const hasNumber = (partition: number): boolean => partitions.some((one) => one.partition === partition);

  const takeOver = async (): Promise<void> => {
    const others = parts.gained.filter((one) => first && placeKey(one) !== placeKey(first));
    await Promise.all([
      transaction?.begin(),
      ...others.map((one) => calls.init(idOf(one), TAKE_OVER_TIMEOUT_MS)),
    ]);
    const committed = await positions.fetch(names.inCluster(group), partitions.map(inCluster), true);
    for (const place of partitions) {
      const position = committed.get(placeKey(inCluster(place)));
      if (position) known.set(placeKey(place), { ...position, ...place });
    }
  };
  let ready: Promise<void> | undefined;
  const beReady = (): Promise<void> => {
    ready ??= takeOver().catch((error) => {
      ready = undefined;
      throw error;
    });
    return ready;
  };
  beReady().catch(() => undefined);

  const position = async (place: TopicPartition): Promise<OffsetCommit> => {
    await beReady();
    const found = known.get(placeKey(place));
    if (found) return found;
    await bounds.refresh([inCluster(place)]);
    const { logStartOffset, highWatermark } = parts.boundsOf(place);
    const { topic, partition } = place;
    const fresh = {
      topic,
      partition,
      offset: parts.from === 'start' ? logStartOffset : highWatermark,
      done: [],
    };
    known.set(placeKey(place), fresh);
    if (!revoked.signal.aborted) {
      await member.stable(revoked.signal);
      const offsets = [{ ...inCluster(place), offset: fresh.offset, leaderEpoch: -1, metadata: '' }];
      await positions.commit(member.identity, offsets).catch((error) => {
        if (!failedWith(error, ...FENCING)) throw error;
      });
      parts.committed([fresh]);
    }
    return fresh;
  };

  const restored = (store: string, partition: number): Promise<RestoredState> => {
    const key = JSON.stringify([store, partition]);
    let found = parts.states.get(key);
    if (!found) {
      found = beReady()
        .then(() => parts.changelogs.place(group, store, partition, parts.statePartitions()))
        .then((place) => parts.changelogs.restore(place));
      parts.states.set(key, found);
      found.catch(() => parts.states.delete(key));
    }
    return found;
  };

  const requireHeld = ({ offsets, state }: Commit): void => {
    const stranger = offsets.find((one) => !has(one)) ?? state.find((one) => !hasNumber(one.partition));
    if (!stranger) return;
    const what = 'topic' in stranger ? `'${stranger.topic}' partition` : 'state of partition';
    throw new MillraceError(
      'BAD_REQUEST',
      `The commit names ${what} ${stranger.partition}, which this assignment does not have. Commit what it has.`,
    );
  };

  const check = async (commit: Commit): Promise<CheckedCommit> => {
    requireHeld(commit);
    const offsets = commit.offsets.map(normalisePosition);
    const appends = await Promise.all(commit.appends.map((append) => parts.checkAppend(append)));
    return { commit: { ...commit, offsets }, appends };
  };

  /** Positions of the commits, the last of each partition, and of every partition whose state they write. */
  const offsetsOf = async (commits: readonly CheckedCommit[]): Promise<OffsetCommit[]> => {
    const last = new Map<string, OffsetCommit>();
    for (const { commit } of commits) for (const one of commit.offsets) last.set(placeKey(one), one);
    const numbers = new Set(commits.flatMap(({ commit }) => commit.state.map((write) => write.partition)));
    for (const place of partitions) {
      // Whoever takes the partition over learns by its offset that a transaction is about to change its state.
      if (numbers.has(place.partition) && !last.has(placeKey(place)))
        last.set(placeKey(place), await position(place));
    }
    if (last.size === 0) last.set(placeKey(first!), await position(first!));
    return [...last.values()];
  };

  const run = async (
    commits: readonly CheckedCommit[],
    progress: { ending: boolean },
  ): Promise<AppendResult[]> => {
    await beReady();
    const offsets = await offsetsOf(commits);
    const writes = commits.flatMap(({ commit }) => commit.state);
    const stores = [
      ...Map.groupBy(writes, ({ store, partition }) => JSON.stringify([store, partition])).values(),
    ];
    const states = await Promise.all(stores.map((of) => restored(of[0]!.store, of[0]!.partition)));
    const changelogs = await Promise.all(
      stores.map(async (of, index) => ({
        place: await parts.changelogs.place(group, of[0]!.store, of[0]!.partition, parts.statePartitions()),
        batch: parts.changelogs.encode(of, states[index]!.expired),
      })),
    );
    const appends = commits.flatMap((one) => one.appends);
    const plan = {
      ...{ who: member.identity, appends, changelogs },
      offsets: offsets.map((one) => ({ ...one, ...inCluster(one) })),
    };
    const results = await transaction!.run(plan, progress);
    for (const [index, of] of stores.entries()) applyWrites(states[index]!, of);
    for (const one of offsets) known.set(placeKey(one), one);
    parts.committed(offsets);
    return results;
  };

  /** What hides it after its own markers are written is another producer's open transaction, which may take any time. */
  const shown = async (results: readonly AppendResult[]): Promise<void> => {
    if (await parts.visible(results, VISIBLE_WITHIN_MS)) return;
    await transaction!.settled(SETTLED_WITHIN_MS).catch(() => undefined);
    await parts.visible(results, 0);
  };

  /** Shares one transaction. Resolves to undefined when another member's generation counts now. */
  const commitTogether = async (commits: readonly CheckedCommit[]): Promise<AppendResult[] | undefined> => {
    for (let tries = 1; ; tries++) {
      await member.stable(revoked.signal);
      if (revoked.signal.aborted || member.ended) return undefined;
      const progress = { ending: false };
      try {
        const results = await (transacting = run(commits, progress));
        await shown(results);
        return results;
      } catch (error) {
        // Whether it was committed is not known: what is known of positions and states may be behind.
        if (progress.ending) {
          parts.states.clear();
          known.clear();
          ready = undefined;
        }
        if (!failedWith(error, ...FENCING)) throw error;
        member.hurry();
        await parts.turn(TURN_MS);
        await member.stable(revoked.signal);
        if (progress.ending || revoked.signal.aborted || member.ended || tries === TRIES) return undefined;
      }
    }
  };

  const queue = new CommitQueue(async (waiting: readonly Waiting[]): Promise<CommitResult[]> => {
    const results = await saidInPort(() => commitTogether(waiting.map(({ checked }) => checked)));
    if (!results) return waiting.map(() => ({ status: 'FENCED' }));
    let from = 0;
    return waiting.map(({ checked: { commit } }) => {
      const own = results.slice(from, (from += commit.appends.length));
      const appends = own.map((one, index) => ({ ...one, topic: commit.appends[index]!.topic }));
      return { status: 'COMMITTED', appends };
    });
  });

  return {
    group,
    memberId: member.memberId,
    epoch: parts.epoch,
    partitions,
    revoked: revoked.signal,
    position: (place) => saidInPort(async () => offsetOf(await position(place))),
    state: (store, partition) =>
      saidInPort(async (): Promise<KeyedState> => (await restored(store, partition)).state),
    commit: (commit) =>
      inOrder(async (turn): Promise<CommitResult> => {
        if (revoked.signal.aborted || member.ended || !first) return { status: 'FENCED' };
        const checked = await saidInPort(() => check(commit));
        const result = queue.add({ checked, turn });
        turn.ordered();
        return result;
      }),
    revoke: () => revoked.abort(),
    moved(offsets) {
      for (const one of offsets) if (has(one)) known.set(placeKey(one), one);
    },
    quiesce: async () =>
      void (await Promise.race([transacting?.catch(() => undefined), parts.turn(QUIESCE_WITHIN_MS)])),
  };
}

/** Nothing is ever done under such an id: it is taken over to abort what its former holder left open. */
const TAKE_OVER_TIMEOUT_MS = 60_000;

function applyWrites({ state, expired }: RestoredState, writes: readonly StateWrite[]): void {
  for (const write of writes) state.apply(write);
  expired.length = 0;
}
