import { MillraceError } from '../../kernel/index.ts';
import type { ReadRecord, Streams } from '../../streams/index.ts';
import type { RetrainRun } from './store.ts';

/** Rows of a stream, one JSON object a line, parted by time: the first to learn from, the last to be judged by. */
export interface History {
  readonly learn: Buffer;
  readonly heldBack: Buffer;
  readonly rows: { readonly learn: number; readonly heldBack: number };
}

/** The latest part of the rows is what a model is judged by. */
const HELD_BACK = 0.2;
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

/** Reads the rows of fixed positions: the same positions give the same bytes, as long as retention leaves them there. */
export async function readHistory(streams: Streams, stream: string, positions: Positions): Promise<History> {
  const records: ReadRecord[] = [];
  let bytes = 0;
  for (const [partition, { from, to }] of positions.entries()) {
    for (let offset = from; offset < to; ) {
      const page = await streams.read({ topic: stream, partition }, offset, { limit: PAGE });
      for (const record of page.records) {
        if (record.offset >= to || record.value === null) continue;
        bytes += record.value.length;
        records.push(record);
      }
      if (bytes > MOST_BYTES) throw tooLarge(stream);
      if (page.nextOffset <= offset) break;
      offset = page.nextOffset;
    }
  }
  records.sort((a, b) => a.timeMs - b.timeMs || a.partition - b.partition || a.offset - b.offset);
  const cut = Math.floor(records.length * (1 - HELD_BACK));
  return {
    learn: linesOf(records.slice(0, cut)),
    heldBack: linesOf(records.slice(cut)),
    rows: { learn: cut, heldBack: records.length - cut },
  };
}

const LINE_END = Buffer.from('\n');

/** Values of JSON streams are JSON without line breaks only by custom: inside JSON a break is white space, so it becomes a blank. */
function linesOf(records: readonly ReadRecord[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { value } of records) {
    const line = Buffer.from(value!);
    for (let at = line.indexOf(10); at >= 0; at = line.indexOf(10, at)) line[at] = 32;
    parts.push(line, LINE_END);
  }
  return Buffer.concat(parts);
}

function tooLarge(stream: string): MillraceError {
  const message = `The rows of '${stream}' take more than ${MOST_BYTES / 1024 ** 2} MB. Learn from fewer: retrain.rows.`;
  return new MillraceError('PAYLOAD_TOO_LARGE', message);
}
