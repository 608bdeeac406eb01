import type { Clock } from '../../kernel/index.ts';
import { KeyedState } from '../../streams/coordination/index.ts';
import type { StateWrite, TopicPartition } from '../../streams/port.ts';
import { type BatchRecord, encodeBatch } from '../../streams/record-batch/index.ts';
import type { Names } from './names.ts';
import type { ReadPartition } from './reading.ts';

/** Milliseconds since the epoch in decimal digits; entries without it never expire. */
const EXPIRES_HEADER = 'expires';
const CHANGELOG_CONFIG = {
  cleanup: 'compact',
  segmentBytes: 64 * 1024 * 1024,
  maxBatchBytes: 16 * 1024 * 1024,
} as const;

interface ChangelogParts {
  readonly clock: Clock;
  readonly names: Names;
  ensure(topic: string, partitions: number, config: typeof CHANGELOG_CONFIG): Promise<void>;
  end(place: TopicPartition): Promise<number>;
  start(place: TopicPartition): Promise<number>;
  readonly read: ReadPartition;
}

/** Keyed state that was restored, and the keys in its changelog whose time is over: their tombstones go with the next commit. */
export interface RestoredState {
  readonly state: KeyedState;
  readonly expired: Uint8Array[];
}

/**
 * One compacted topic for each store of a group, with the partitions of the streams that the group reads. A record is an
 * entry by its key; its time, where it has one, stands in a header.
 */
export class Changelogs {
  readonly #parts: ChangelogParts;

  constructor(parts: ChangelogParts) {
    this.#parts = parts;
  }

  async place(group: string, store: string, partition: number, partitions: number): Promise<TopicPartition> {
    const topic = this.#parts.names.changelog(group, store);
    await this.#parts.ensure(topic, partitions, CHANGELOG_CONFIG);
    return { topic, partition };
  }

  /**
   * Everything up to the end at this moment. Transactions of former owners that are open before it are waited for: those
   * that count have been told of in the group's offsets already, the others have been aborted by taking over.
   */
  async restore(place: TopicPartition): Promise<RestoredState> {
    const state = new KeyedState(this.#parts.clock);
    const [from, to] = await Promise.all([this.#parts.start(place), this.#parts.end(place)]);
    await this.#parts.read(place, { from, to }, (record) => {
      const expires = record.textHeaders()?.[EXPIRES_HEADER];
      state.apply({
        key: record.key()!,
        value: record.value(),
        ...(expires === undefined ? {} : { expiresAtMs: Number(expires) }),
      });
    });
    return { state, expired: state.removeExpired() };
  }

  encode(writes: readonly StateWrite[], expired: readonly Uint8Array[]): Uint8Array {
    const records: BatchRecord[] = expired.map((key) => ({ key, value: null }));
    for (const { key, value, expiresAtMs } of writes) {
      const headers =
        expiresAtMs === undefined || value === null
          ? []
          : [{ key: EXPIRES_HEADER, value: Buffer.from(String(expiresAtMs)) }];
      records.push({ key, value, headers });
    }
    return encodeBatch(records, { timeMs: this.#parts.clock.now() });
  }
}
