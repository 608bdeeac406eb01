import { MillraceError } from '../../kernel/index.ts';
import type { OffsetCommit, Position, TopicPartition } from '../port.ts';

/** Most done offsets above the low watermark of one position. */
const MOST_DONE = 10_000;

/** The committed positions of one group. */
export class GroupOffsets {
  readonly #positions = new Map<string, OffsetCommit>();

  constructor(offsets: readonly OffsetCommit[] = []) {
    this.set(offsets);
  }

  get size(): number {
    return this.#positions.size;
  }

  get(partition: TopicPartition): Position | undefined {
    const found = this.#positions.get(keyOf(partition));
    if (!found) return undefined;
    const { topic: _, partition: __, ...position } = found;
    return position;
  }

  /** Of the partitions named that have one, or of all, by topic and partition. */
  list(partitions?: readonly TopicPartition[]): OffsetCommit[] {
    if (partitions) return partitions.flatMap((one) => this.#positions.get(keyOf(one)) ?? []);
    return [...this.#positions.values()].sort((a, b) =>
      a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
    );
  }

  set(offsets: readonly OffsetCommit[]): void {
    for (const one of offsets) this.#positions.set(keyOf(one), one);
  }

  delete(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) this.#positions.delete(keyOf(one));
  }

  forgetTopic(topic: string): void {
    for (const [key, one] of this.#positions) if (one.topic === topic) this.#positions.delete(key);
  }
}

/**
 * The position in its shortest form: done offsets right at the low watermark raise it, those below it are dropped.
 * Throws BAD_REQUEST for offsets that are none and for more than 10,000 done offsets.
 */
export function normalisePosition(commit: OffsetCommit): OffsetCommit {
  const { topic, partition, metadata, leaderEpoch } = commit;
  requireOffset(commit.offset, commit);
  const done = commit.done.filter((one) => one >= commit.offset);
  done.forEach((one, index) => {
    requireOffset(one, commit);
    if (index > 0 && one <= done[index - 1]!) throw badCommit(commit, 'its done offsets do not ascend');
  });
  let offset = commit.offset;
  let raised = 0;
  while (done[raised] === offset) {
    raised++;
    offset++;
  }
  if (done.length - raised > MOST_DONE)
    throw badCommit(commit, `more than ${MOST_DONE} offsets are done above it`);
  return {
    topic,
    partition,
    offset,
    done: done.slice(raised),
    ...(metadata === undefined ? {} : { metadata }),
    ...(leaderEpoch === undefined ? {} : { leaderEpoch }),
  };
}

function requireOffset(offset: number, commit: OffsetCommit): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw badCommit(commit, `${offset} is not an offset`);
}

function badCommit({ topic, partition }: TopicPartition, why: string): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    `The position of '${topic}' partition ${partition} cannot be committed: ${why}. Commit an offset and what is done above it.`,
  );
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${partition}/${topic}`;
}
