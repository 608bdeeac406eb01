import { MillraceError } from '../../kernel/index.ts';
import { Fetch, NO_UUID } from '../../streams/kafka-protocol/index.ts';
import type { FetchResult, PartitionBounds, TopicPartition } from '../../streams/port.ts';
import {
  batchSizeAt,
  crcMatches,
  RecordCursor,
  readMarker,
  splitBatches,
} from '../../streams/record-batch/index.ts';
import type { Cluster, Purpose } from './cluster.ts';
import { requireOk } from './failure.ts';

export const FETCH = 12;
export const ISOLATION = { uncommitted: 0, committed: 1 } as const;

/** Names are those of the cluster. */
export interface RawFetch extends TopicPartition {
  readonly offset: number;
  readonly maxBytes: number;
  readonly isolation: 'committed' | 'uncommitted';
  /** How long the broker waits for the first byte; 0 unless told. */
  readonly waitMs?: number;
  readonly purpose: Purpose;
}

/** One try at the leader. */
export async function fetchFrom(cluster: Cluster, request: RawFetch): Promise<FetchResult> {
  const { topic, partition, offset, maxBytes, isolation, waitMs = 0, purpose } = request;
  const answer = await cluster.call(
    cluster.leaderOf(request),
    purpose,
    Fetch,
    FETCH,
    fetchRequest(isolation, waitMs, maxBytes, [{ topic, partition, fetchOffset: offset, maxBytes }]),
  );
  requireOk(answer.errorCode, `read '${topic}'`);
  const found = answer.responses[0]!.partitions[0]!;
  requireOk(found.errorCode, `read '${topic}' partition ${partition} from ${offset}`);
  return resultOf(request, found);
}

export interface FetchPlace extends TopicPartition {
  readonly fetchOffset: number;
  readonly maxBytes: number;
}

/** Without a session: each request says all it asks for. */
export function fetchRequest(
  isolation: 'committed' | 'uncommitted',
  maxWaitMs: number,
  maxBytes: number,
  places: readonly FetchPlace[],
) {
  const topics = Map.groupBy(places, ({ topic }) => topic);
  return {
    maxWaitMs,
    minBytes: maxWaitMs > 0 ? 1 : 0,
    maxBytes,
    isolationLevel: ISOLATION[isolation],
    topics: [...topics].map(([topic, of]) => ({
      topic,
      topicId: NO_UUID,
      partitions: of.map(({ partition, fetchOffset, maxBytes: partitionMaxBytes }) => ({
        ...{ partition, fetchOffset, partitionMaxBytes },
        ...{ currentLeaderEpoch: -1, lastFetchedEpoch: -1, logStartOffset: -1 },
        ...{ replicaDirectoryId: NO_UUID, highWatermark: -1 },
      })),
    })),
    forgottenTopicsData: [],
  };
}

interface FetchedPartition extends PartitionBounds {
  readonly abortedTransactions: FetchResult['aborted'] | null;
  readonly records: Uint8Array | null;
}

/** Whole batches only, each with the checksum that its producer gave it. Throws DATA_DAMAGED. */
export function resultOf(place: TopicPartition, found: FetchedPartition): FetchResult {
  const { logStartOffset, lastStableOffset, highWatermark } = found;
  const records = found.records ?? new Uint8Array(0);
  let end = 0;
  for (;;) {
    const size = batchSizeAt(records, end);
    if (size === undefined || end + size > records.length) break;
    if (!crcMatches(records, end)) throw damaged(place, records, end);
    end += size;
  }
  const aborted = (found.abortedTransactions ?? []).map(({ producerId, firstOffset }) => ({
    producerId,
    firstOffset,
  }));
  return { batches: records.subarray(0, end), aborted, logStartOffset, lastStableOffset, highWatermark };
}

function damaged({ topic, partition }: TopicPartition, records: Uint8Array, at: number): MillraceError {
  const offset = Buffer.from(records.buffer, records.byteOffset, records.byteLength).readBigInt64BE(at);
  return new MillraceError(
    'DATA_DAMAGED',
    `The batch at offset ${offset} of '${topic}' partition ${partition} does not match its checksum. Let the cluster's operator look at its replicas, or read on behind it.`,
  );
}

/** Base offsets of batches that belong to aborted transactions: those of a producer from its first offset up to its marker. */
export function abortedBatches({ batches, aborted }: FetchResult): ReadonlySet<number> {
  const waiting = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const skipping = new Set<number>();
  const skipped = new Set<number>();
  let next = 0;
  for (const { position, header } of splitBatches(batches)) {
    for (; next < waiting.length && waiting[next]!.firstOffset <= header.lastOffset; next++) {
      skipping.add(waiting[next]!.producerId);
    }
    if (header.control) {
      if (readMarker(batches, position) === 'abort') skipping.delete(header.producerId);
    } else if (header.transactional && skipping.has(header.producerId)) skipped.add(header.baseOffset);
  }
  return skipped;
}

/** Committed records in [from, to) of a partition. */
export type ReadPartition = (
  place: TopicPartition,
  range: { readonly from: number; readonly to: number },
  onRecord: (record: RecordCursor) => void,
) => Promise<number>;

/** How a read of a whole partition is paced. */
const STEP_BYTES = 4 * 1024 * 1024;
const STEP_WAIT_MS = 100;
/** Longer than transactions of this adapter may stay open, and than a coordinator takes to abort what is over time. */
const OPEN_WITHIN_MS = 90_000;

/**
 * Hands every committed record in [from, to) to `onRecord`, waiting for transactions that are open before `to`; resolves to
 * where it stopped. A step is a fetch of a few megabytes. Throws UNAVAILABLE when nothing becomes readable for a minute and a half.
 */
export async function readRange(
  fetch: (request: Omit<RawFetch, 'purpose'>) => Promise<FetchResult>,
  place: TopicPartition,
  range: { readonly from: number; readonly to: number },
  onRecord: (record: RecordCursor) => void,
): Promise<number> {
  let offset = range.from;
  let movedMs = performance.now();
  while (offset < range.to) {
    const result = await fetch({
      ...place,
      ...{ offset, maxBytes: STEP_BYTES, isolation: 'committed', waitMs: STEP_WAIT_MS },
    });
    const skipped = abortedBatches(result);
    for (const { position, header } of splitBatches(result.batches)) {
      if (!header.control && !skipped.has(header.baseOffset)) {
        const cursor = new RecordCursor(result.batches, position);
        while (cursor.next()) if (cursor.offset >= offset && cursor.offset < range.to) onRecord(cursor);
      }
      offset = Math.max(offset, header.lastOffset + 1);
    }
    if (result.batches.length > 0) movedMs = performance.now();
    // Compaction may have taken away the last ones before the end.
    else if (result.lastStableOffset >= range.to) return range.to;
    else if (performance.now() - movedMs > OPEN_WITHIN_MS) throw heldBack(place, offset);
  }
  return offset;
}

function heldBack({ topic, partition }: TopicPartition, offset: number): MillraceError {
  const message = `A transaction that nobody ends hides what '${topic}' partition ${partition} holds from offset ${offset} on. Find it with kafka-transactions.sh and abort it.`;
  return new MillraceError('UNAVAILABLE', message, { retryAfterMs: 10_000 });
}
