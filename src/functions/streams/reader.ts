import {
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  type BatchHeader,
  readMarker,
  type Streams,
  splitBatches,
} from '../../streams/index.ts';
import { indexBatches, type Slab } from './slab.ts';
import type { PartitionQueue } from './types.ts';

export interface Fetched {
  readonly slab: Slab;
  readonly nextOffset: number;
}

/** Tells the batches of aborted transactions from the rest, going through one fetch in order. */
function visibility(
  bytes: Uint8Array,
  aborted: readonly { readonly producerId: number; readonly firstOffset: number }[],
): (header: BatchHeader) => boolean {
  if (aborted.length === 0) return (header) => !header.control;
  const hidden = new Set<number>();
  const open = new Set<number>();
  const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  for (const { position, header } of splitBatches(bytes)) {
    while (waiting.length > 0 && waiting[0]!.firstOffset <= header.lastOffset)
      open.add(waiting.shift()!.producerId);
    if (!header.control && header.transactional && open.has(header.producerId)) hidden.add(header.baseOffset);
    if (header.control && readMarker(bytes, position) === 'abort') open.delete(header.producerId);
  }
  return (header) => !header.control && !hidden.has(header.baseOffset);
}

/** The batches with the records of compressed ones unpacked; their CRCs do not hold any more. */
async function unpack(bytes: Uint8Array, decompress: Streams['decompress']): Promise<Uint8Array> {
  const spans = [...splitBatches(bytes)];
  if (spans.every(({ header }) => header.compression === 'none')) return bytes;
  const parts: Uint8Array[] = [];
  for (const { position, header } of spans) {
    if (header.compression === 'none') parts.push(bytes.subarray(position, position + header.sizeBytes));
    else {
      const records = await decompress(bytes, position);
      const head = Buffer.from(bytes.subarray(position, position + BATCH_HEADER_BYTES));
      head.writeInt32BE(BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES + records.length, 8);
      head.writeInt16BE(header.attributes & ~7, 21);
      parts.push(head, records);
    }
  }
  return Buffer.concat(parts);
}

/** Reads on from where the queue stands. Undefined at the end. */
export async function readOn(
  { log, decompress }: Pick<Streams, 'log' | 'decompress'>,
  queue: PartitionQueue,
  maxBytes: number,
): Promise<Fetched | undefined> {
  const { topic, partition, fetchOffset, skip } = queue;
  const result = await log.fetch({ topic, partition, offset: fetchOffset, maxBytes, isolation: 'committed' });
  if (result.batches.length === 0) return undefined;
  const bytes = await unpack(result.batches, decompress);
  let nextOffset = fetchOffset;
  for (const { header } of splitBatches(bytes)) nextOffset = header.lastOffset + 1;
  return { slab: indexBatches(bytes, fetchOffset, skip, visibility(bytes, result.aborted)), nextOffset };
}
