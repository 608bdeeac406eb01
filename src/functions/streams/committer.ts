import type { AppendInput, Assignment, OffsetCommit } from '../../streams/index.ts';
import { confirm, type WriteSet, writesOf } from './pending-state.ts';
import type { PartitionQueue, Work } from './types.ts';

/** How an assignment ended for its holder: a newer one exists, or a commit could not be made. */
export type Loss = { readonly kind: 'fenced' } | { readonly kind: 'failed'; readonly error: unknown };

/**
 * Gathers what the function finished and commits it: emits, state and offsets in one. While commits are on their way,
 * the next is gathered, so that one commit carries more the slower the disk is.
 *
 * C1 a commit's positions cover exactly what this commit and those before it carry.
 * C2 after a loss nothing more is committed.
 */
export interface Committer {
  /** Writes that belong to what is added next. */
  readonly writes: WriteSet;
  add(done: Work, appends: readonly AppendInput[]): void;
  /** A partition whose position moved although no record was handled. */
  touch(queue: PartitionQueue): void;
  /** Whether all that was added is on disk. */
  readonly settled: boolean;
  readonly gatheredBytes: number;
  close(): void;
}

/** A group with so many bytes of emits takes no more events: what the log orders at once stays small. */
const COMMIT_BYTES = 4 * 1024 * 1024;

interface Gathered {
  readonly works: Work[];
  readonly appends: AppendInput[];
  readonly writes: WriteSet;
  readonly queues: Set<PartitionQueue>;
  bytes: number;
}

const gather = (): Gathered => ({
  works: [],
  appends: [],
  writes: new Map(),
  queues: new Set(),
  bytes: 0,
});

export interface CommitterOptions {
  readonly assignment: Assignment;
  readonly commitsInFlight: number;
  readonly onCommitted: () => void;
  readonly onLoss: (loss: Loss) => void;
}

export function createCommitter(options: CommitterOptions): Committer {
  const { assignment, commitsInFlight, onCommitted, onLoss } = options;
  let open = gather();
  /** Full groups that wait for their turn. */
  const sealed: Gathered[] = [];
  let inFlight = 0;
  let scheduled = false;
  let closed = false;

  const lose = (loss: Loss): void => {
    if (closed) return;
    closed = true;
    onLoss(loss);
  };

  const commit = async (group: Gathered): Promise<void> => {
    for (const work of group.works) work.queue.finish(work);
    const offsets: OffsetCommit[] = [...group.queues].map((queue) => ({
      topic: queue.topic,
      partition: queue.partition,
      ...queue.position(),
    }));
    try {
      const result = await assignment.commit({
        appends: group.appends,
        offsets,
        state: writesOf(group.writes),
      });
      inFlight--;
      if (result.status === 'FENCED') return lose({ kind: 'fenced' });
      confirm(group.writes);
    } catch (error) {
      inFlight--;
      return lose({ kind: 'failed', error });
    }
    schedule();
    onCommitted();
  };

  const next = (): Gathered | undefined => {
    const full = sealed.shift();
    if (full || open.queues.size === 0) return full;
    const group = open;
    open = gather();
    return group;
  };

  const flush = (): void => {
    while (!closed && inFlight < commitsInFlight) {
      const group = next();
      if (!group) return;
      inFlight++;
      void commit(group);
    }
  };

  /**
   * What finishes in one turn of the event loop shares a commit. Never within a turn: a commit that failed is known by
   * the end of the turn, and nothing must be built on it.
   */
  const schedule = (): void => {
    if (scheduled || closed) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      flush();
    });
  };

  return {
    get writes() {
      return open.writes;
    },
    add(done, appends) {
      open.works.push(done);
      for (const append of appends) {
        open.appends.push(append);
        open.bytes += append.batch.length;
      }
      open.queues.add(done.queue);
      if (open.bytes >= COMMIT_BYTES) {
        sealed.push(open);
        open = gather();
      }
      schedule();
    },
    touch(queue) {
      open.queues.add(queue);
      schedule();
    },
    get settled() {
      return inFlight === 0 && sealed.length === 0 && open.queues.size === 0;
    },
    get gatheredBytes() {
      return sealed.reduce((sum, { bytes }) => sum + bytes, open.bytes);
    },
    close() {
      closed = true;
    },
  };
}
