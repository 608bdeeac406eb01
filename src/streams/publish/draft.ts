import { formatBytes, type InputProblem, type Json, LIMITS, MillraceError } from '../../kernel/index.ts';
import { invalidStreamOf } from '../definitions/names.ts';
import type { OpenStream } from '../definitions/registry.ts';
import { partitionOfKey } from '../record-batch/index.ts';
import { pointer } from '../schema/canonical.ts';
import type { RecordHeader } from '../service.ts';
import { Batcher } from './batcher.ts';
import { divertHeaders } from './divert.ts';
import { keyOfJson } from './keys.ts';

/** One record on its way into the log. Its value is the bytes [valueStart, valueEnd) of `bytes`. */
export interface DraftRecord {
  readonly bytes: Uint8Array;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Where the member of the stream's key path lies; -1 for none. */
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly key?: Uint8Array | undefined;
  readonly headers?: readonly RecordHeader[] | undefined;
  readonly timeMs?: number | undefined;
  readonly partition?: number | undefined;
}

/** Problems listed in one error; more would only repeat themselves. */
const PROBLEMS_AT_MOST = 1000;

/** What one call wants to append: every record checked, keyed and given its partition. */
export class Draft {
  readonly batcher: Batcher;
  readonly problems: InputProblem[] = [];
  readonly diverted: { index: number; errors: readonly InputProblem[] }[] = [];
  readonly stream: OpenStream;
  readonly #unkeyedPartition: number;
  readonly #invalid: string;
  readonly #needsKey: boolean;
  #failed = 0;

  /** `unkeyedPartition`: where records without a key go, all of one call to one, so that they share a batch. */
  constructor(stream: OpenStream, records: number, unkeyedPartition: number) {
    this.stream = stream;
    this.#unkeyedPartition = unkeyedPartition;
    this.#invalid = invalidStreamOf(stream.topic.name);
    this.#needsKey = stream.settings.cleanup !== 'delete';
    this.batcher = new Batcher(records);
  }

  /** `checked`: what is wrong with its value, where that is known already. */
  add(index: number, record: DraftRecord, checked?: readonly InputProblem[]): void {
    const sizeBytes = this.#checkSize(index, record);
    const schemaProblems = checked ?? this.#schemaProblems(record);
    const key = this.#keyOf(record);
    if (schemaProblems.length === 0 && !isProblem(key)) {
      this.#place(index, record, key, sizeBytes);
      return;
    }
    this.#reject(index, record, isProblem(key) ? [...schemaProblems, key] : schemaProblems, sizeBytes);
  }

  /** Throws RECORD_INVALID when records were refused. */
  finish(): void {
    if (this.#failed === 0) return;
    const { name } = this.stream.topic;
    const first = this.problems[0]!;
    const count = this.#failed === 1 ? 'A record does' : `${this.#failed} records do`;
    throw new MillraceError(
      'RECORD_INVALID',
      `${count} not fit the stream '${name}', and nothing was published: ${first.path} ${first.message}.`,
      { errors: this.problems },
    );
  }

  #place(index: number, record: DraftRecord, key: Uint8Array | null, sizeBytes: number): void {
    const { topic } = this.stream;
    const partition =
      record.partition !== undefined
        ? this.#checkPartition(record.partition)
        : key === null
          ? this.#unkeyedPartition
          : partitionOfKey(key, topic.partitions);
    const value = record.bytes.subarray(record.valueStart, record.valueEnd);
    const { headers, timeMs } = record;
    const entry = {
      key,
      value,
      ...(headers ? { headers } : {}),
      ...(timeMs === undefined ? {} : { timeMs }),
    };
    this.batcher.add(index, topic.name, partition, entry, sizeBytes);
  }

  #reject(index: number, record: DraftRecord, errors: readonly InputProblem[], sizeBytes: number): void {
    if (this.stream.settings.onInvalid === 'divert') {
      this.diverted.push({ index, errors });
      const headers = divertHeaders(this.stream.topic.name, errors, record.headers);
      const value = record.bytes.subarray(record.valueStart, record.valueEnd);
      this.batcher.add(
        index,
        this.#invalid,
        0,
        { key: record.key ?? null, value, headers },
        sizeBytes + 4096,
      );
      return;
    }
    this.#failed++;
    for (const { path, message } of errors) {
      if (this.problems.length < PROBLEMS_AT_MOST) this.problems.push({ path: `/${index}${path}`, message });
    }
  }

  #schemaProblems({ bytes, valueStart, valueEnd }: DraftRecord): readonly InputProblem[] {
    const { schema } = this.stream;
    if (!schema) return NO_PROBLEMS;
    const size = valueEnd - valueStart;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + valueStart, size).toString();
    return schema().problems(JSON.parse(text) as Json, size);
  }

  #keyOf(record: DraftRecord): Uint8Array | null | InputProblem {
    const { keyPath } = this.stream;
    if (!keyPath) {
      if (record.key) return record.key;
      return this.#needsKey
        ? { path: '', message: 'needs a key, because the stream keeps the latest record of each key' }
        : null;
    }
    const found = keyOfJson(record.bytes, record.keyStart, record.keyEnd);
    if (typeof found === 'string') return { path: keyPath.pointer, message: found };
    if (record.key && Buffer.compare(record.key, found) !== 0) {
      return {
        path: keyPath.pointer,
        message: 'differs from the key given; leave the key out, it is taken from here',
      };
    }
    return found;
  }

  #checkSize(index: number, record: DraftRecord): number {
    const keyBytes = record.key?.length ?? Math.max(0, record.keyEnd - record.keyStart);
    let sizeBytes = record.valueEnd - record.valueStart + keyBytes;
    for (const { key, value } of record.headers ?? [])
      sizeBytes += Buffer.byteLength(key) + (value?.length ?? 0);
    const { maxRecordBytes } = this.stream.settings;
    if (sizeBytes > maxRecordBytes)
      throw this.#tooLarge(
        index,
        `has ${formatBytes(sizeBytes)}; the stream takes ${formatBytes(maxRecordBytes)}. Store large payloads elsewhere and publish a reference, or raise maxRecordBytes`,
      );
    if (keyBytes > LIMITS.keyBytes)
      throw this.#tooLarge(
        index,
        `has a key of ${formatBytes(keyBytes)}; a key takes ${formatBytes(LIMITS.keyBytes)}. Use a shorter one`,
      );
    return sizeBytes;
  }

  #tooLarge(index: number, what: string): MillraceError {
    const errors = [{ path: pointer('', index), message: what }];
    return new MillraceError(
      'RECORD_TOO_LARGE',
      `Record ${index} for the stream '${this.stream.topic.name}' ${what}.`,
      { errors },
    );
  }

  #checkPartition(partition: number): number {
    const { name, partitions } = this.stream.topic;
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return partition;
    const message = `The stream '${name}' has the partitions 0 to ${partitions - 1}, not ${partition}.`;
    throw new MillraceError('PARTITION_NOT_FOUND', message);
  }
}

const NO_PROBLEMS: readonly InputProblem[] = [];

function isProblem(key: Uint8Array | null | InputProblem): key is InputProblem {
  return key !== null && !(key instanceof Uint8Array);
}
