import type { TopicPartition } from '../port.ts';

/** A member as the assignor sees it, in the order of joining. */
export interface AssignableMember {
  readonly memberId: string;
  readonly topics: readonly string[];
  /** What it has now. */
  readonly partitions: readonly TopicPartition[];
}

/**
 * Spreads partitions over members: evenly, with as few moves as that allows.
 *
 * A1 Partitions of the same number, of topics that have the same subscribers, go to the same member: keyed state is
 *    local to a partition number.
 * A2 Among the subscribers of a topic the numbers of partitions differ by at most one.
 * A3 Nobody loses a partition that the even share lets it keep.
 */
export function assignPartitions(
  members: readonly AssignableMember[],
  partitionsOf: (topic: string) => number,
): Map<string, TopicPartition[]> {
  const assigned = new Map<string, TopicPartition[]>(members.map((member) => [member.memberId, []]));
  for (const { topics, subscribers } of cohorts(members)) {
    const owners = spreadUnits(topics, subscribers, assigned, partitionsOf);
    for (const topic of topics) {
      for (let partition = 0; partition < partitionsOf(topic); partition++) {
        assigned.get(owners[partition]!)!.push({ topic, partition });
      }
    }
  }
  return assigned;
}

interface Cohort {
  readonly topics: readonly string[];
  readonly subscribers: readonly AssignableMember[];
}

/** Topics that have the same subscribers belong together (A1). */
function cohorts(members: readonly AssignableMember[]): Cohort[] {
  const topics = [...new Set(members.flatMap((member) => member.topics))].sort();
  const found = new Map<string, { topics: string[]; subscribers: AssignableMember[] }>();
  for (const topic of topics) {
    const subscribers = members.filter((member) => member.topics.includes(topic));
    const key = JSON.stringify(subscribers.map((member) => member.memberId));
    const cohort = found.get(key);
    if (cohort) cohort.topics.push(topic);
    else found.set(key, { topics: [topic], subscribers });
  }
  return [...found.values()];
}

/** The owner of each partition number. */
function spreadUnits(
  topics: readonly string[],
  subscribers: readonly AssignableMember[],
  assigned: ReadonlyMap<string, readonly TopicPartition[]>,
  partitionsOf: (topic: string) => number,
): string[] {
  const units = Math.max(0, ...topics.map(partitionsOf));
  const owners: (string | undefined)[] = new Array(units).fill(undefined);
  const current = new Map(subscribers.map((one) => [one.memberId, unitsHeld(one, topics, units)]));
  const load = (memberId: string): number => assigned.get(memberId)!.length;
  // Those who hold most get the larger shares, so that nothing moves for the sake of rounding (A3).
  const byHeld = subscribers.toSorted(
    (a, b) =>
      current.get(b.memberId)!.length - current.get(a.memberId)!.length ||
      load(a.memberId) - load(b.memberId),
  );
  const room = new Map<string, number>();
  byHeld.forEach(({ memberId }, rank) => {
    const share = Math.floor(units / subscribers.length) + (rank < units % subscribers.length ? 1 : 0);
    const kept = current
      .get(memberId)!
      .filter((unit) => owners[unit] === undefined)
      .slice(0, share);
    for (const unit of kept) owners[unit] = memberId;
    room.set(memberId, share - kept.length);
  });
  return fillGaps(owners, room);
}

function unitsHeld(member: AssignableMember, topics: readonly string[], units: number): number[] {
  const held = member.partitions.filter((one) => topics.includes(one.topic) && one.partition < units);
  return [...new Set(held.map((one) => one.partition))].sort((a, b) => a - b);
}

/** Gives what nobody holds to those with most room left. */
function fillGaps(owners: readonly (string | undefined)[], room: Map<string, number>): string[] {
  return owners.map((owner) => {
    if (owner !== undefined) return owner;
    let roomiest = '';
    for (const [memberId, left] of room) if (left > (room.get(roomiest) ?? 0)) roomiest = memberId;
    room.set(roomiest, room.get(roomiest)! - 1);
    return roomiest;
  });
}
