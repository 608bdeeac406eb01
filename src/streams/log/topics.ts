import { MillraceError } from '../../kernel/index.ts';
import { DEFAULT_TOPIC_CONFIG, type TopicInfo, type TopicPartition } from '../port.ts';
import { Partition, type Topic } from './partition.ts';

/** All topics, by name and by number. */
export class Topics {
  readonly #byName = new Map<string, Topic>();
  readonly #byNumber = new Map<number, Topic>();
  nextNumber = 1;

  /** Throws STREAM_NOT_FOUND. */
  get(name: string): Topic {
    const topic = this.#byName.get(name);
    if (topic) return topic;
    throw new MillraceError(
      'STREAM_NOT_FOUND',
      `There is no stream '${name}'. Create it first, or check its name.`,
    );
  }

  find(name: string): Topic | undefined {
    return this.#byName.get(name);
  }

  byNumber(number: number): Topic | undefined {
    return this.#byNumber.get(number);
  }

  all(): IterableIterator<Topic> {
    return this.#byName.values();
  }

  get size(): number {
    return this.#byName.size;
  }

  /** Throws STREAM_NOT_FOUND, PARTITION_NOT_FOUND. */
  partition({ topic, partition }: TopicPartition): Partition {
    const found = this.get(topic).partitions[partition];
    if (found) return found;
    const count = this.get(topic).partitions.length;
    throw new MillraceError(
      'PARTITION_NOT_FOUND',
      `Stream '${topic}' has no partition ${partition}. It has ${count}, counted from 0.`,
    );
  }

  /** Makes a topic, or brings it to a later description of itself. */
  put(number: number, known: TopicInfo): Topic {
    // What was written before there was a setting has its default.
    const info = { ...known, config: { ...DEFAULT_TOPIC_CONFIG, ...known.config } };
    let topic = this.#byNumber.get(number);
    if (!topic) {
      topic = { number, info, partitions: [], deleted: false };
      this.#byNumber.set(number, topic);
      this.#byName.set(info.name, topic);
    }
    topic.info = info;
    while (topic.partitions.length < info.partitions) {
      topic.partitions.push(new Partition(topic, topic.partitions.length));
    }
    this.nextNumber = Math.max(this.nextNumber, number + 1);
    return topic;
  }

  remove(number: number): Topic | undefined {
    const topic = this.#byNumber.get(number);
    if (!topic) return undefined;
    this.#byNumber.delete(number);
    if (this.#byName.get(topic.info.name) === topic) this.#byName.delete(topic.info.name);
    topic.deleted = true;
    for (const partition of topic.partitions) partition.deleted = true;
    return topic;
  }
}
