import { MillraceError } from '../../kernel/index.ts';
import type { ReadRecord, Streams } from '../../streams/index.ts';
import type { RetrainRun } from './store.ts';

/** Rows of one partition as they were read: their JSON, one after the other, where each ends, and when it was written. */
export interface HistoryPage {
  readonly partition: number;
  readonly values: Uint8Array<ArrayBuffer>;
  readonly ends: Uint32Array;
  readonly timesMs: Float64Array;
}

const PAGE = 1000;
const MOST_BYTES = 512 * 1024 * 1024;

type Positions = NonNullable<RetrainRun['positions']>;

/** Where the latest rows lie, as evenly over the partitions as these are long. */
export function latestPositions(streams: Streams, stream: string, mostRows: number): Positions {
  const { bounds } = streams.describe(stream);
  const lengths = bounds.map(({ logStartOffset, lastStableOffset }) => lastStableOffset - logStartOffset);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const part = total === 0 ? 0 : Math.min(1, mostRows / total);
  return bounds.map(({ lastStableOffset }, at) => ({
    from: lastStableOffset - Math.floor(lengths[at]! * part),
    to: lastStableOffset,
  }));
}

export const countRows = (positions: Positions): number =>
  positions.reduce((sum, { from, to }) => sum + to - from, 0);

/** Records ever written, all partitions together: grows, whatever retention removes. */
export const recordsOf = (streams: Streams, stream: string): number =>
  streams.describe(stream).bounds.reduce((sum, { lastStableOffset }) => sum + lastStableOffset, 0);

/**
 * Reads the rows of fixed positions: the same positions give the same bytes, as long as retention leaves them there. They are
 * neither parsed nor sorted here: workers do that.
 */
export async function readHistory(
  streams: Streams,
  stream: string,
  positions: Positions,
): Promise<readonly HistoryPage[]> {
  const pages: HistoryPage[] = [];
  let bytes = 0;
  for (const [partition, { from, to }] of positions.entries()) {
    for (let offset = from; offset < to; ) {
      const page = await streams.read({ topic: stream, partition }, offset, { limit: PAGE });
      const records = page.records.filter((record) => record.offset < to && record.value !== null);
      pages.push(pageOf(partition, records));
      bytes += pages.at(-1)!.values.length;
      if (bytes > MOST_BYTES) throw tooLarge(stream);
      if (page.nextOffset <= offset) break;
      offset = page.nextOffset;
    }
  }
  return pages;
}

function pageOf(partition: number, records: readonly ReadRecord[]): HistoryPage {
  const values = new Uint8Array(records.reduce((sum, { value }) => sum + value!.length, 0));
  const ends = new Uint32Array(records.length);
  let end = 0;
  for (const [at, { value }] of records.entries()) {
    values.set(value!, end);
    end += value!.length;
    ends[at] = end;
  }
  return { partition, values, ends, timesMs: Float64Array.from(records, ({ timeMs }) => timeMs) };
}

function tooLarge(stream: string): MillraceError {
  const message = `The rows of '${stream}' take more than ${MOST_BYTES / 1024 ** 2} MB. Learn from fewer: retrain.rows.`;
  return new MillraceError('PAYLOAD_TOO_LARGE', message);
}
