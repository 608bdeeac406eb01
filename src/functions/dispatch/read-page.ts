import { type Json, MillraceError } from '../../kernel/index.ts';
import type { ReadRecord, Streams } from '../../streams/index.ts';

/** Of the streams room, what `ctx.read` needs. */
export type PageSource = Pick<Streams, 'describe' | 'read'>;

const DEFAULT_RECORDS = 1000;
const MAX_RECORDS = 10_000;
/** Of one page over all partitions; one record may be larger. */
const PAGE_BYTES = 4 * 1024 * 1024;

/**
 * The next page of a stream after `cursor` (undefined: from the start), as the JSON text of the SDK's `ReadPage`.
 * Records of one partition come in order; partitions follow one another. Values are spliced in as they were published.
 * Where retention has removed records after the cursor, the page goes on at the first that is left.
 * Throws STREAM_NOT_FOUND, BAD_REQUEST.
 */
export async function readPage(
  streams: PageSource,
  stream: string,
  cursor: Json | undefined,
  limit: Json | undefined,
): Promise<Uint8Array> {
  const { bounds } = streams.describe(stream);
  const offsets = offsetsOf(stream, cursor);
  let left = limitOf(limit);
  let bytesLeft = PAGE_BYTES;
  let more = false;
  const texts: string[] = [];
  for (const [partition, { logStartOffset, lastStableOffset }] of bounds.entries()) {
    let offset = Math.max(offsets[partition] ?? 0, logStartOffset);
    while (left > 0 && bytesLeft > 0 && offset < lastStableOffset) {
      const page = await streams.read({ topic: stream, partition }, offset, {
        limit: left,
        maxBytes: bytesLeft,
      });
      for (const record of page.records) {
        texts.push(recordText(stream, record));
        bytesLeft -= (record.value?.length ?? 0) + 100;
      }
      left -= page.records.length;
      if (page.nextOffset <= offset) break;
      offset = page.nextOffset;
    }
    offsets[partition] = offset;
    more ||= offset < lastStableOffset;
  }
  const next = JSON.stringify({ stream, offsets });
  return new TextEncoder().encode(`{"records":[${texts.join(',')}],"cursor":${next},"more":${more}}`);
}

function offsetsOf(stream: string, cursor: Json | undefined): number[] {
  if (cursor === undefined || cursor === null) return [];
  const { stream: of, offsets } = cursor as { stream?: unknown; offsets?: unknown };
  const valid = Array.isArray(offsets) && offsets.every((each) => Number.isSafeInteger(each) && each >= 0);
  if (of === stream && valid) return [...(offsets as number[])];
  throw new MillraceError(
    'BAD_REQUEST',
    `That is no cursor of '${stream}'. Give the cursor of an earlier page of this stream, or none to begin at its start.`,
  );
}

function limitOf(limit: Json | undefined): number {
  if (limit === undefined || limit === null) return DEFAULT_RECORDS;
  if (Number.isSafeInteger(limit) && (limit as number) >= 1 && (limit as number) <= MAX_RECORDS)
    return limit as number;
  throw new MillraceError('BAD_REQUEST', `The limit of a page is a whole number from 1 to ${MAX_RECORDS}.`);
}

function recordText(stream: string, record: ReadRecord): string {
  const decoder = new TextDecoder();
  const text = (bytes: Uint8Array | null): string | undefined =>
    bytes === null ? undefined : decoder.decode(bytes);
  const head = JSON.stringify({
    kind: 'record',
    stream,
    partition: record.partition,
    offset: record.offset,
    key: text(record.key),
    time: record.timeMs,
    headers: Object.fromEntries(record.headers.map(({ key, value }) => [key, text(value)])),
  });
  return `${head.slice(0, -1)},"value":${jsonOf(text(record.value))}}`;
}

/** Streams without a schema may hold bytes that are not JSON: they come as text. */
function jsonOf(value: string | undefined): string {
  if (value === undefined) return 'null';
  try {
    JSON.parse(value);
    return value;
  } catch {
    return JSON.stringify(value);
  }
}
