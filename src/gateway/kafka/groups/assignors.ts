/** A partition as a group of the newer protocol knows it: `<topic id>/<number>`. */
export type PartitionKey = string;

export interface Subscriber {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Ids of topics that exist. */
  readonly topics: ReadonlySet<string>;
  /** What it was assigned before. */
  readonly current: ReadonlySet<PartitionKey>;
}

export type Assignor = (
  members: readonly Subscriber[],
  partitionsOf: (topicId: string) => number,
) => Map<string, Set<PartitionKey>>;

export const partitionKey = (topicId: string, partition: number): PartitionKey => `${topicId}/${partition}`;

export function splitKey(key: PartitionKey): { topicId: string; partition: number } {
  const at = key.indexOf('/');
  return { topicId: key.slice(0, at), partition: Number(key.slice(at + 1)) };
}

/**
 * Even shares over all topics together, and as few moves as that allows.
 *
 * U1 Every partition of a subscribed topic goes to one member that subscribes to it.
 * U2 No member has two partitions more than another that could take one of them.
 * U3 A member keeps what it had, as far as U2 lets it.
 */
export const uniform: Assignor = (members, partitionsOf) => {
  const shares = new Map<string, Set<PartitionKey>>(members.map(({ memberId }) => [memberId, new Set()]));
  const candidates = subscribersByTopic(members);
  const all = [...candidates.keys()].flatMap((topicId) =>
    Array.from({ length: partitionsOf(topicId) }, (_, partition) => partitionKey(topicId, partition)),
  );
  const owners = keepers(members, new Set(all), shares);
  // Those that few may take first: their takers must not be full by then.
  const takers = (key: PartitionKey): readonly string[] => candidates.get(splitKey(key).topicId)!;
  const free = all.filter((key) => !owners.has(key)).sort((a, b) => takers(a).length - takers(b).length);
  const queues = new Map<readonly string[], LeastLoaded>();
  for (const key of free) {
    const able = takers(key);
    let queue = queues.get(able);
    if (!queue) queues.set(able, (queue = new LeastLoaded(able, shares)));
    const owner = queue.next();
    owners.set(key, owner);
    shares.get(owner)!.add(key);
  }
  if (!isEven(shares)) balance(all, owners, shares, takers);
  return shares;
};

/** Who keeps what (U3); where all subscribe to the same, no more than an even share, so that nothing need move twice. */
function keepers(
  members: readonly Subscriber[],
  all: ReadonlySet<PartitionKey>,
  shares: ReadonlyMap<string, Set<PartitionKey>>,
): Map<PartitionKey, string> {
  const owners = new Map<PartitionKey, string>();
  const first = members[0]?.topics ?? new Set();
  const alike = members.every(({ topics }) => topics.size === first.size && topics.isSubsetOf(first));
  const [each, more] = [Math.floor(all.size / members.length), all.size % members.length];
  const byHeld = members.toSorted((a, b) => b.current.size - a.current.size);
  byHeld.forEach(({ memberId, topics, current }, rank) => {
    const most = alike ? each + (rank < more ? 1 : 0) : Number.POSITIVE_INFINITY;
    const share = shares.get(memberId)!;
    for (const key of current) {
      if (share.size >= most) break;
      if (owners.has(key) || !all.has(key) || !topics.has(splitKey(key).topicId)) continue;
      owners.set(key, memberId);
      share.add(key);
    }
  });
  return owners;
}

function isEven(shares: ReadonlyMap<string, ReadonlySet<PartitionKey>>): boolean {
  const sizes = [...shares.values()].map((share) => share.size);
  return Math.max(...sizes) - Math.min(...sizes) < 2;
}

/** Members by how little they have, while shares only grow: a binary heap whose entries may be out of date, and are then put back. */
class LeastLoaded {
  readonly #heap: { readonly memberId: string; load: number }[];
  readonly #loadOf: (memberId: string) => number;

  constructor(memberIds: readonly string[], shares: ReadonlyMap<string, ReadonlySet<PartitionKey>>) {
    this.#loadOf = (memberId) => shares.get(memberId)!.size;
    this.#heap = memberIds
      .map((memberId) => ({ memberId, load: this.#loadOf(memberId) }))
      .sort((a, b) => a.load - b.load);
  }

  /** Who is to be given one more. */
  next(): string {
    for (;;) {
      const top = this.#heap[0]!;
      const load = this.#loadOf(top.memberId);
      const upToDate = load === top.load;
      top.load = upToDate ? load + 1 : load;
      this.#sink();
      if (upToDate) return top.memberId;
    }
  }

  /** Puts the first entry, which has grown, in its place. */
  #sink(): void {
    const heap = this.#heap;
    const entry = heap[0]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.load < heap[child]!.load) child++;
      if (heap[child]!.load >= entry.load) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
  }
}

/** Moves partitions from who has two more to who has the least, until nobody has (U2). */
function balance(
  all: readonly PartitionKey[],
  owners: Map<PartitionKey, string>,
  shares: ReadonlyMap<string, Set<PartitionKey>>,
  takers: (key: PartitionKey) => readonly string[],
): void {
  for (let moved = true; moved; ) {
    moved = false;
    for (const key of all) {
      const owner = owners.get(key)!;
      const least = leastLoaded(takers(key), shares);
      if (shares.get(owner)!.size - shares.get(least)!.size < 2) continue;
      shares.get(owner)!.delete(key);
      shares.get(least)!.add(key);
      owners.set(key, least);
      moved = true;
    }
  }
}

function leastLoaded(memberIds: readonly string[], shares: ReadonlyMap<string, ReadonlySet<string>>): string {
  let least = memberIds[0]!;
  for (const memberId of memberIds) {
    if (shares.get(memberId)!.size < shares.get(least)!.size) least = memberId;
  }
  return least;
}

/** Contiguous ranges topic by topic, in the order of the members' ids: partitions of one number meet where topics are alike. */
export const range: Assignor = (members, partitionsOf) => {
  const shares = new Map<string, Set<PartitionKey>>(members.map(({ memberId }) => [memberId, new Set()]));
  const inOrder = members.toSorted((a, b) => compare(a.instanceId ?? a.memberId, b.instanceId ?? b.memberId));
  for (const [topicId, memberIds] of subscribersByTopic(inOrder)) {
    const partitions = partitionsOf(topicId);
    const [each, more] = [Math.floor(partitions / memberIds.length), partitions % memberIds.length];
    let next = 0;
    memberIds.forEach((memberId, index) => {
      const end = next + each + (index < more ? 1 : 0);
      for (; next < end; next++) shares.get(memberId)!.add(partitionKey(topicId, next));
    });
  }
  return shares;
};

export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', uniform],
  ['range', range],
]);

function subscribersByTopic(members: readonly Subscriber[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { memberId, topics } of members) {
    for (const topicId of topics) {
      const known = found.get(topicId);
      if (known) known.push(memberId);
      else found.set(topicId, [memberId]);
    }
  }
  return found;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
