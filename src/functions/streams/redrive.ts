import { MillraceError } from '../../kernel/index.ts';
import {
  type AppendInput,
  type Assignment,
  type BatchRecordHeader,
  encodeBatch,
  type Membership,
  type ReadRecord,
} from '../../streams/index.ts';
import { type Consumer, groupOf, streamsOf } from './consumer.ts';
import { DEAD_LETTER, deadLetterStream, headerText } from './dead-letter.ts';
import type { StreamConsumersOptions } from './options.ts';
import { redriveTopic } from './redrive-topic.ts';

export interface RedriveResult {
  /** Dead letters that are on their way to the function. */
  readonly redriven: number;
  /** Dead letters that stay, because the function no longer reads the stream they came from. */
  readonly left: number;
}

const PAGE_RECORDS = 1000;
const PAGE_BYTES = 4 * 1024 * 1024;
/** Letters that stay hold the position back; beyond this many offsets behind it nothing more is moved. */
const MOST_KEPT = 1000;
const MOST_DONE = 9000;

type Options = Pick<StreamConsumersOptions, 'streams'>;

/**
 * Dead letters are moved to the function's redrive topics by a group of their own, `<app>.<function>.redrive`: the copy and
 * the position in the dead-letter stream are one commit, so each is given once however often and from wherever this is
 * called. The function's own group reads the copies like any record.
 */
export function createRedrive(
  { streams }: Options,
  consumerOf: (fn: string) => Consumer,
): (fn: string, options?: { readonly record?: number }) => Promise<RedriveResult> {
  const queues = new Map<string, Promise<unknown>>();

  const redrive = async (consumer: Consumer, record: number | undefined): Promise<RedriveResult> => {
    const { app, manifest } = consumer.definition;
    const letters = deadLetterStream(manifest.name);
    if (!streams.find(letters)) {
      if (record !== undefined) throw noSuchLetter(manifest.name, record);
      return { redriven: 0, left: 0 };
    }
    if (await makeTopics(streams, consumer)) consumer.rejoin();
    const member = await streams.log.join(`${groupOf(app, manifest.name)}.redrive`, [letters], {
      from: 'start',
    });
    try {
      const mover = { streams, fn: manifest.name, letters, reads: streamsOf(manifest) };
      return record === undefined ? await moveAll(mover, member) : await moveOne(mover, member, record);
    } finally {
      await member.leave();
    }
  };

  return async (fn, { record } = {}) => {
    const consumer = consumerOf(fn);
    const before = queues.get(fn) ?? Promise.resolve();
    const run = before.then(() => redrive(consumer, record));
    const settled = run.catch(() => undefined);
    queues.set(fn, settled);
    try {
      return await run;
    } finally {
      if (queues.get(fn) === settled) queues.delete(fn);
    }
  };
}

interface Mover extends Options {
  readonly fn: string;
  readonly letters: string;
  /** Streams that the function reads. */
  readonly reads: readonly string[];
}

/** True when a topic was made, so that the function has to join it. */
async function makeTopics(
  streams: Options['streams'],
  { group, definition: { manifest } }: Consumer,
): Promise<boolean> {
  let made = false;
  for (const stream of streamsOf(manifest)) {
    const name = redriveTopic(manifest.name, stream);
    const { partitions } = streams.describe(stream);
    const found = streams.log.topics.find(name);
    if (!found) {
      await streams.log.topics.create({ name, partitions, internal: true, config: { retentionMs: null } });
      made = true;
    } else {
      if (found.partitions < partitions) await streams.log.topics.alter(name, { partitions });
      await dropHandled(streams, group, name, found.partitions);
    }
  }
  return made;
}

/** The topic keeps its records for ever, so that none is lost before the function read it; what it has read can go. */
async function dropHandled(
  { log }: Options['streams'],
  group: string,
  topic: string,
  partitions: number,
): Promise<void> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  for (const { partition, offset } of log.groups.offsets(group, all)) {
    const place = { topic, partition };
    if (offset > log.bounds(place).logStartOffset) await log.deleteRecords(place, offset);
  }
}

async function withAssignment<T>(
  member: Membership,
  use: (assignment: Assignment) => Promise<T | 'fenced'>,
): Promise<T> {
  for await (const assignment of member.assignments()) {
    if (assignment.partitions.length === 0) continue;
    const result = await use(assignment);
    if (result !== 'fenced') return result;
  }
  throw new MillraceError(
    'UNAVAILABLE',
    'The redrive was interrupted because the platform stops. Ask for it again.',
  );
}

async function moveAll(mover: Mover, member: Membership): Promise<RedriveResult> {
  let redriven = 0;
  return withAssignment(member, async (assignment) => {
    const partition = assignment.partitions[0]!;
    const end = mover.streams.log.bounds(partition).lastStableOffset;
    const start = await assignment.position(partition);
    const skip = new Set(start.done);
    const kept: number[] = [];
    for (let at = start.offset; at < end && kept.length < MOST_KEPT; ) {
      const page = await mover.streams.read(partition, at, { limit: PAGE_RECORDS, maxBytes: PAGE_BYTES });
      if (page.nextOffset === at || at - (kept[0] ?? at) > MOST_DONE) break;
      at = page.nextOffset;
      const due = page.records.filter(({ offset }) => offset < end && !skip.has(offset));
      const able = due.filter((letter) => mover.reads.includes(originStream(letter)));
      for (const { offset } of due) if (!able.some((letter) => letter.offset === offset)) kept.push(offset);
      const moved = await assignment.commit({
        appends: able.map((letter) => copyOf(mover, letter)),
        offsets: [{ ...partition, ...positionAt(at, start.offset, kept, skip) }],
        state: [],
      });
      if (moved.status === 'FENCED') return 'fenced';
      redriven += able.length;
    }
    return { redriven, left: kept.length };
  });
}

/** Everything below `at` is done, except what is kept: the position stays at the first of those. */
function positionAt(
  at: number,
  from: number,
  kept: readonly number[],
  skip: ReadonlySet<number>,
): { offset: number; done: number[] } {
  const later = [...skip].filter((offset) => offset >= at);
  if (kept.length === 0) return { offset: at, done: later };
  const offset = kept[0]!;
  const stays = new Set(kept);
  const done: number[] = [];
  for (let each = Math.max(offset, from); each < at; each++) if (!stays.has(each)) done.push(each);
  return { offset, done: [...done, ...later] };
}

async function moveOne(mover: Mover, member: Membership, record: number): Promise<RedriveResult> {
  return withAssignment(member, async (assignment) => {
    const partition = assignment.partitions[0]!;
    const { offset, done } = await assignment.position(partition);
    const { lastStableOffset, logStartOffset } = mover.streams.log.bounds(partition);
    if (record < logStartOffset || record >= lastStableOffset) throw noSuchLetter(mover.fn, record);
    if (record < offset || done.includes(record)) throw alreadyGiven(mover.fn, record);
    const page = await mover.streams.read(partition, record, { limit: 1 });
    const letter = page.records[0];
    if (letter?.offset !== record) throw noSuchLetter(mover.fn, record);
    if (!mover.reads.includes(originStream(letter))) throw notRead(mover.fn, originStream(letter));
    const after = [...done, record].sort((a, b) => a - b);
    let front = offset;
    while (after[0] === front) {
      after.shift();
      front++;
    }
    const moved = await assignment.commit({
      appends: [copyOf(mover, letter)],
      offsets: [{ ...partition, offset: front, done: after }],
      state: [],
    });
    return moved.status === 'FENCED' ? 'fenced' : { redriven: 1, left: 0 };
  });
}

const originStream = (letter: ReadRecord): string =>
  headerText(letter.headers, DEAD_LETTER.originStream) ?? '';

/** The letter for its function again: key and value as they were, its headers kept, one more redrive counted. */
function copyOf(mover: Mover, letter: ReadRecord): AppendInput {
  const topic = redriveTopic(mover.fn, originStream(letter));
  const partitions = mover.streams.log.topics.find(topic)!.partitions;
  const origin = Number(headerText(letter.headers, DEAD_LETTER.originPartition));
  const redrives = Number(headerText(letter.headers, DEAD_LETTER.redrives) ?? 0) + 1;
  const headers: BatchRecordHeader[] = [
    ...letter.headers.filter(({ key }) => key !== DEAD_LETTER.redrives),
    { key: DEAD_LETTER.redrives, value: Buffer.from(String(redrives)) },
  ];
  const batch = encodeBatch([{ key: letter.key, value: letter.value, headers }], { timeMs: letter.timeMs });
  return { topic, partition: origin < partitions ? origin : 0, batch, trusted: true };
}

function noSuchLetter(fn: string, record: number): MillraceError {
  return new MillraceError(
    'NOT_FOUND',
    `'${deadLetterStream(fn)}' has no record at offset ${record}. 'millrace tail ${deadLetterStream(fn)} --from start' shows what is there.`,
  );
}

function alreadyGiven(fn: string, record: number): MillraceError {
  return new MillraceError(
    'CONFLICT',
    `Dead letter ${record} of '${fn}' was given to it again before. If it failed once more, it is in '${deadLetterStream(fn)}' at a later offset.`,
  );
}

function notRead(fn: string, stream: string): MillraceError {
  return new MillraceError(
    'CONFLICT',
    `'${fn}' no longer reads '${stream}', where this dead letter came from. Deploy a version that does, then redrive.`,
  );
}
