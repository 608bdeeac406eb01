import type { FetchResult } from '../port.ts';
import { type Decompress, RecordCursor, readMarker, splitBatches } from '../record-batch/index.ts';
import type { ReadRecord } from '../service.ts';

export interface Decoded {
  readonly records: ReadRecord[];
  /** Behind the last record taken, or behind the last batch looked at. */
  readonly nextOffset: number;
}

interface Wanted {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly limit: number;
}

/**
 * The data records of fetched batches from `offset` on, at most `limit`. Control batches and the batches of aborted
 * transactions are passed over, as a Kafka consumer does it: a producer in `aborted` is left out from its first offset
 * up to its abort marker. Throws BATCH_INVALID.
 */
export async function decodeFetched(
  fetched: FetchResult,
  wanted: Wanted,
  decompress: Decompress,
): Promise<Decoded> {
  const { batches } = fetched;
  const pending = [...fetched.aborted].sort((left, right) => left.firstOffset - right.firstOffset);
  const aborted = new Set<number>();
  const records: ReadRecord[] = [];
  let nextOffset = wanted.offset;
  for (const { position, header } of splitBatches(batches)) {
    if (records.length >= wanted.limit) break;
    while (pending.length > 0 && pending[0]!.firstOffset <= header.lastOffset)
      aborted.add(pending.shift()!.producerId);
    if (header.control) {
      if (readMarker(batches, position) === 'abort') aborted.delete(header.producerId);
    } else if (!(header.transactional && aborted.has(header.producerId))) {
      const unpacked = header.compression === 'none' ? undefined : await decompress(batches, position);
      if (takeRecords(new RecordCursor(batches, position, unpacked), wanted, records)) {
        return { records, nextOffset: records.at(-1)!.offset + 1 };
      }
    }
    nextOffset = Math.max(nextOffset, header.lastOffset + 1);
  }
  return { records, nextOffset };
}

/** Whether the limit was reached. */
function takeRecords(
  cursor: RecordCursor,
  { topic, partition, offset, limit }: Wanted,
  records: ReadRecord[],
): boolean {
  while (cursor.next()) {
    if (cursor.offset < offset) continue;
    const { timeMs } = cursor;
    records.push({
      topic,
      partition,
      offset: cursor.offset,
      timeMs,
      key: cursor.key(),
      value: cursor.value(),
      headers: cursor.headers(),
    });
    if (records.length >= limit) return true;
  }
  return false;
}
