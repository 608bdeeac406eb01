/** A partition as a group of the newer protocol knows it: `<topic id>/<number>`. */
export type PartitionKey = string;

export interface Subscriber {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Ids of topics that exist. Members that subscribe to the same had best share the set. */
  readonly topics: ReadonlySet<string>;
  /** What it was assigned before. */
  readonly current: ReadonlySet<PartitionKey>;
}

/** What each member is to have. */
export type Shares = Map<string, Set<PartitionKey>>;

/**
 * Yields every now and then, so that whoever makes a large assignment can let other work through: what lies between two
 * yields takes well under a millisecond for thousands of members.
 */
export type Assignor = (
  members: readonly Subscriber[],
  partitionsOf: (topicId: string) => readonly PartitionKey[],
) => Generator<void, Shares>;

const STEPS_AT_ONCE = 1_000;

export interface TopicShare {
  readonly topicId: string;
  readonly partitions: readonly number[];
}

/** Partitions by topic, in order of their numbers. */
export function sharesOf(keys: Iterable<PartitionKey>): TopicShare[] {
  const byTopic = new Map<string, number[]>();
  let topicId = '';
  let partitions: number[] | undefined;
  for (const key of keys) {
    // Neighbours are mostly of one topic.
    if (!partitions || key.charCodeAt(topicId.length) !== SLASH || !key.startsWith(topicId)) {
      topicId = key.slice(0, key.indexOf('/'));
      partitions = byTopic.get(topicId);
      if (!partitions) byTopic.set(topicId, (partitions = []));
    }
    partitions.push(Number.parseInt(key.slice(topicId.length + 1), 10));
  }
  const inOrder = (a: number, b: number): number => a - b;
  return [...byTopic].map(([topicId, partitions]) => ({ topicId, partitions: partitions.sort(inOrder) }));
}

const SLASH = 0x2f;

/**
 * Even shares over all topics together, and as few moves as that allows.
 *
 * U1 Every partition of a subscribed topic goes to one member that subscribes to it.
 * U2 No member has two partitions more than another that could take one of them.
 * U3 A member keeps what it had, as far as U2 lets it.
 */
export const uniform: Assignor = function* (members, partitionsOf) {
  const shares: Shares = new Map(members.map(({ memberId }) => [memberId, new Set()]));
  const takers = yield* takersByTopic(members);
  const topicOf = new Map<PartitionKey, string>();
  for (const topicId of takers.keys()) {
    for (const key of partitionsOf(topicId)) {
      topicOf.set(key, topicId);
      if (topicOf.size % STEPS_AT_ONCE === 0) yield;
    }
  }
  const owners = yield* keepers(members, topicOf, shares);
  yield* handOut([...takers], partitionsOf, owners, shares);
  if (!isEven(shares)) yield* balance([...takers], partitionsOf, owners, shares);
  return shares;
};

/** Who keeps what (U3); where all subscribe to the same, no more than an even share, so that nothing need move twice. */
function* keepers(
  members: readonly Subscriber[],
  topicOf: ReadonlyMap<PartitionKey, string>,
  shares: Shares,
): Generator<void, Map<PartitionKey, string>> {
  const owners = new Map<PartitionKey, string>();
  const alike = areAlike(members);
  const [each, more] = [Math.floor(topicOf.size / members.length), topicOf.size % members.length];
  const byHeld = members.toSorted((a, b) => b.current.size - a.current.size);
  let steps = 0;
  for (const [rank, { memberId, topics, current }] of byHeld.entries()) {
    const most = alike ? each + (rank < more ? 1 : 0) : Number.POSITIVE_INFINITY;
    const share = shares.get(memberId)!;
    for (const key of current) {
      if (share.size >= most) break;
      if (++steps % STEPS_AT_ONCE === 0) yield;
      const topicId = topicOf.get(key);
      if (topicId === undefined || owners.has(key) || !topics.has(topicId)) continue;
      owners.set(key, memberId);
      share.add(key);
    }
  }
  return owners;
}

function areAlike(members: readonly Subscriber[]): boolean {
  const first = members[0]?.topics;
  return members.every(
    ({ topics }) => topics === first || (topics.size === first!.size && topics.isSubsetOf(first!)),
  );
}

type Takers = [topicId: string, memberIds: readonly string[]][];

/** Gives what nobody has to who has least; first what few may take, whose takers must not be full by then. */
function* handOut(
  takers: Takers,
  partitionsOf: Parameters<Assignor>[1],
  owners: Map<PartitionKey, string>,
  shares: Shares,
): Generator<void> {
  const queues = new Map<readonly string[], LeastLoaded>();
  let steps = 0;
  for (const [topicId, able] of takers.toSorted((a, b) => a[1].length - b[1].length)) {
    for (const key of partitionsOf(topicId)) {
      if (++steps % STEPS_AT_ONCE === 0) yield;
      if (owners.has(key)) continue;
      let queue = queues.get(able);
      if (!queue) {
        queues.set(able, (queue = new LeastLoaded(able, shares)));
        yield;
      }
      const owner = queue.next();
      owners.set(key, owner);
      shares.get(owner)!.add(key);
    }
  }
}

function isEven(shares: Shares): boolean {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const { size } of shares.values()) [least, most] = [Math.min(least, size), Math.max(most, size)];
  return most - least < 2;
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
function* balance(
  takers: Takers,
  partitionsOf: Parameters<Assignor>[1],
  owners: Map<PartitionKey, string>,
  shares: Shares,
): Generator<void> {
  let steps = 0;
  for (let moved = true; moved; ) {
    moved = false;
    for (const [topicId, able] of takers) {
      for (const key of partitionsOf(topicId)) {
        const owner = owners.get(key)!;
        const least = leastLoaded(able, shares);
        steps += able.length;
        if (steps >= STEPS_AT_ONCE) {
          steps = 0;
          yield;
        }
        if (shares.get(owner)!.size - shares.get(least)!.size < 2) continue;
        shares.get(owner)!.delete(key);
        shares.get(least)!.add(key);
        owners.set(key, least);
        moved = true;
      }
    }
  }
}

function leastLoaded(memberIds: readonly string[], shares: Shares): string {
  let least = memberIds[0]!;
  for (const memberId of memberIds) {
    if (shares.get(memberId)!.size < shares.get(least)!.size) least = memberId;
  }
  return least;
}

/** Contiguous ranges topic by topic, in the order of the members' ids: partitions of one number meet where topics are alike. */
export const range: Assignor = function* (members, partitionsOf) {
  const shares: Shares = new Map(members.map(({ memberId }) => [memberId, new Set()]));
  const inOrder = members.toSorted((a, b) => compare(a.instanceId ?? a.memberId, b.instanceId ?? b.memberId));
  let steps = 0;
  for (const [topicId, memberIds] of yield* takersByTopic(inOrder)) {
    const partitions = partitionsOf(topicId);
    const [each, more] = [
      Math.floor(partitions.length / memberIds.length),
      partitions.length % memberIds.length,
    ];
    let next = 0;
    for (const [index, memberId] of memberIds.entries()) {
      const end = next + each + (index < more ? 1 : 0);
      if (next === end) break;
      for (; next < end; next++) {
        shares.get(memberId)!.add(partitions[next]!);
        if (++steps % STEPS_AT_ONCE === 0) yield;
      }
    }
  }
  return shares;
};

export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', uniform],
  ['range', range],
]);

/** Who subscribes to each topic, in the order of the members; topics with the same subscribers share the list. */
function* takersByTopic(members: readonly Subscriber[]): Generator<void, Map<string, readonly string[]>> {
  const alike = new Map<ReadonlySet<string>, number[]>();
  members.forEach(({ topics }, index) => {
    const known = alike.get(topics);
    if (known) known.push(index);
    else alike.set(topics, [index]);
  });
  let steps = 0;
  const kinds = [...alike.values()];
  const kindsOf = new Map<string, number[]>();
  for (const [kind, topics] of [...alike.keys()].entries()) {
    for (const topicId of topics) {
      if (++steps % STEPS_AT_ONCE === 0) yield;
      const known = kindsOf.get(topicId);
      if (known) known.push(kind);
      else kindsOf.set(topicId, [kind]);
    }
  }
  const lists = new Map<string, readonly string[]>();
  const takers = new Map<string, readonly string[]>();
  for (const [topicId, some] of kindsOf) {
    const name = some.join();
    let list = lists.get(name);
    if (!list) {
      const indexes = some.flatMap((kind) => kinds[kind]!).sort((a, b) => a - b);
      lists.set(name, (list = indexes.map((index) => members[index]!.memberId)));
    }
    takers.set(topicId, list);
    steps += some.length;
    if (steps >= STEPS_AT_ONCE) {
      steps = 0;
      yield;
    }
  }
  return takers;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
