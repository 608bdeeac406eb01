import type { Clock, Random } from '../../kernel/index.ts';

/** A partition that a client wants to read, as it last asked for it. */
export interface WantedPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly fetchOffset: number;
  readonly maxBytes: number;
  readonly currentLeaderEpoch: number;
}

/** What the client was last told of a partition; -1 before anything. */
interface Told {
  highWatermark: number;
  logStartOffset: number;
}

export interface SessionPartition {
  wanted: WantedPartition;
  readonly told: Told;
}

/**
 * The partitions of an incremental fetch session (KIP-227): a client names those that changed, the broker answers with
 * those that have something new. Partitions that had data go to the end, so that every one gets its turn.
 */
export class FetchSession {
  readonly id: number;
  readonly usesTopicIds: boolean;
  /** Epoch that the next request must carry. */
  epoch = 1;
  lastUsedMs: number;
  readonly #partitions = new Map<string, SessionPartition>();

  constructor(id: number, usesTopicIds: boolean, nowMs: number) {
    this.id = id;
    this.usesTopicIds = usesTopicIds;
    this.lastUsedMs = nowMs;
  }

  get size(): number {
    return this.#partitions.size;
  }

  partitions(): readonly SessionPartition[] {
    return [...this.#partitions.values()];
  }

  want(wanted: WantedPartition): void {
    const key = keyOf(wanted);
    const known = this.#partitions.get(key);
    if (known) known.wanted = wanted;
    else this.#partitions.set(key, { wanted, told: { highWatermark: -1, logStartOffset: -1 } });
  }

  forget(partition: Pick<WantedPartition, 'topic' | 'topicId' | 'partition'>): void {
    this.#partitions.delete(keyOf(partition));
  }

  toTheEnd(partition: SessionPartition): void {
    const key = keyOf(partition.wanted);
    if (!this.#partitions.delete(key)) return;
    this.#partitions.set(key, partition);
  }
}

function keyOf({ topic, topicId, partition }: Pick<WantedPartition, 'topic' | 'topicId' | 'partition'>) {
  return `${topicId}/${topic}/${partition}`;
}

/** Apache Kafka's default number of slots, and how long one is safe from being given to another client. */
const MOST_SESSIONS = 1000;
const MOST_PARTITIONS = 200_000;
const EVICTABLE_AFTER_MS = 120_000;
const LAST_EPOCH = 0x7fffffff;

/** All sessions of a broker, within bounds: a client that gets none fetches without. */
export class FetchSessions {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sessions = new Map<number, FetchSession>();

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** A new session for so many partitions; undefined where there is no room. */
  open(partitions: number, usesTopicIds: boolean): FetchSession | undefined {
    if (!this.#makeRoom(partitions)) return undefined;
    const session = new FetchSession(this.#newId(), usesTopicIds, this.#clock.monotonic());
    this.#sessions.set(session.id, session);
    return session;
  }

  close(id: number): void {
    this.#sessions.delete(id);
  }

  /** The session, if it is there and the epoch is the one due; it is used by that. */
  use(
    id: number,
    epoch: number,
    usesTopicIds: boolean,
  ):
    | FetchSession
    | 'FETCH_SESSION_ID_NOT_FOUND'
    | 'INVALID_FETCH_SESSION_EPOCH'
    | 'FETCH_SESSION_TOPIC_ID_ERROR' {
    const session = this.#sessions.get(id);
    if (!session) return 'FETCH_SESSION_ID_NOT_FOUND';
    if (session.epoch !== epoch) return 'INVALID_FETCH_SESSION_EPOCH';
    if (session.usesTopicIds !== usesTopicIds) return 'FETCH_SESSION_TOPIC_ID_ERROR';
    session.epoch = epoch === LAST_EPOCH ? 1 : epoch + 1;
    session.lastUsedMs = this.#clock.monotonic();
    // In the order of use: the first is the one to go.
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    return session;
  }

  #makeRoom(partitions: number): boolean {
    let held = partitions;
    for (const session of this.#sessions.values()) held += session.size;
    while (this.#sessions.size >= MOST_SESSIONS || held > MOST_PARTITIONS) {
      const [oldest] = this.#sessions.values();
      if (!oldest || this.#clock.monotonic() - oldest.lastUsedMs < EVICTABLE_AFTER_MS) return false;
      held -= oldest.size;
      this.#sessions.delete(oldest.id);
    }
    return true;
  }

  #newId(): number {
    for (;;) {
      const bytes = this.#random.bytes(4);
      const id = ((bytes[0]! & 127) << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
      if (id !== 0 && !this.#sessions.has(id)) return id;
    }
  }
}
