import { MillraceError, signal } from '../../kernel/index.ts';
import {
  type GroupsSnapshot,
  ProducerStates,
  type ProducerStatesSnapshot,
  type TransactionsSnapshot,
} from '../coordination/index.ts';
import type { Disk } from '../disk.port.ts';
import type { TopicInfo } from '../port.ts';
import { crc32c } from '../record-batch/index.ts';
import type { LostRange, Partition } from './partition.ts';
import { type Segment, type SegmentLine, segmentFromLine, segmentLine } from './segment.ts';
import type { Topics } from './topics.ts';

/**
 * A checkpoint says all that the write-ahead files no longer need to: one JSON document a line, the last line the CRC-32C
 * of those before. It is written twice, so that a damaged copy costs nothing.
 *
 * C1 Everything in frames up to `sequence` is in it or in synced segments. What is newer may be in it too: replaying the
 *    frames after `sequence` over it ends in the same state (R1).
 */
export const CHECKPOINT_PATHS = ['checkpoint.a', 'checkpoint.b'] as const;

interface HeadLine {
  readonly format: 1;
  readonly sequence: number;
  readonly nextTopic: number;
  readonly groups: GroupsSnapshot;
  readonly transactions: TransactionsSnapshot;
}

interface TopicLine {
  readonly topic: number;
  readonly info: TopicInfo;
}

interface PartitionLine {
  readonly of: readonly [topic: number, partition: number];
  readonly start: number;
  readonly end: number;
  readonly segments: readonly SegmentLine[];
  readonly generation?: number;
  readonly cleanEnd?: number;
  readonly producers?: ProducerStatesSnapshot;
  readonly lost?: readonly LostRange[];
}

export interface CheckpointState {
  readonly sequence: number;
  readonly groups: GroupsSnapshot;
  readonly transactions: TransactionsSnapshot;
}

/** The partition's line, from memory while nothing changed. */
function partitionLine(partition: Partition): string {
  if (partition.line !== undefined) return partition.line;
  const segments: SegmentLine[] = [];
  let end = partition.segments[0]?.baseOffset ?? partition.flushedEnd;
  for (const segment of partition.segments) {
    // A segment that is not synced yet comes again from the write-ahead file, and so does all behind it.
    if (segment.syncedBytes === 0) break;
    segments.push(segmentLine(segment));
    end = segment.syncedEndOffset;
    if (segment.syncedBytes < segment.bytes) break;
  }
  const line: PartitionLine = {
    of: [partition.topic.number, partition.index],
    start: partition.logStart,
    end: partition.pastLost(end),
    segments,
    ...(partition.generation > 0 ? { generation: partition.generation, cleanEnd: partition.cleanEnd } : {}),
    ...(partition.producers ? { producers: partition.producers.snapshot() } : {}),
    ...(partition.lost.length > 0 ? { lost: partition.lost } : {}),
  };
  return JSON.stringify(line);
}

/** Writes both copies. `pause` is awaited now and then, so that ten thousand partitions do not hold the thread. */
export async function writeCheckpoint(
  disk: Disk,
  topics: Topics,
  state: CheckpointState,
  pause: () => Promise<void>,
): Promise<number> {
  const head: HeadLine = { format: 1, nextTopic: topics.nextNumber, ...state };
  const chunks: Buffer[] = [Buffer.from(`${JSON.stringify(head)}\n`)];
  let lines = '';
  const closed: Segment[] = [];
  for (const topic of [...topics.all()]) {
    lines += `${JSON.stringify({ topic: topic.number, info: topic.info } satisfies TopicLine)}\n`;
    for (const partition of topic.partitions) {
      const line = partitionLine(partition);
      // Only idle partitions keep their line: a busy one's is out of date at once.
      partition.line = partition.flushedEnd === partition.nextOffset ? line : undefined;
      lines += `${line}\n`;
      for (const one of partition.segments) if (!one.settled && isWhole(one)) closed.push(one);
      if (lines.length < 65_536) continue;
      chunks.push(Buffer.from(lines));
      lines = '';
      await pause();
    }
  }
  chunks.push(Buffer.from(lines));
  const body = Buffer.concat(chunks);
  const content = Buffer.concat([body, Buffer.from(`{"crc":${crc32c(body)}}\n`)]);
  for (const path of CHECKPOINT_PATHS) await disk.replace(path, content);
  for (const segment of closed) segment.settled = true;
  return content.length;
}

function isWhole(segment: Segment): boolean {
  return segment.closed && segment.bytes > 0 && segment.syncedBytes === segment.bytes;
}

/** The newest good copy into `topics`; undefined when there never was a checkpoint. Throws DATA_DAMAGED when all are bad. */
export async function readCheckpoint(disk: Disk, topics: Topics): Promise<CheckpointState | undefined> {
  let best: { head: HeadLine; lines: string[] } | undefined;
  let present = 0;
  for (const path of CHECKPOINT_PATHS) {
    const content = await disk.read(path);
    if (!content) continue;
    present++;
    const parsed = parseCheckpoint(content);
    if (!parsed) {
      signal('log.damaged', {
        file: path,
        position: 0,
        detail: 'The checkpoint does not match its checksum.',
      });
    } else if (!best || parsed.head.sequence > best.head.sequence) best = parsed;
  }
  if (best) {
    // Its name may not be durable yet, and what it makes superfluous is written over from now on.
    await disk.syncFolder('');
    restore(topics, best.head, best.lines);
    return best.head;
  }
  if (present === 0) return undefined;
  throw new MillraceError(
    'DATA_DAMAGED',
    `Both copies of the checkpoint (${CHECKPOINT_PATHS.join(', ')}) are damaged. Restore the data folder from a backup.`,
  );
}

function parseCheckpoint(content: Uint8Array): { head: HeadLine; lines: string[] } | undefined {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const split = bytes.lastIndexOf('{"crc":');
  if (split <= 0) return undefined;
  const tail = bytes.subarray(split).toString();
  if (tail !== `{"crc":${crc32c(bytes, 0, split)}}\n`) return undefined;
  const lines = bytes.subarray(0, split).toString().split('\n');
  lines.pop();
  const head = JSON.parse(lines.shift()!) as HeadLine;
  if (head.format === 1) return { head, lines };
  throw new MillraceError(
    'DATA_FOLDER_FORMAT',
    `The checkpoint has format ${head.format}; this version reads format 1. Use the version that wrote it.`,
  );
}

function restore(topics: Topics, head: HeadLine, lines: readonly string[]): void {
  for (const line of lines) {
    const parsed = JSON.parse(line) as TopicLine | PartitionLine;
    if ('topic' in parsed) {
      topics.put(parsed.topic, parsed.info);
      continue;
    }
    const partition = topics.byNumber(parsed.of[0])?.partitions[parsed.of[1]];
    if (!partition) continue;
    partition.logStart = parsed.start;
    partition.segments = parsed.segments.map(segmentFromLine);
    partition.flushedEnd = partition.durableEnd = partition.nextOffset = parsed.end;
    partition.generation = parsed.generation ?? 0;
    partition.cleanEnd = parsed.cleanEnd ?? 0;
    if (parsed.producers) partition.producers = new ProducerStates(parsed.producers);
    partition.lost = [...(parsed.lost ?? [])];
    partition.line = line;
  }
  topics.nextNumber = Math.max(topics.nextNumber, head.nextTopic);
}
