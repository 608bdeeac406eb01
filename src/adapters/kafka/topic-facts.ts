import type { TopicPartition } from '../../streams/port.ts';
import { encodeBatch } from '../../streams/record-batch/index.ts';
import type { ReadPartition } from './reading.ts';

/** What the cluster does not keep of a topic. */
export interface TopicFact {
  readonly topicId: string;
  readonly createdMs: number;
  readonly internal: boolean;
}

interface FactsParts {
  readonly topic: string;
  readonly now: () => number;
  append(place: TopicPartition, batch: Uint8Array): Promise<unknown>;
  end(place: TopicPartition): Promise<number>;
  readonly read: ReadPartition;
}

/** A compacted topic of one partition, read from where it was left off: JSON by the name of the topic. */
export class TopicFacts {
  readonly #parts: FactsParts;
  readonly #facts = new Map<string, TopicFact>();
  #readTo = 0;

  constructor(parts: FactsParts) {
    this.#parts = parts;
  }

  /** Facts of an earlier topic of this name do not count. */
  of(name: string, topicId: string): TopicFact | undefined {
    const fact = this.#facts.get(name);
    return fact?.topicId === topicId ? fact : undefined;
  }

  async note(name: string, fact: TopicFact | null): Promise<void> {
    const value = fact && Buffer.from(JSON.stringify(fact));
    const batch = encodeBatch([{ key: Buffer.from(name), value }], { timeMs: this.#parts.now() });
    await this.#parts.append(this.#place, batch);
    this.#apply(name, fact);
  }

  async sync(): Promise<void> {
    const to = await this.#parts.end(this.#place);
    if (to <= this.#readTo) return;
    this.#readTo = await this.#parts.read(this.#place, { from: this.#readTo, to }, (record) => {
      const [key, value] = [record.key(), record.value()];
      this.#apply(Buffer.from(key!).toString(), value && JSON.parse(Buffer.from(value).toString()));
    });
  }

  get #place(): TopicPartition {
    return { topic: this.#parts.topic, partition: 0 };
  }

  #apply(name: string, fact: TopicFact | null): void {
    if (fact) this.#facts.set(name, fact);
    else this.#facts.delete(name);
  }
}
