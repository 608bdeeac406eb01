import { isUtf8 } from 'node:buffer';
import type { InputProblem, Json } from '../../kernel/index.ts';
import { jsonError, scanWhole } from '../json/check.ts';
import { parseKeyPath } from '../json/key-path.ts';
import { createScanner, type JsonScanner } from '../json/scanner.ts';
import { divertHeaders } from '../publish/divert.ts';
import { keyOfJson } from '../publish/keys.ts';
import {
  type BatchHeader,
  type BatchRecord,
  encodeBatch,
  packBatch,
  payloadStart,
  RecordCursor,
} from '../record-batch/index.ts';

/** What the records of a stream must be like; plain data, so that it can travel to a worker. */
export interface BatchRules {
  readonly stream: string;
  /** The values must be JSON; the schema itself is handed over apart. */
  readonly json: boolean;
  /** JSON pointer of the member that is the record's key. */
  readonly pointer: string | undefined;
  /** The stream keeps the latest record of each key: every record has one, and values may be absent. */
  readonly compacted: boolean;
  readonly divert: boolean;
}

export type ValueProblems = (value: Json, sizeBytes: number) => readonly InputProblem[];

export interface RecordFailure {
  /** Of the record in its batch, from 0. */
  readonly index: number;
  readonly errors: readonly InputProblem[];
}

export interface BatchVerdict {
  /** In order. Where records are refused, no more than are worth listing. */
  readonly failed: readonly RecordFailure[];
  /** How many records the batch has. */
  readonly count: number;
  /**
   * What is appended instead of the batch: without those that are diverted, which are in batches of their own, or packed
   * in another way.
   */
  readonly parted?: { readonly accepted: Uint8Array; readonly diverted: readonly Uint8Array[] };
}

/** Refused records that are listed; a client that sent more learns nothing new from the rest. */
const LISTED_AT_MOST = 1000;
const DIVERTED_BATCH_BYTES = 1024 * 1024;

/**
 * Which records of a batch do not fit, and where they are diverted the batch parted in two. `records` are the decompressed ones of
 * a compressed batch. What stays keeps its place: the offsets (and so the sequences) of the others are left out, as
 * compaction leaves them out. Throws BATCH_INVALID.
 */
export function checkBatch(
  batch: Uint8Array,
  records: Uint8Array | undefined,
  rules: BatchRules,
  problemsOf: ValueProblems | undefined,
): BatchVerdict {
  const check = createRecordCheck(rules, problemsOf);
  const failed: RecordFailure[] = [];
  const cursor = new RecordCursor(batch, 0, records);
  const { header } = cursor;
  for (let index = 0; cursor.next(); index++) {
    if (!rules.divert && failed.length === LISTED_AT_MOST) break;
    const errors = check(cursor);
    if (errors.length > 0) failed.push({ index, errors });
  }
  const count = header.recordCount;
  if (failed.length === 0 || !rules.divert) return { failed, count };
  return { failed, count, parted: part(new RecordCursor(batch, 0, records), rules.stream, failed) };
}

type RecordCheck = (cursor: RecordCursor) => readonly InputProblem[];

const NONE: readonly InputProblem[] = [];
const NO_KEY = 'needs a key, because the stream keeps the latest record of each key';
const NO_VALUE = 'has no value; only a stream that keeps the latest record of each key takes such records';

function createRecordCheck(rules: BatchRules, problemsOf: ValueProblems | undefined): RecordCheck {
  const path = rules.pointer === undefined ? undefined : parseKeyPath(rules.pointer);
  const scanner = createScanner(path ? { path } : {});
  return (cursor) => {
    if (rules.compacted && cursor.keyLength < 0 && !path) return [{ path: '', message: NO_KEY }];
    if (!rules.json) return NONE;
    const value = cursor.value();
    if (value === null) {
      if (!rules.compacted) return [{ path: '', message: NO_VALUE }];
      return cursor.keyLength < 0 ? [{ path: '', message: NO_KEY }] : NONE;
    }
    return checkValue(value, cursor, { scanner, pointer: rules.pointer, problemsOf });
  };
}

interface ValueRules {
  readonly scanner: JsonScanner;
  readonly pointer: string | undefined;
  readonly problemsOf: ValueProblems | undefined;
}

function checkValue(
  value: Uint8Array,
  cursor: RecordCursor,
  { scanner, pointer, problemsOf }: ValueRules,
): readonly InputProblem[] {
  const start = payloadStart(value);
  const payload = start === 0 ? value : value.subarray(start);
  if (!isUtf8(payload)) return [{ path: '', message: `is not valid UTF-8${whichIs(start)}` }];
  const scan = scanWhole(payload, scanner);
  if (scan.end < 0) {
    const { message } = jsonError(scan, payload, 0).errors[0]!;
    return [{ path: '', message: `is no JSON${whichIs(start)}: ${message}` }];
  }
  const keyProblem =
    pointer === undefined
      ? undefined
      : wrongKey(cursor, pointer, keyOfJson(payload, scan.keyStart, scan.keyEnd));
  if (!problemsOf) return keyProblem ? [keyProblem] : NONE;
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString();
  const problems = problemsOf(JSON.parse(text) as Json, payload.length);
  return keyProblem ? [...problems, keyProblem] : problems;
}

/** Avro and Protobuf come in the same frame as JSON. */
const whichIs = (start: number): string =>
  start === 0 ? '' : ' behind the frame of its serialiser (the stream has a JSON Schema: serialise as JSON)';

/** A producer has chosen the partition by its key already: it cannot be given another one here. */
function wrongKey(
  cursor: RecordCursor,
  pointer: string,
  found: Uint8Array | string,
): InputProblem | undefined {
  if (typeof found === 'string') return { path: pointer, message: found };
  const key = cursor.key();
  if (key !== null && Buffer.compare(key, found) === 0) return undefined;
  const wanted = JSON.stringify(Buffer.from(found).toString().slice(0, 100));
  const what = key === null ? 'has none' : 'has another';
  return {
    path: pointer,
    message: `must be the key of the record, which ${what}; send the record with the key ${wanted}`,
  };
}

/** The batch without the records that failed, and these with the reasons in their headers. */
function part(
  cursor: RecordCursor,
  stream: string,
  failed: readonly RecordFailure[],
): { accepted: Uint8Array; diverted: Uint8Array[] } {
  const kept: BatchRecord[] = [];
  const offsetDeltas: number[] = [];
  const diverted: BatchRecord[][] = [];
  let divertedBytes = Number.POSITIVE_INFINITY;
  let next = 0;
  for (let index = 0; cursor.next(); index++) {
    const own = cursor.headers();
    const record = { key: cursor.key(), value: cursor.value(), headers: own, timeMs: cursor.timeMs };
    const failure = failed[next];
    if (failure?.index !== index) {
      kept.push(record);
      offsetDeltas.push(cursor.offset - cursor.header.baseOffset);
      continue;
    }
    next++;
    const bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    if (divertedBytes + bytes > DIVERTED_BATCH_BYTES) {
      diverted.push([]);
      divertedBytes = 0;
    }
    divertedBytes += bytes;
    diverted.at(-1)!.push({ ...record, headers: divertHeaders(stream, failure.errors, own) });
  }
  const timeMs = cursor.header.baseTimestampMs;
  return {
    accepted: without(cursor.header, kept, offsetDeltas),
    diverted: diverted.map((records) => encodeBatch(records, { timeMs })),
  };
}

function without(header: BatchHeader, kept: readonly BatchRecord[], offsetDeltas: number[]): Uint8Array {
  const { producerId, producerEpoch: epoch, baseSequence: sequence, compression } = header;
  const plain = encodeBatch(kept, {
    timeMs: header.baseTimestampMs,
    ...(producerId < 0 ? {} : { producer: { producerId, epoch, sequence } }),
    transactional: header.transactional,
    offsetDeltas,
    lastOffsetDelta: header.lastOffsetDelta,
  });
  // What came compressed may be too large without; of what Node cannot compress, gzip is what every client reads.
  if (compression === 'none' || kept.length === 0) return plain;
  return packBatch(plain, compression === 'zstd' ? 'zstd' : 'gzip');
}
