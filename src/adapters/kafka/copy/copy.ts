import { MillraceError } from '../../../kernel/index.ts';
import { ListGroups } from '../../../streams/kafka-protocol/index.ts';
import type { TopicPartition } from '../../../streams/port.ts';
import { Cluster } from '../cluster.ts';
import { requireOk, toMillraceError } from '../failure.ts';
import { DEFAULT_KAFKA_OPTIONS, type KafkaOptions } from '../options.ts';
import { boundsOf, committedBatches, countRecords } from './source.ts';
import { commitOffsets, ensureTopic, type GroupOffset, offsetsOf, PartitionWriter } from './target.ts';

/**
 * Copies topics from one cluster to another: settings, committed records as the bytes they are, positions of groups.
 *
 * Y1 The n-th committed record of a partition gets offset n in the target, without holes: what is there tells how far the copy
 *    is. A copy that was broken off goes on where the target ends, and one that is run again copies what came since.
 * Y2 Where the source has gaps, offsets are no counts. So the group `millrace.copy` in the target keeps, per partition, how many records
 *    were there (its offset) and where the source went on (its metadata); from there at most `MARK_EVERY` records are counted again.
 * Y3 A topic with records that this copy did not write is refused, and so is one that grows beside it.
 */
export interface CopyOptions {
  readonly from: CopyCluster;
  readonly to: CopyCluster;
  /** All but internal ones unless told. */
  readonly topics?: readonly string[];
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal;
}

export type CopyCluster = Pick<KafkaOptions, 'brokers'> & Partial<Pick<KafkaOptions, 'tls' | 'sasl'>>;

export interface CopyProgress extends TopicPartition {
  /** Records in the target, and how many there were to be in all, as far as offsets tell. */
  readonly records: number;
  readonly of: number;
}

export interface CopySummary {
  readonly topics: number;
  readonly partitions: number;
  /** Of this run. */
  readonly records: number;
  readonly bytes: number;
  /** Records in the target that were there before. */
  readonly recordsBefore: number;
  readonly groups: number;
}

const MARKS = 'millrace.copy';
const MARK_EVERY = 100_000;
const IN_FLIGHT = 5;
const PARTITIONS_AT_A_TIME = 4;
const LIST_GROUPS = 4;

interface Copied extends TopicPartition {
  /** Where the copy stopped at the source, and how many records are in the target. */
  readonly sourceEnd: number;
  readonly count: number;
  readonly records: number;
  readonly bytes: number;
}

/** Throws UNAVAILABLE, UNAUTHENTICATED, FORBIDDEN, STREAM_NOT_FOUND, CONFLICT. */
export async function copyTopics(options: CopyOptions): Promise<CopySummary> {
  const [from, to] = [options.from, options.to].map(
    (given) => new Cluster({ ...DEFAULT_KAFKA_OPTIONS, ...given }),
  );
  try {
    await Promise.all([from!.connect(), to!.connect()]);
    return await copyBetween(from!, to!, options);
  } catch (error) {
    throw toMillraceError(error);
  } finally {
    from!.close();
    to!.close();
  }
}

async function copyBetween(from: Cluster, to: Cluster, options: CopyOptions): Promise<CopySummary> {
  const topics = chosenTopics(from, options.topics);
  for (const topic of topics) await ensureTopic(from, to, topic);
  const marks = await offsetsOf(to, MARKS);
  const places = topics.flatMap((topic) =>
    from.topics.get(topic)!.leaders.map((_, partition) => ({ topic, partition })),
  );
  const copied: Copied[] = [];
  const left = [...places];
  const work = async (): Promise<void> => {
    for (let place = left.shift(); place; place = left.shift())
      copied.push(await copyPartition(from, to, place, marks, options));
  };
  await Promise.all(Array.from({ length: PARTITIONS_AT_A_TIME }, work));
  const groups = await copyGroups(from, to, copied);
  const sum = (of: (one: Copied) => number): number => copied.reduce((total, one) => total + of(one), 0);
  const records = sum((one) => one.records);
  return {
    topics: topics.length,
    partitions: places.length,
    records,
    bytes: sum((one) => one.bytes),
    recordsBefore: sum((one) => one.count) - records,
    groups,
  };
}

function chosenTopics(from: Cluster, wanted: readonly string[] | undefined): string[] {
  const missing = wanted?.find((topic) => !from.topics.has(topic));
  if (missing !== undefined)
    throw new MillraceError(
      'STREAM_NOT_FOUND',
      `There is no stream '${missing}' to copy. millrace ls lists them.`,
    );
  const all = [...from.topics.keys()].filter(
    (name) => !name.startsWith('__') && !name.startsWith('millrace.'),
  );
  return (wanted ? [...new Set(wanted)] : all).sort();
}

async function copyPartition(
  from: Cluster,
  to: Cluster,
  place: TopicPartition,
  marks: readonly GroupOffset[],
  { onProgress, signal }: CopyOptions,
): Promise<Copied> {
  const source = await boundsOf(from, place);
  const there = await boundsOf(to, place);
  let position = await resume(from, place, source, there.end, marks);
  const before = there.end;
  let count = before;
  let bytes = 0;
  let marked = count;
  const { topic, partition } = place;
  const mark = async (): Promise<void> => {
    await commitOffsets(to, MARKS, [
      { topic, partition, offset: count, metadata: JSON.stringify({ source: position }) },
    ]);
    marked = count;
  };
  const writer = position < source.end ? await PartitionWriter.open(to, place) : undefined;
  const flying: Promise<number>[] = [];
  const land = async (): Promise<void> => void (await flying.shift());
  for await (const batch of committedBatches(from, place, position, source.end)) {
    signal?.throwIfAborted();
    if (batch.count > 0) {
      const expected = count;
      const written = writer!.write(batch).then((offset) => requirePlace(place, expected, offset));
      written.catch(() => undefined);
      flying.push(written);
    }
    count += batch.count;
    bytes += batch.bytes.length;
    if (flying.length >= IN_FLIGHT) await land();
    if (count - marked >= MARK_EVERY) {
      while (flying.length > 0) await land();
      position = batch.nextOffset;
      await mark();
    }
    onProgress?.({ ...place, records: count, of: count + source.end - batch.nextOffset });
  }
  while (flying.length > 0) await land();
  position = Math.max(position, source.end);
  await mark();
  return { ...place, sourceEnd: position, count, records: count - before, bytes };
}

/** Y3. */
function requirePlace({ topic, partition }: TopicPartition, expected: number, offset: number): number {
  if (offset === expected || offset === -1) return offset;
  const message = `Somebody else writes to ${topic}/${partition} in the target. Stop that, delete the topic there, and copy again.`;
  throw new MillraceError('CONFLICT', message);
}

/** Where the source goes on, given that the target has `count` records (Y1, Y2). */
async function resume(
  from: Cluster,
  place: TopicPartition,
  { start, end }: { readonly start: number; readonly end: number },
  count: number,
  marks: readonly GroupOffset[],
): Promise<number> {
  const mark = marks.find(({ topic, partition }) => topic === place.topic && partition === place.partition);
  const known = mark ? { count: mark.offset, source: sourceOf(mark) } : { count: 0, source: start };
  if (count === known.count) return Math.max(start, known.source);
  let left = count - known.count;
  for await (const batch of committedBatches(from, place, Math.max(start, known.source), end)) {
    if (left > 0 && batch.count <= left) left -= batch.count;
    else break;
    if (left === 0) return batch.nextOffset;
  }
  const { topic, partition } = place;
  const message = `${topic}/${partition} in the target has ${count} records that are not this copy's. Delete the topic there, or leave it out.`;
  throw new MillraceError('CONFLICT', message);
}

function sourceOf({ metadata, topic, partition }: GroupOffset): number {
  const source = /^\{"source":(\d+)\}$/.exec(metadata)?.[1];
  if (source !== undefined) return Number(source);
  const message = `The mark of ${topic}/${partition} in the group '${MARKS}' of the target cannot be read. Delete the topic and the group there.`;
  throw new MillraceError('CONFLICT', message);
}

/** Positions of groups, by the records that they have before them. A group of the target is never moved back. */
async function copyGroups(from: Cluster, to: Cluster, copied: readonly Copied[]): Promise<number> {
  let groups = 0;
  for (const group of await groupsOf(from)) {
    const known = await offsetsOf(to, group);
    const offsets: GroupOffset[] = [];
    for (const { topic, partition, offset, metadata } of await offsetsOf(from, group)) {
      const place = copied.find((one) => one.topic === topic && one.partition === partition);
      if (!place) continue;
      const behind = await countRecords(from, place, offset, place.sourceEnd);
      const there = known.find((one) => one.topic === topic && one.partition === partition)?.offset ?? -1;
      const translated = place.count - behind;
      if (translated > there) offsets.push({ topic, partition, offset: translated, metadata });
    }
    if (offsets.length > 0) groups++;
    await commitOffsets(to, group, offsets);
  }
  return groups;
}

async function groupsOf(from: Cluster): Promise<string[]> {
  const names = new Set<string>();
  for (const node of from.nodes) {
    const answer = await from.call(node, 'control', ListGroups, LIST_GROUPS, {
      statesFilter: [],
      typesFilter: [],
    });
    requireOk(answer.errorCode, 'list its groups');
    for (const { groupId } of answer.groups) if (groupId !== MARKS) names.add(groupId);
  }
  return [...names].sort();
}
