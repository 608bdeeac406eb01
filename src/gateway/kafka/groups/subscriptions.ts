import { ASSIGNORS, type PartitionKey, type Shares, type Subscriber } from './assignors.ts';
import type { ConsumerMember } from './consumer-member.ts';

export interface SubscribedTopic {
  readonly id: string;
  readonly name: string;
  readonly partitions: number;
}

export interface TopicParts {
  /** Topics that members may see, with their partitions. */
  topics(): readonly SubscribedTopic[];
  /** Throws KafkaError INVALID_REGULAR_EXPRESSION. */
  compile(regex: string): (topic: string) => boolean;
}

const DEFAULT_ASSIGNOR = 'uniform';
const NOTHING: ReadonlySet<PartitionKey> = new Set();
/** Members or topics looked at between two pauses. */
const STEPS_AT_ONCE = 1_000;

/** What the members of a group subscribe to, and who is to have what of it. */
export class Subscriptions {
  readonly #parts: TopicParts;
  #topics: readonly SubscribedTopic[] = [];
  #names = new Map<string, string>();
  #ids = new Map<string, string>();
  #seen = '';
  #patterns = new Map<string, (topic: string) => boolean>();
  /** Made once: a text that is compared with itself is soon compared. */
  #keys = new Map<string, readonly PartitionKey[]>();

  constructor(parts: TopicParts) {
    this.#parts = parts;
  }

  /** Topics and members of the group: what assigning them takes grows with it. */
  get partitions(): number {
    return this.#topics.reduce((sum, { partitions }) => sum + partitions, 0);
  }

  topicName(topicId: string): string {
    return this.#names.get(topicId) ?? '';
  }

  /** Of a topic that is subscribed to. */
  topicId(name: string): string | undefined {
    return this.#ids.get(name);
  }

  /** `<topic id>/<number>`, for partitions that are there and for those that are not any more. */
  keyOf(topicId: string, partition: number): PartitionKey {
    return this.#keys.get(topicId)?.[partition] ?? `${topicId}/${partition}`;
  }

  /** Throws KafkaError INVALID_REGULAR_EXPRESSION. */
  check(regex: string): void {
    if (!this.#patterns.has(regex)) this.#parts.compile(regex);
  }

  /** Whether what the members subscribe to has changed: topics made, deleted, made again, or grown. */
  refresh(members: readonly ConsumerMember[]): boolean {
    const regexes = new Set(members.map((member) => member.topicRegex));
    for (const regex of this.#patterns.keys()) if (!regexes.has(regex)) this.#patterns.delete(regex);
    regexes.delete('');
    const patterns = [...regexes].map((regex) => this.#patternOf(regex));
    // Mostly all members name the same.
    const lists = new Map(members.map(({ subscription, topicNames }) => [subscription, topicNames]));
    const names = new Set([...lists.values()].flat());
    this.#topics = this.#parts
      .topics()
      .filter(({ name }) => names.has(name) || patterns.some((matches) => matches(name)));
    const seen = JSON.stringify(this.#topics.map(({ id, partitions }) => [id, partitions]).sort());
    if (seen === this.#seen) return false;
    this.#seen = seen;
    this.#names = new Map(this.#topics.map(({ id, name }) => [id, name]));
    this.#ids = new Map(this.#topics.map(({ id, name }) => [name, id]));
    const keys = this.#keys;
    this.#keys = new Map(
      this.#topics.map(({ id, partitions }) => [id, grown(keys.get(id) ?? [], id, partitions)]),
    );
    return true;
  }

  /** Whether a member may be given partitions of the topic. */
  has(member: ConsumerMember, topic: string): boolean {
    if (member.topicNames.includes(topic)) return true;
    return member.topicRegex !== '' && member.maySee(topic) && this.#patternOf(member.topicRegex)(topic);
  }

  /** The one that most members ask for. */
  assignorOf(members: Iterable<ConsumerMember>): string {
    const votes = new Map<string, number>();
    for (const { assignor } of members) {
      if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1);
    }
    let name = DEFAULT_ASSIGNOR;
    for (const [candidate, count] of votes) if (count > (votes.get(name) ?? 0)) name = candidate;
    return name;
  }

  /** Who is to have what, as things stand when it begins; yields so that others can be let through. */
  *assign(
    members: readonly ConsumerMember[],
    target: ReadonlyMap<string, ReadonlySet<PartitionKey>>,
  ): Generator<void, Shares> {
    const [topics, keys, assignor] = [this.#topics, this.#keys, this.assignorOf(members)];
    const alike = new Map<string, ReadonlySet<string>>();
    const subscribers: Subscriber[] = [];
    let steps = 0;
    for (const member of members) {
      const { memberId, instanceId, subscription, topicRegex } = member;
      // What an expression finds depends on what its member may see.
      const key = topicRegex === '' ? subscription : `${memberId}/${subscription}`;
      let subscribed = alike.get(key);
      if (!subscribed) {
        const found = topics.filter(({ name }) => this.has(member, name));
        alike.set(key, (subscribed = new Set(found.map(({ id }) => id))));
        steps += topics.length;
      }
      subscribers.push({
        memberId,
        instanceId,
        topics: subscribed,
        current: target.get(memberId) ?? NOTHING,
      });
      if (++steps >= STEPS_AT_ONCE) {
        steps = 0;
        yield;
      }
    }
    return yield* ASSIGNORS.get(assignor)!(subscribers, (topicId) => keys.get(topicId) ?? []);
  }

  #patternOf(regex: string): (topic: string) => boolean {
    const known = this.#patterns.get(regex);
    if (known) return known;
    const compiled = this.#parts.compile(regex);
    this.#patterns.set(regex, compiled);
    return compiled;
  }
}

function grown(keys: readonly PartitionKey[], topicId: string, partitions: number): readonly PartitionKey[] {
  if (keys.length === partitions) return keys;
  return Array.from({ length: partitions }, (_, partition) => keys[partition] ?? `${topicId}/${partition}`);
}
