import { signal } from '../../kernel/index.ts';
import { ProducerStates } from '../coordination/index.ts';
import type { Disk } from '../disk.port.ts';
import type { Damage } from '../port.ts';
import { type BatchHeader, readBatchHeader, readMarker } from '../record-batch/index.ts';
import { type Change, readChange } from './changes.ts';
import {
  FRAME_HEAD_BYTES,
  type FrameHead,
  findNextFrame,
  type ReadEntry,
  readFrameEntries,
  readFrameHead,
} from './frame.ts';
import type { TailEntry } from './partition.ts';
import type { Topics } from './topics.ts';
import { FILE_HEAD_BYTES, readFileHead } from './write-ahead-log.ts';

/**
 * Replays the write-ahead files over a checkpoint.
 *
 * V1 The files are synced before they are believed, and the last frame is written again: what is served after a restart
 *    survives the next power loss. After a failed sync the system may keep bytes to read that it will never write; they can
 *    only be those of the last frame (W1).
 * V2 Damage to one batch costs that batch alone; the offsets it had are kept as lost, and readers are told.
 * V3 A bad frame with no good one after it (a seal counts) was never acknowledged and is dropped.
 */
export interface Recovered {
  readonly lastSequence: number;
  readonly generation: number;
  readonly files: readonly { path: string; bytes: number; lastSequence: number; free: boolean }[];
  readonly entries: readonly TailEntry[];
  readonly damages: readonly Damage[];
}

interface WalFile {
  readonly path: string;
  readonly bytes: number;
  /** Known only where the head of the file is intact. */
  readonly generation: number | undefined;
  readonly order: number;
}

interface Replay {
  readonly topics: Topics;
  readonly applyChange: (change: Change) => void;
  readonly entries: TailEntry[];
  readonly damages: Damage[];
  /** Where damage was seen last: the reason of a hole in the offsets. */
  lastDamage: Damage | undefined;
  sequence: number;
  lastFrame: { readonly path: string; readonly position: number; readonly bytes: Uint8Array } | undefined;
  /** The first frame of the log or of what the checkpoint leaves. */
  readonly from: number;
  nowMs: number;
}

async function readHeads(disk: Disk): Promise<WalFile[]> {
  const files: WalFile[] = [];
  const listed = await disk.list('wal');
  // The names too: what is recycled here is never synced as a name again.
  if (listed.length > 0) await disk.syncFolder('wal');
  for (const { name, bytes } of listed) {
    if (!name.endsWith('.wal') || bytes === 0) continue;
    const path = `wal/${name}`;
    const file = await disk.open(path);
    try {
      await file.sync();
      const start = new Uint8Array(Math.min(bytes, FILE_HEAD_BYTES + FRAME_HEAD_BYTES));
      await file.read(start, 0);
      const head = readFileHead(start);
      // With a damaged head the first frame's own place in the sequence still tells where the file belongs.
      const order = head?.firstSequence ?? readFrameHead(start, FILE_HEAD_BYTES)?.sequence ?? -1;
      files.push({ path, bytes, generation: head?.generation, order });
    } finally {
      await file.close();
    }
  }
  return files.sort((a, b) => a.order - b.order || (a.generation ?? 0) - (b.generation ?? 0));
}

export async function replayWriteAhead(
  disk: Disk,
  topics: Topics,
  fromSequence: number,
  applyChange: (change: Change) => void,
  nowMs: number,
): Promise<Recovered> {
  const replay: Replay = {
    topics,
    applyChange,
    entries: [],
    damages: [],
    lastDamage: undefined,
    sequence: fromSequence,
    lastFrame: undefined,
    from: fromSequence,
    nowMs,
  };
  const heads = await readHeads(disk);
  const files: Recovered['files'][number][] = [];
  let generation = 0;
  for (const [index, head] of heads.entries()) {
    generation = Math.max(generation, head.generation ?? 0, Number(/(\d+)\.wal$/.exec(head.path)?.[1] ?? 0));
    // Recycled over and over: nothing in a file is newer than the first frame of the file that follows it.
    const next = heads[index + 1];
    const before = replay.sequence;
    const stale = next !== undefined && next.order >= 0 && next.order <= fromSequence + 1;
    if (!stale) {
      const content = await disk.read(head.path);
      if (content) replayFile(replay, head, content, next?.order);
    }
    const free = stale || (replay.sequence === before && before === fromSequence);
    files.push({ path: head.path, bytes: head.bytes, lastSequence: replay.sequence, free });
  }
  await writeLastFrameAgain(disk, replay);
  return {
    lastSequence: replay.sequence,
    generation,
    files,
    entries: replay.entries,
    damages: replay.damages,
  };
}

async function writeLastFrameAgain(disk: Disk, { lastFrame }: Replay): Promise<void> {
  if (!lastFrame) return;
  const file = await disk.open(lastFrame.path);
  try {
    await file.write([lastFrame.bytes], lastFrame.position);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Replays the frames of one file. `nextFirst` is the first sequence of the file that follows. */
function replayFile(replay: Replay, file: WalFile, content: Uint8Array, nextFirst: number | undefined): void {
  if (file.generation === undefined && file.order > replay.sequence) {
    damaged(replay, file.path, 0, 'The head of the write-ahead file does not match its checksum.');
  }
  let position = FILE_HEAD_BYTES;
  while (position < content.length) {
    const head = readFrameHead(content, position);
    if (head && head.sequence <= replay.from && head.count > 0) {
      position += head.lengthBytes;
      continue;
    }
    const good = head !== undefined && head.sequence > replay.sequence;
    if (good && head.count === 0) break; // the seal
    const entries = good ? readFrameEntries(content, head) : [];
    if (good && entries.every((entry) => entry.intact)) {
      applyFrame(replay, file.path, head, entries);
      position = head.position + head.lengthBytes;
      // The head of the file was written with its first frame.
      const from = head.position === FILE_HEAD_BYTES ? 0 : head.position;
      replay.lastFrame = { path: file.path, position: from, bytes: content.subarray(from, position) };
      continue;
    }
    const next = findNextFrame(content, position + 1, good ? head.sequence : replay.sequence);
    // A torn tail: nothing good follows, here or in a later file.
    if (!next && (nextFirst === undefined || nextFirst <= replay.sequence + 1)) return;
    if (good) {
      applyFrame(replay, file.path, head, entries);
      position = head.position + head.lengthBytes;
    } else {
      damaged(
        replay,
        file.path,
        position,
        'A frame of the write-ahead file does not match its checksum; its batches are lost.',
      );
      if (!next) return;
      position = next.position;
    }
  }
}

function damaged(
  replay: Replay,
  file: string,
  position: number,
  detail: string,
  where: Partial<Damage> = {},
): void {
  const damage: Damage = { file, position, detail, ...where };
  replay.damages.push(damage);
  replay.lastDamage = damage;
  const place =
    where.topic === undefined
      ? {}
      : { stream: where.topic, ...(where.partition === undefined ? {} : { partition: where.partition }) };
  signal('log.damaged', { file, position, detail, ...place });
}

function applyFrame(replay: Replay, path: string, head: FrameHead, entries: readonly ReadEntry[]): void {
  for (const entry of entries) {
    if (entry.kind === 'batch') applyBatch(replay, path, head.sequence, entry);
    else if (entry.intact) replay.applyChange(readChange(entry.bytes));
    else
      damaged(
        replay,
        path,
        entry.position,
        'A change of metadata in the write-ahead file does not match its checksum; it is lost.',
      );
  }
  replay.sequence = head.sequence;
}

function applyBatch(replay: Replay, path: string, sequence: number, entry: ReadEntry): void {
  const partition = replay.topics.byNumber(entry.topicNumber)?.partitions[entry.partition];
  if (!partition || entry.baseOffset < partition.nextOffset) return; // deleted since, or in its segment already
  const topic = partition.topic.info.name;
  const lose = (firstOffset: number, lastOffset: number, damage: Damage): void => {
    const { file, position, detail } = damage;
    partition.lost.push({ firstOffset, lastOffset, file, position, detail });
    partition.line = undefined;
  };
  if (entry.baseOffset > partition.nextOffset && replay.lastDamage) {
    lose(partition.nextOffset, entry.baseOffset - 1, replay.lastDamage);
  }
  if (!entry.intact) {
    const { lastOffset } = entry;
    const where = { topic, partition: partition.index, firstOffset: entry.baseOffset, lastOffset };
    damaged(
      replay,
      path,
      entry.position,
      'A batch in the write-ahead file does not match its checksum; it is lost.',
      where,
    );
    lose(entry.baseOffset, lastOffset, replay.lastDamage!);
    partition.nextOffset = partition.durableEnd = lastOffset + 1;
    return;
  }
  const header = readBatchHeader(entry.bytes);
  replayProducer(replay, entry, header);
  const tail: TailEntry = {
    batch: entry.bytes,
    baseOffset: entry.baseOffset,
    lastOffset: header.lastOffset,
    maxTimestampMs: header.maxTimestampMs,
    partition,
    sequence,
    flushed: false,
    readers: 0,
    release: undefined,
  };
  partition.tail.push(tail);
  partition.nextOffset = partition.durableEnd = header.lastOffset + 1;
  partition.line = undefined;
  replay.entries.push(tail);
}

function replayProducer(replay: Replay, entry: ReadEntry, header: BatchHeader): void {
  if (header.producerId < 0) return;
  const partition = replay.topics.byNumber(entry.topicNumber)!.partitions[entry.partition]!;
  partition.producers ??= new ProducerStates();
  const outcome = header.control ? readMarker(entry.bytes) : undefined;
  const { producerId, producerEpoch } = header;
  if (outcome)
    partition.producers.mark({ producerId, producerEpoch, outcome }, entry.baseOffset, replay.nowMs);
  else partition.producers.append(header, entry.baseOffset, replay.nowMs, appendTimeOf(header));
}

function appendTimeOf(header: BatchHeader): number {
  return header.timestampType === 'append' ? header.maxTimestampMs : -1;
}
