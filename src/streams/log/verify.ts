import type { Damage, VerifyProgress, VerifyReport } from '../port.ts';
import { readBatches } from './batch-reader.ts';
import type { Core } from './core.ts';
import type { Partition } from './partition.ts';
import type { Segment } from './segment.ts';
import { segmentPath } from './segment-files.ts';
import { SparseIndex } from './sparse-index.ts';

interface Tally {
  batches: number;
  records: number;
  bytes: number;
  readonly damages: Damage[];
}

/** Reads every byte of every segment and index and names what does not match. Nothing is changed. */
export async function verifyLog(
  core: Core,
  found: readonly Damage[],
  onProgress?: (progress: VerifyProgress) => void,
): Promise<VerifyReport> {
  const partitions = [...core.topics.all()].flatMap((topic) => topic.partitions);
  const bytesTotal = partitions.reduce(
    (sum, partition) => sum + partition.segments.reduce((bytes, segment) => bytes + segment.bytes, 0),
    0,
  );
  // Damage that recovery found and that cost no offsets; the rest is kept with its partition.
  const tally: Tally = {
    batches: 0,
    records: 0,
    bytes: 0,
    damages: found.filter((one) => one.topic === undefined),
  };
  let bytesDone = 0;
  for (const partition of partitions) {
    for (const segment of [...partition.segments]) {
      if (partition.deleted || !partition.segments.includes(segment)) continue;
      await verifySegment(core, partition, segment, tally);
      bytesDone += segment.bytes;
      onProgress?.({ bytesDone: Math.min(bytesDone, bytesTotal), bytesTotal });
    }
    countTail(partition, tally);
    for (const { firstOffset, lastOffset, file, position, detail } of partition.lost) {
      tally.damages.push({ ...placeOf(partition), file, position, firstOffset, lastOffset, detail });
    }
  }
  return { topics: core.topics.size, partitions: partitions.length, ...tally };
}

const placeOf = (partition: Partition) => ({
  topic: partition.topic.info.name,
  partition: partition.index,
});

async function verifySegment(
  core: Core,
  partition: Partition,
  segment: Segment,
  tally: Tally,
): Promise<void> {
  const file = segmentPath(partition, segment);
  const open = await core.files.acquire(partition, segment);
  try {
    let expected = segment.baseOffset;
    let damage: { position: number; detail: string } | undefined;
    const close = (nextOffset: number): void => {
      if (!damage) return;
      const { position, detail } = damage;
      const lost = { firstOffset: expected, lastOffset: Math.max(expected, nextOffset - 1) };
      tally.damages.push({ ...placeOf(partition), file, position, ...lost, detail });
      damage = undefined;
    };
    for await (const one of readBatches(open.file, segment, 0)) {
      if (one.kind === 'damage') {
        damage ??= { position: one.position, detail: one.detail };
        continue;
      }
      close(one.header.baseOffset);
      expected = one.header.lastOffset + 1;
      tally.batches++;
      tally.records += one.header.recordCount;
      tally.bytes += one.header.sizeBytes;
    }
    close(segment.endOffset);
  } finally {
    core.files.release(open);
  }
  await verifyIndex(core, partition, segment, tally);
}

async function verifyIndex(core: Core, partition: Partition, segment: Segment, tally: Tally): Promise<void> {
  const file = segmentPath(partition, segment).replace(/\.log$/, '.index');
  const bytes = await core.disk.read(file);
  const index = new SparseIndex();
  if (!bytes || index.load(bytes, segment.bytes)) return;
  const detail =
    'An entry of the index does not match its checksum. It is built again from the log when it is used.';
  tally.damages.push({ ...placeOf(partition), file, position: index.savedBytes, detail });
}

/** What is in memory only is in the write-ahead file too. */
function countTail(partition: Partition, tally: Tally): void {
  for (const entry of partition.tail) {
    if (entry.baseOffset < partition.flushedEnd || entry.lastOffset >= partition.durableEnd) continue;
    tally.batches++;
    tally.records += entry.lastOffset - entry.baseOffset + 1;
    tally.bytes += entry.batch.length;
  }
}
