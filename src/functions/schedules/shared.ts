import type { Clock, StateStore } from '../../kernel/index.ts';
import type { Assignment, LogStore, Membership } from '../../streams/index.ts';
import { keyOf, type ScheduleEntry, type ScheduleStore, type StoredEntry } from './store.ts';

/** One partition: whoever has it runs the schedules of all nodes. Also the name of its consumer group. */
export const SCHEDULES_TOPIC = 'millrace.schedules';
const STATE = 'schedules';
const PARTITION = 0;
const RETRY_MS = 1_000;

/** Where due times are kept, and who may run what is due. */
export interface ScheduleHome {
  readonly store: ScheduleStore;
  readonly leases: Pick<StateStore, 'acquireLease' | 'releaseLease'>;
}

/** A home that several nodes share; one of them at a time has it. */
export interface SharedHome extends ScheduleHome {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Called whenever this node has come to have it. */
  onOwned(callback: () => void): void;
}

interface Owned {
  readonly assignment: Assignment;
  readonly view: Awaited<ReturnType<Assignment['state']>>;
}

/**
 * Due times as keyed state of a system topic with one partition, for a log that several nodes share while each has a state
 * store of its own. The owner of the partition runs what is due; what it writes is a commit, so a node that has lost the
 * partition cannot write any more, and the next owner goes on where it was.
 */
export function createSharedHome({
  log,
  clock,
}: {
  readonly log: LogStore;
  readonly clock: Clock;
}): SharedHome {
  let owned: Owned | undefined;
  let membership: Membership | undefined;
  let stopping = false;
  let following: Promise<void> | undefined;
  const callbacks = new Set<() => void>();

  const own = async (assignment: Assignment): Promise<void> => {
    owned = undefined;
    if (assignment.partitions.length === 0) return;
    await assignment.position({ topic: SCHEDULES_TOPIC, partition: PARTITION });
    const view = await assignment.state(STATE, PARTITION);
    if (assignment.revoked.aborted) return;
    owned = { assignment, view };
    assignment.revoked.addEventListener('abort', () => {
      if (owned?.assignment === assignment) owned = undefined;
    });
    for (const callback of callbacks) callback();
  };

  /** Through all memberships, until the stop. Never rejects. */
  const follow = async (): Promise<void> => {
    while (!stopping) {
      try {
        membership ??= await log.join(SCHEDULES_TOPIC, [SCHEDULES_TOPIC]);
        for await (const assignment of membership.assignments()) await own(assignment);
      } catch {
        // What the log says of it is told by the log; here only the next try counts.
        await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve));
      }
      owned = undefined;
      await membership?.leave();
      membership = undefined;
    }
  };

  const current = (): Owned | undefined => (owned && !owned.assignment.revoked.aborted ? owned : undefined);
  const read = (key: string): StoredEntry | undefined => {
    const value = current()?.view.get(Buffer.from(key));
    return value && (JSON.parse(Buffer.from(value).toString()) as StoredEntry);
  };
  const commit = async (writes: readonly { key: string; value: StoredEntry | null }[]): Promise<boolean> => {
    const state = writes.map(({ key, value }) => ({
      ...{ store: STATE, partition: PARTITION, key: Buffer.from(key) },
      value: value && Buffer.from(JSON.stringify(value)),
    }));
    const result = await current()?.assignment.commit({ appends: [], offsets: [], state });
    return result?.status === 'COMMITTED';
  };

  const store: ScheduleStore = {
    read: async (key) => read(key),
    async ofApp(app) {
      const all = [...(current()?.view.entries() ?? [])];
      const entries = all.map(({ value }) => JSON.parse(Buffer.from(value).toString()) as StoredEntry);
      return entries.filter(({ entry }) => entry.app === app);
    },
    async write(entry: ScheduleEntry, expect) {
      const key = keyOf(entry);
      if (!current() || (read(key)?.version ?? 0) !== expect) return false;
      return commit([{ key, value: { entry, version: expect + 1 } }]);
    },
    async remove(keys) {
      if (keys.length > 0 && current()) await commit(keys.map((key) => ({ key, value: null })));
    },
  };

  return {
    store,
    leases: {
      acquireLease: async () => current()?.assignment.epoch,
      releaseLease: async () => undefined,
    },
    async start() {
      if (!log.topics.find(SCHEDULES_TOPIC)) {
        await log.topics.create({ name: SCHEDULES_TOPIC, partitions: 1, internal: true }).catch((error) => {
          if (!log.topics.find(SCHEDULES_TOPIC)) throw error;
        });
      }
      following = follow();
    },
    async stop() {
      stopping = true;
      await membership?.leave();
      await following;
    },
    onOwned: (callback) => void callbacks.add(callback),
  };
}
