import type {
  Assignment,
  JoinOptions,
  Membership,
  OffsetCommit,
  TopicPartition,
} from '../../streams/port.ts';
import { createHolding, type Holding } from './assignment.ts';
import { placeKey } from './bounds.ts';
import type { RestoredState } from './changelogs.ts';
import { GroupMember, samePlaces } from './group-member.ts';
import type { GroupParts } from './group-parts.ts';

interface MembershipParts extends GroupParts {
  /** As the store names them. */
  readonly topics: readonly string[];
  readonly options: JoinOptions;
  readonly connection: string;
}

export interface KafkaMembership extends Omit<Membership, 'leave'> {
  readonly member: GroupMember;
  /** It may come back to its partitions, so they are not shared out when it leaves. */
  readonly keepsPlace: boolean;
  leave(): Promise<void>;
  /** Positions of its partitions were set from outside. */
  moved(offsets: readonly OffsetCommit[]): void;
}

/** A member with its assignments, one after the other. One that a rebalance leaves as it is stays. */
export function createMembership(parts: MembershipParts): KafkaMembership {
  const { names, group, options, topics } = parts;
  const states = new Map<string, Promise<RestoredState>>();
  const waiting = new Set<() => void>();
  let holding: Holding | undefined;
  let ended = false;

  const tell = (): void => {
    const listeners = [...waiting];
    waiting.clear();
    for (const listener of listeners) listener();
  };

  const keepStatesOf = (partitions: readonly TopicPartition[]): void => {
    const kept = new Set(partitions.map(({ partition }) => partition));
    for (const key of states.keys()) {
      const [, partition] = JSON.parse(key) as [string, number];
      if (!kept.has(partition)) states.delete(key);
    }
  };

  const assigned = (places: readonly TopicPartition[], epoch: number): void => {
    const partitions = places.flatMap(({ topic, partition }) => {
      const name = names.fromCluster(topic);
      return name === undefined ? [] : [{ topic: name, partition }];
    });
    if (holding && samePlaces(holding.partitions, partitions)) {
      tell();
      return;
    }
    const had = new Set(holding?.partitions.map(placeKey));
    const gained = partitions.filter((place) => !had.has(placeKey(place)));
    const kept = partitions.filter((place) => had.has(placeKey(place)));
    keepStatesOf(kept);
    const former = holding;
    holding = createHolding({
      ...parts,
      ...{ member, partitions, gained, states, epoch, from: options.from ?? 'start' },
    });
    former?.revoke();
    tell();
  };

  const lost = (): void => {
    holding?.revoke();
    holding = undefined;
    states.clear();
    tell();
  };

  const end = (): void => {
    ended = true;
    lost();
  };

  const member = new GroupMember({
    cluster: parts.cluster,
    group: names.inCluster(group),
    topics: topics.map((topic) => names.inCluster(topic)),
    instanceId: options.instanceId ?? null,
    sessionTimeoutMs: options.sessionTimeoutMs ?? parts.cluster.options.sessionTimeoutMs,
    connection: parts.connection,
    onAssigned: assigned,
    onLost: lost,
    onReplaced: end,
    quiesce: async () => holding?.quiesce(),
  });

  return {
    group,
    member,
    keepsPlace: options.instanceId !== undefined,
    moved: (offsets) => holding?.moved(offsets),
    get memberId() {
      return member.memberId;
    },
    get assignment() {
      return holding;
    },
    async *assignments(): AsyncGenerator<Assignment, void, undefined> {
      let given: Holding | undefined;
      while (!ended) {
        if (holding && holding !== given) {
          given = holding;
          yield holding;
        } else await new Promise<void>((resolve) => waiting.add(resolve));
      }
    },
    async leave() {
      if (ended) return;
      await member.leave();
      end();
    },
  };
}
