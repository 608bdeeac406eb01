import { MillraceError } from '../../kernel/index.ts';
import type { OffsetCommit, Position, TopicPartition } from '../../streams/port.ts';

/** An offset as Kafka keeps it for a group; names are those of the cluster. */
export interface CommittedOffset extends TopicPartition {
  readonly offset: number;
  /** -1: not known. */
  readonly leaderEpoch: number;
  readonly metadata: string | null;
}

/** Brokers take this many characters of metadata unless they were told otherwise (`offset.metadata.max.bytes`). */
export const MOST_METADATA = 4096;
const MARK = 'millrace:1:';
const SPILLED = '@';

/** A record of the positions topic that holds the done offsets. */
export interface SpilledAt {
  readonly partition: number;
  readonly offset: number;
}

/**
 * The metadata of a committed offset says what is done above it: `millrace:1:` and the done offsets, `:`, and the metadata
 * that came with the position. Done offsets are written as runs, `gap+length` in base 36 divided by commas, each gap counted
 * from the end of the run before; what does not fit stands in a record, `@partition.offset`. Other metadata is a client's own.
 */
export function writeMetadata({ offset, done, metadata }: OffsetCommit, spilledAt?: SpilledAt): string {
  if (done.length === 0 && (metadata === undefined || !metadata.startsWith(MARK))) return metadata ?? '';
  const runs = spilledAt ? `${SPILLED}${spilledAt.partition}.${spilledAt.offset}` : writeRuns(offset, done);
  return `${MARK}${runs}:${metadata ?? ''}`;
}

export type ReadPosition =
  | { readonly position: OffsetCommit; readonly spilledAt?: undefined }
  | { readonly position: OffsetCommit; readonly spilledAt: SpilledAt };

/** The position that was committed; where its done offsets were spilled, without them. */
export function readPosition({
  topic,
  partition,
  offset,
  leaderEpoch,
  metadata,
}: CommittedOffset): ReadPosition {
  const place = { topic, partition, offset, ...(leaderEpoch < 0 ? {} : { leaderEpoch }) };
  if (metadata === null || metadata === '') return { position: { ...place, done: [] } };
  if (!metadata.startsWith(MARK)) return { position: { ...place, done: [], metadata } };
  const runsEnd = metadata.indexOf(':', MARK.length);
  const runs = metadata.slice(MARK.length, runsEnd);
  const own = metadata.slice(runsEnd + 1);
  const rest = own === '' ? {} : { metadata: own };
  if (!runs.startsWith(SPILLED)) return { position: { ...place, done: readRuns(offset, runs), ...rest } };
  const [spillPartition, spillOffset] = runs.slice(1).split('.').map(Number) as [number, number];
  return {
    position: { ...place, done: [], ...rest },
    spilledAt: { partition: spillPartition, offset: spillOffset },
  };
}

export function writeRuns(from: number, done: readonly number[]): string {
  const runs: string[] = [];
  let end = from;
  for (let index = 0; index < done.length; ) {
    const start = done[index]!;
    let length = 1;
    while (done[index + length] === start + length) length++;
    runs.push(`${(start - end).toString(36)}+${length.toString(36)}`);
    end = start + length;
    index += length;
  }
  return runs.join(',');
}

export function readRuns(from: number, text: string): number[] {
  const done: number[] = [];
  let end = from;
  for (const run of text === '' ? [] : text.split(',')) {
    const [gap, length] = run.split('+').map((part) => Number.parseInt(part, 36)) as [number, number];
    if (!(gap >= 0 && length > 0)) throw damaged(text);
    const start = end + gap;
    for (let offset = start; offset < start + length; offset++) done.push(offset);
    end = start + length;
  }
  return done;
}

function damaged(text: string): MillraceError {
  return new MillraceError(
    'DATA_DAMAGED',
    `A committed position cannot be read: '${text.slice(0, 40)}'. Reset the offset of its group with Kafka's own tools.`,
  );
}

/** Without the partition it is of. */
export function offsetOf({ topic: _topic, partition: _partition, ...position }: OffsetCommit): Position {
  return position;
}
