import { formatBytes, type InputProblem, type Json, LIMITS, MillraceError } from '../../kernel/index.ts';
import { invalidStreamOf } from '../definitions/names.ts';
import type { OpenStream } from '../definitions/registry.ts';
import { type BatchWriter, partitionOfKey, type WriterBuffers } from '../record-batch/index.ts';
import { pointer } from '../schema/canonical.ts';
import type { RecordHeader } from '../service.ts';
import { Batcher } from './batcher.ts';
import { divertHeaders } from './divert.ts';
import { KeyBytes } from './json-value.ts';
import { keyOfJson } from './keys.ts';

/** What a record on its way into the log has beside its value. */
interface RecordParts {
  readonly key?: Uint8Array | undefined;
  readonly headers?: readonly RecordHeader[] | undefined;
  readonly timeMs?: number | undefined;
  readonly partition?: number | undefined;
}

/** One record whose value is the bytes [valueStart, valueEnd) of `bytes`. */
export interface DraftRecord extends RecordParts {
  readonly bytes: Uint8Array;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Where the member of the stream's key path lies; -1 for none. */
  readonly keyStart: number;
  readonly keyEnd: number;
}

/**
 * One record whose value is plain JSON (`isPlainJson`, where the stream has a schema or a key path), and its JSON as it will be
 * written: text, or the bytes that it was parsed from (`parsedWhole`).
 */
export interface DraftJson extends RecordParts {
  readonly json: Json;
  readonly encoded: string | Uint8Array;
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
  readonly #keys = new KeyBytes();
  /** Records that were refused or diverted so far: each costs much more than one that fits. */
  rejected = 0;
  #failed = 0;

  /** `unkeyedPartition`: where records without a key go, all of one call to one, so that they share a batch. */
  constructor(
    stream: OpenStream,
    records: number,
    unkeyedPartition: number,
    working: { readonly buffers: WriterBuffers; readonly nowMs: number },
  ) {
    this.stream = stream;
    this.#unkeyedPartition = unkeyedPartition;
    this.#invalid = invalidStreamOf(stream.topic.name);
    this.#needsKey = stream.settings.cleanup !== 'delete';
    this.batcher = new Batcher(records, working.buffers, working.nowMs);
  }

  /** `checked`: what is wrong with its value, where that is known already. */
  add(index: number, record: DraftRecord, checked?: readonly InputProblem[]): void {
    const { bytes, valueStart, valueEnd } = record;
    const keyBytes = record.key?.length ?? Math.max(0, record.keyEnd - record.keyStart);
    const sizeBytes = this.#checkSize(index, record, valueEnd - valueStart, keyBytes);
    const schemaProblems = checked ?? this.#schemaProblems(record);
    const key = this.#keyOf(record);
    if (schemaProblems.length === 0 && !isProblem(key)) {
      const { headers, timeMs } = record;
      this.#writer(index, record, key, sizeBytes).addBytes(
        { key, headers, timeMs },
        bytes,
        valueStart,
        valueEnd,
      );
      return;
    }
    const value = bytes.subarray(valueStart, valueEnd);
    this.#reject(index, record, value, isProblem(key) ? [...schemaProblems, key] : schemaProblems, sizeBytes);
  }

  /** The same for a value at hand: it is checked as it is, and its JSON written straight into its batch. */
  addJson(index: number, record: DraftJson): void {
    const { json, encoded, headers, timeMs } = record;
    const { keyPath, schema } = this.stream;
    const found = keyPath ? this.#keys.of(json, keyPath) : undefined;
    const keyBytes = record.key?.length ?? (typeof found === 'object' ? found.length : 0);
    const isText = typeof encoded === 'string';
    const valueBytes = isText ? this.#valueBytes(encoded) : encoded.length;
    const sizeBytes = this.#checkSize(index, record, valueBytes, keyBytes);
    const schemaProblems = schema ? schema().problems(json, valueBytes) : NO_PROBLEMS;
    const key = this.#checkKey(record.key, found);
    if (schemaProblems.length === 0 && !isProblem(key)) {
      const writer = this.#writer(index, record, key, sizeBytes);
      if (isText) writer.addText({ key, headers, timeMs }, encoded);
      else writer.addBytes({ key, headers, timeMs }, encoded, 0, encoded.length);
      return;
    }
    const problems = isProblem(key) ? [...schemaProblems, key] : schemaProblems;
    this.#reject(index, record, isText ? Buffer.from(encoded) : encoded, problems, sizeBytes);
  }

  /** Bytes of `text` as UTF-8; counted only where it could matter. */
  #valueBytes(text: string): number {
    const small = text.length * 3 <= Math.min(this.stream.settings.maxRecordBytes / 2, COUNTED_FROM_BYTES);
    return small ? text.length : Buffer.byteLength(text);
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

  #writer(index: number, record: RecordParts, key: Uint8Array | null, sizeBytes: number): BatchWriter {
    const { name, partitions } = this.stream.topic;
    const partition =
      record.partition !== undefined
        ? this.#checkPartition(record.partition)
        : key === null
          ? this.#unkeyedPartition
          : partitionOfKey(key, partitions);
    return this.batcher.writer(index, name, partition, sizeBytes);
  }

  #reject(
    index: number,
    record: RecordParts,
    value: Uint8Array,
    errors: readonly InputProblem[],
    sizeBytes: number,
  ): void {
    this.rejected++;
    if (this.stream.settings.onInvalid === 'divert') {
      this.diverted.push({ index, errors });
      const headers = divertHeaders(this.stream.topic.name, errors, record.headers);
      const writer = this.batcher.writer(index, this.#invalid, 0, sizeBytes + 4096);
      writer.addBytes({ key: record.key ?? null, headers }, value, 0, value.length);
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
    return this.#checkKey(
      record.key,
      keyPath ? keyOfJson(record.bytes, record.keyStart, record.keyEnd) : undefined,
    );
  }

  /** `found`: the key in the value, or why there is none; undefined for a stream without key path. */
  #checkKey(
    given: Uint8Array | undefined,
    found: Uint8Array | string | undefined,
  ): Uint8Array | null | InputProblem {
    if (found === undefined) {
      if (given) return given;
      return this.#needsKey
        ? { path: '', message: 'needs a key, because the stream keeps the latest record of each key' }
        : null;
    }
    const path = this.stream.keyPath!.pointer;
    if (typeof found === 'string') return { path, message: found };
    if (!given || Buffer.compare(given, found) === 0) return found;
    return { path, message: 'differs from the key given; leave the key out, it is taken from here' };
  }

  #checkSize(index: number, { headers }: RecordParts, valueBytes: number, keyBytes: number): number {
    let sizeBytes = valueBytes + keyBytes;
    if (headers)
      for (const { key, value } of headers) sizeBytes += Buffer.byteLength(key) + (value?.length ?? 0);
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

/** Below this neither a limit of sizes nor that of listing all problems can be near. */
const COUNTED_FROM_BYTES = 16 * 1024;
const NO_PROBLEMS: readonly InputProblem[] = [];

function isProblem(key: Uint8Array | null | InputProblem): key is InputProblem {
  return key !== null && !(key instanceof Uint8Array);
}
