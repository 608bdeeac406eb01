import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type ErrorCode, isMillraceError, type ManualClock } from '../../kernel/index.ts';
import type {
  AppendInput,
  AppendResult,
  LogStore,
  ProducerIdentity,
  TopicConfig,
  TopicPartition,
} from '../port.ts';
import {
  type BatchOptions,
  type BatchRecord,
  decodeBatch,
  encodeBatch,
  readMarker,
  splitBatches,
} from '../record-batch/index.ts';

/** A store under test, started, with the clock that it was given. The factory stops it after the test. */
export interface StoreUnderTest {
  readonly store: LogStore;
  readonly clock: ManualClock;
  /** Whose rules hold where those of the port's own engine cannot; each difference is a row in docs/kafka-log.md. */
  readonly differs?: 'kafka';
  /** Lets retention and compaction do now what is due. */
  maintain?(): Promise<void>;
  /** Stops the store and starts another over what it left. */
  reopen?(): Promise<LogStore>;
}

export type MakeStore = (t: TestContext) => Promise<StoreUnderTest>;

export const T0: TopicPartition = { topic: 't', partition: 0 };
export const T1: TopicPartition = { topic: 't', partition: 1 };

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array | null | undefined): string | undefined =>
  bytes ? new TextDecoder().decode(bytes) : undefined;

/** Waits for what was rejected and checks its code; the message must say something to a person. */
export async function refuses(work: Promise<unknown> | (() => unknown), code: ErrorCode): Promise<void> {
  await assert.rejects(
    async () => (typeof work === 'function' ? work() : work),
    (error) => {
      if (!isMillraceError(error, code)) throw new Error(`${code} was expected`, { cause: error });
      assert.ok(error.message.length > 15, error.message);
      return true;
    },
  );
}

export async function makeTopic(
  store: LogStore,
  spec: { name?: string; partitions?: number; config?: Partial<TopicConfig> } = {},
) {
  const { name = 't', partitions = 2, config = {} } = spec;
  return store.topics.create({ name, partitions, config });
}

/** A batch of text values. */
export function batchOf(values: readonly string[], options: Partial<BatchOptions> = {}): Uint8Array {
  return encodeBatch(
    values.map((value) => ({ value: utf8(value) })),
    { timeMs: 1_000, ...options },
  );
}

export function keyedBatch(
  entries: readonly (readonly [key: string, value: string | null])[],
  timeMs = 1_000,
): Uint8Array {
  const records: BatchRecord[] = entries.map(([key, value]) => ({
    key: utf8(key),
    value: value === null ? null : utf8(value),
  }));
  return encodeBatch(records, { timeMs });
}

export const appendOf = (partition: TopicPartition, ...values: string[]): AppendInput => ({
  ...partition,
  batch: batchOf(values),
});

export const append = (
  store: LogStore,
  partition: TopicPartition,
  ...values: string[]
): Promise<AppendResult> => store.append(appendOf(partition, ...values));

/** A batch of a producer; `sequence` is that of its first value. */
export function produced(
  producer: ProducerIdentity,
  sequence: number,
  values: readonly string[],
  transactional = false,
): Uint8Array {
  return batchOf(values, { producer: { ...producer, sequence }, transactional });
}

export interface ReadBack {
  readonly offset: number;
  readonly timeMs: number;
  readonly key: string | undefined;
  readonly value: string | undefined;
}

/** Reads a partition to its end as a consumer does: in steps, skipping control batches and what was aborted. */
export async function readAll(
  store: LogStore,
  partition: TopicPartition,
  options: { from?: number; isolation?: 'committed' | 'uncommitted'; maxBytes?: number } = {},
): Promise<ReadBack[]> {
  const { isolation = 'uncommitted', maxBytes = 1_000_000 } = options;
  let offset = options.from ?? store.bounds(partition).logStartOffset;
  const records: ReadBack[] = [];
  for (;;) {
    const result = await store.fetch({ ...partition, offset, maxBytes, isolation });
    if (result.batches.length === 0) return records;
    const skipped = abortedOffsets(result.batches, isolation === 'committed' ? result.aborted : []);
    for (const { position, header } of splitBatches(result.batches)) {
      if (!header.control && !skipped.has(header.baseOffset)) {
        for (const record of decodeBatch(result.batches, position)) {
          if (record.offset < offset) continue;
          const { timeMs, key, value } = record;
          records.push({ offset: record.offset, timeMs, key: textOf(key), value: textOf(value) });
        }
      }
    }
    const last = [...splitBatches(result.batches)].at(-1)!.header.lastOffset;
    assert.ok(last >= offset, 'a fetch must bring its reader forward');
    offset = last + 1;
  }
}

/** Base offsets of batches to skip: those of a producer from its aborted transaction's start to its abort marker. */
function abortedOffsets(
  batches: Uint8Array,
  aborted: readonly { producerId: number; firstOffset: number }[],
): Set<number> {
  const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const skipping = new Set<number>();
  const skipped = new Set<number>();
  for (const { position, header } of splitBatches(batches)) {
    while (waiting.length > 0 && waiting[0]!.firstOffset <= header.lastOffset)
      skipping.add(waiting.shift()!.producerId);
    if (header.control) {
      if (readMarker(batches, position) === 'abort') skipping.delete(header.producerId);
    } else if (header.transactional && skipping.has(header.producerId)) skipped.add(header.baseOffset);
  }
  return skipped;
}

export const valuesOf = async (
  store: LogStore,
  partition: TopicPartition,
  options: Parameters<typeof readAll>[2] = {},
): Promise<(string | undefined)[]> => (await readAll(store, partition, options)).map((one) => one.value);

/** Lets everything run that was started: callbacks, continuations, a store's own turns. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

/** Lets things run until `holds`: a store on a real disk needs its time. The test's own limit ends it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}
