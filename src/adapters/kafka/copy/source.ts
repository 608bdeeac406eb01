import { Fetch, ListOffsets, NO_UUID } from '../../../streams/kafka-protocol/index.ts';
import type { TopicPartition } from '../../../streams/port.ts';
import {
  type BatchHeader,
  type BatchRecord,
  decompressRecords,
  encodeBatch,
  packBatch,
  RecordCursor,
  readBatchHeader,
  readMarker,
} from '../../../streams/record-batch/index.ts';
import type { Cluster } from '../cluster.ts';
import { ConnectionLost, requireOk } from '../failure.ts';
import { retrying } from '../retry.ts';

const FETCH = 12;
const LIST_OFFSETS = 7;
const FETCH_BYTES = 4 * 1024 * 1024;
const EMPTY_AT_MOST = 100;
const COMMITTED = 1;
const EARLIEST = -2;
const LATEST = -1;

/** A batch of committed records on its way: `bytes` have no gaps. */
export interface SourceBatch {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Behind its last offset at the source. */
  readonly nextOffset: number;
}

export const retryOn = (cluster: Cluster) => ({
  forMs: cluster.options.retryForMs,
  refresh: () => cluster.refresh(),
  stopped: () => cluster.closed,
});

/** First and end offset of a partition; the end is that of committed records. */
export async function boundsOf(
  cluster: Cluster,
  place: TopicPartition,
): Promise<{ readonly start: number; readonly end: number }> {
  const ask = async (timestamp: number): Promise<number> => {
    const { topic, partition } = place;
    const answer = await cluster.call(cluster.leaderOf(place), 'control', ListOffsets, LIST_OFFSETS, {
      replicaId: -1,
      isolationLevel: COMMITTED,
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }],
      timeoutMs: 30_000,
    });
    const { errorCode, offset } = answer.topics[0]!.partitions[0]!;
    requireOk(errorCode, `tell the bounds of ${topic}/${partition}`);
    return offset;
  };
  return retrying(async () => ({ start: await ask(EARLIEST), end: await ask(LATEST) }), retryOn(cluster));
}

/**
 * The committed records of a partition from offset `from` up to `end`, batch by batch, as they are: markers and aborted transactions
 * are left out. A batch with gaps, or that begins before `from`, is made anew from its records, with the compression that it had.
 */
export async function* committedBatches(
  cluster: Cluster,
  place: TopicPartition,
  from: number,
  end: number,
): AsyncGenerator<SourceBatch, void, undefined> {
  let empty = 0;
  for (let offset = from; offset < end; ) {
    const { records, aborted } = await retrying(() => fetchFrom(cluster, place, offset), retryOn(cluster));
    const before = offset;
    for (const { batch, header } of visible(records, aborted)) {
      if (header.lastOffset < offset || header.baseOffset >= end) continue;
      offset = Math.min(end, header.lastOffset + 1);
      if (batch) yield await wholeBatch(batch, header, Math.max(before, from), end);
    }
    // A broker that limits its clients answers with nothing at times; records below the end are there.
    empty = offset === before ? empty + 1 : 0;
    if (empty > EMPTY_AT_MOST)
      throw new ConnectionLost(`${place.topic}/${place.partition} gives no records.`);
  }
}

async function fetchFrom(cluster: Cluster, place: TopicPartition, fetchOffset: number) {
  const { topic, partition } = place;
  const answer = await cluster.call(cluster.leaderOf(place), 'fetch', Fetch, FETCH, {
    replicaId: -1,
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes: FETCH_BYTES,
    isolationLevel: COMMITTED,
    topics: [
      { topic, topicId: NO_UUID, partitions: [{ partition, fetchOffset, partitionMaxBytes: FETCH_BYTES }] },
    ],
    forgottenTopicsData: [],
  });
  requireOk(answer.errorCode, `read ${topic}/${partition}`);
  const found = answer.responses[0]?.partitions[0];
  if (!found) return { records: new Uint8Array(), aborted: [] };
  requireOk(found.errorCode, `read ${topic}/${partition}`);
  return { records: found.records ?? new Uint8Array(), aborted: found.abortedTransactions ?? [] };
}

/** Whole batches in order; those that no reader of committed records sees without their bytes. The last may be cut off. */
function* visible(
  bytes: Uint8Array,
  aborted: readonly { readonly producerId: number; readonly firstOffset: number }[],
): Generator<{ readonly header: BatchHeader; readonly batch: Uint8Array | undefined }, void, undefined> {
  const waiting = aborted.toSorted((left, right) => left.firstOffset - right.firstOffset);
  const open = new Set<number>();
  for (let at = 0; at + 12 <= bytes.length; ) {
    const size = Buffer.from(bytes.buffer, bytes.byteOffset + at, 12).readInt32BE(8) + 12;
    if (at + size > bytes.length) return;
    const batch = bytes.subarray(at, at + size);
    const header = readBatchHeader(batch);
    at += size;
    while (waiting.length > 0 && waiting[0]!.firstOffset <= header.lastOffset)
      open.add(waiting.shift()!.producerId);
    if (header.control && readMarker(batch) === 'abort') open.delete(header.producerId);
    const hidden = header.control || (header.transactional && open.has(header.producerId));
    yield { header, batch: hidden || header.recordCount === 0 ? undefined : batch };
  }
}

async function wholeBatch(
  batch: Uint8Array,
  header: BatchHeader,
  from: number,
  end: number,
): Promise<SourceBatch> {
  const nextOffset = Math.min(end, header.lastOffset + 1);
  const isWhole = header.recordCount === header.lastOffsetDelta + 1;
  if (isWhole && header.baseOffset >= from && header.lastOffset < end)
    return { bytes: new Uint8Array(batch), count: header.recordCount, nextOffset };
  const unpacked = header.compression === 'none' ? undefined : await decompressRecords(batch);
  const cursor = new RecordCursor(batch, 0, unpacked);
  const records: BatchRecord[] = [];
  while (cursor.next()) {
    if (cursor.offset < from || cursor.offset >= end) continue;
    const headers = cursor.headers();
    records.push({ key: cursor.key(), value: cursor.value(), headers, timeMs: cursor.timeMs });
  }
  if (records.length === 0) return { bytes: new Uint8Array(), count: 0, nextOffset };
  const plain = encodeBatch(records, { timeMs: header.baseTimestampMs });
  const packed = header.compression === 'zstd' ? 'zstd' : 'gzip';
  const bytes = header.compression === 'none' ? plain : packBatch(plain, packed);
  return { bytes, count: records.length, nextOffset };
}

/** How many committed records lie from `from` up to `end`. */
export async function countRecords(
  cluster: Cluster,
  place: TopicPartition,
  from: number,
  end: number,
): Promise<number> {
  let count = 0;
  for await (const batch of committedBatches(cluster, place, from, end)) count += batch.count;
  return count;
}
