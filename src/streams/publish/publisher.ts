import { setImmediate } from 'node:timers/promises';
import {
  type Clock,
  type InputProblem,
  type Json,
  LIMITS,
  MillraceError,
  siblingModule,
  type Workers,
} from '../../kernel/index.ts';
import { INTERNAL_PREFIX } from '../definitions/names.ts';
import type { OpenStream, Registry } from '../definitions/registry.ts';
import { jsonError, requireUtf8, scanWhole, type WholeScan } from '../json/check.ts';
import { type LineIndex, LineIndexer, PLACE } from '../json/lines.ts';
import { createScanner, type JsonScanner } from '../json/scanner.ts';
import type { AppendInput, AppendResult, LogStore, ProducerIdentity } from '../port.ts';
import { type UnsealedBatch, WriterBuffers } from '../record-batch/index.ts';
import type { PublishOptions, PublishRecord, PublishResult } from '../service.ts';
import { finishOptions, type PendingBatch } from './batcher.ts';
import { ensureInvalidStream } from './divert.ts';
import { Draft, type DraftJson, type DraftRecord } from './draft.ts';
import { isPlainJson, parsedWhole } from './json-value.ts';

/** Bytes that are checked between two turns of the event loop: about 2 ms of work, with a schema and without. */
const SLICE_BYTES = 512 * 1024;
const SLICE_BYTES_WITH_SCHEMA = 64 * 1024;
/** Listing what is wrong with a record takes as long as checking about this many bytes. */
const REJECTED_BYTES = 256;

export interface Publisher {
  publish(name: string, records: readonly PublishRecord[], options?: PublishOptions): Promise<PublishResult>;
  publishLines(
    name: string,
    body: Uint8Array,
    options?: PublishOptions & { key?: string },
  ): Promise<PublishResult>;
  encode(name: string, records: readonly PublishRecord[]): Promise<readonly AppendInput[]>;
}

/** A value of more bytes is looked through by a platform worker: scanning or parsing it alone takes milliseconds. */
const LARGE_VALUE_BYTES = 256 * 1024;
const TASKS = siblingModule(import.meta.url, './check-value');
const CHECK_VALUE = { module: TASKS, task: 'checkValue' };
const SEAL_BATCH = { module: siblingModule(import.meta.url, './seal-batch'), task: 'sealBatch' };
/** The checksum of more bytes takes milliseconds; a batch is larger than this only for a single record. */
const LARGE_BATCH_BYTES = 2 * 1024 * 1024;
const SCAN_VALUE = { module: TASKS, task: 'scanValue' };
const INDEX_BODY = { module: TASKS, task: 'indexBody' };
const NEWLINE = 0x0a;

interface PublisherParts {
  readonly workers?: Workers | undefined;
  readonly log: LogStore;
  readonly registry: Registry;
  readonly clock: Clock;
}

export function createPublisher(parts: PublisherParts): Publisher {
  return new StreamPublisher(parts);
}

class StreamPublisher implements Publisher {
  readonly #log: LogStore;
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #workers: Workers | undefined;
  readonly #buffers = new WriterBuffers();
  readonly #scanners = new WeakMap<OpenStream, JsonScanner>();
  #calls = 0;

  constructor({ log, registry, clock, workers }: PublisherParts) {
    this.#workers = workers;
    this.#log = log;
    this.#registry = registry;
    this.#clock = clock;
  }

  async publish(
    name: string,
    records: readonly PublishRecord[],
    options: PublishOptions = {},
  ): Promise<PublishResult> {
    const draft = await this.#draftRecords(this.#open(name), records, options.producer);
    return this.#append(draft, records.length, options);
  }

  async publishLines(
    name: string,
    body: Uint8Array,
    options: PublishOptions & { key?: string } = {},
  ): Promise<PublishResult> {
    const stream = this.#open(name);
    const lines = await this.#indexLines(stream, body);
    const draft = this.#newDraft(stream, lines.count, options.producer);
    const key = options.key === undefined ? undefined : Buffer.from(options.key);
    const { places } = lines;
    const slice = sliceBytes(stream);
    let pause = slice;
    for (let index = 0, place = 0; index < lines.count; index++, place += PLACE.size) {
      const valueEnd = places[place + PLACE.valueEnd]!;
      const record = {
        bytes: body,
        valueStart: places[place + PLACE.valueStart]!,
        valueEnd,
        keyStart: places[place + PLACE.keyStart]!,
        keyEnd: places[place + PLACE.keyEnd]!,
        key,
      };
      draft.add(
        index,
        record,
        this.#isLarge(stream, record) ? await this.#checkApart(stream, record) : undefined,
      );
      const spent = valueEnd + draft.rejected * REJECTED_BYTES;
      if (spent < pause) continue;
      pause = spent + slice;
      await setImmediate();
    }
    draft.finish();
    return this.#append(draft, lines.count, options);
  }

  async encode(name: string, records: readonly PublishRecord[]): Promise<readonly AppendInput[]> {
    const draft = await this.#draftRecords(this.#open(name), records, undefined);
    await this.#prepareInvalid(draft);
    const timeMs = this.#clock.now();
    const inputs: AppendInput[] = [];
    for (const pending of draft.batcher.batches) inputs.push(await this.#input(pending, timeMs, {}));
    return inputs;
  }

  async #indexLines(stream: OpenStream, body: Uint8Array): Promise<Pick<LineIndex, 'count' | 'places'>> {
    const pointer = stream.keyPath?.pointer;
    if (this.#workers && hasLargeLine(body)) return this.#indexApart(body, pointer);
    const lines = new LineIndexer(body, stream.keyPath);
    while (!lines.advance(SLICE_BYTES)) await setImmediate();
    return lines;
  }

  #indexApart(whole: Uint8Array, pointer: string | undefined): Promise<Pick<LineIndex, 'count' | 'places'>> {
    const body = copyOf(whole);
    return this.#workers!.run(INDEX_BODY, { body, pointer }, { transfer: [body.buffer] });
  }

  #open(name: string): OpenStream {
    if (name.startsWith(INTERNAL_PREFIX)) {
      throw new MillraceError(
        'FORBIDDEN',
        `Only the platform writes to '${name}'. Publish to a stream of your own.`,
      );
    }
    return this.#registry.open(name);
  }

  #newDraft(stream: OpenStream, records: number, producer: ProducerIdentity | undefined): Draft {
    const unkeyedPartition = (producer?.producerId ?? this.#calls++) % stream.topic.partitions;
    const working = { buffers: this.#buffers, nowMs: this.#clock.now() };
    return new Draft(stream, records, unkeyedPartition, working);
  }

  async #draftRecords(
    stream: OpenStream,
    records: readonly PublishRecord[],
    producer: ProducerIdentity | undefined,
  ): Promise<Draft> {
    if (records.length > LIMITS.batchRecords) {
      const message = `${records.length} records in one call; at most ${LIMITS.batchRecords} are taken. Publish them in several calls.`;
      throw new MillraceError('PAYLOAD_TOO_LARGE', message);
    }
    const draft = this.#newDraft(stream, records.length, producer);
    const slice = sliceBytes(stream);
    let spent = 0;
    let rejected = 0;
    for (let index = 0; index < records.length; index++) {
      const record = records[index]!;
      const added = addPlain(draft, index, record);
      spent += added >= 0 ? added : await this.#addBytes(draft, index, record);
      if (spent + (draft.rejected - rejected) * REJECTED_BYTES < slice) continue;
      spent = 0;
      rejected = draft.rejected;
      await setImmediate();
    }
    draft.finish();
    return draft;
  }

  /** Returns the bytes of its value. */
  async #addBytes(draft: Draft, index: number, given: PublishRecord): Promise<number> {
    const { stream } = draft;
    const record = await this.#draftRecord(stream, index, given);
    draft.add(
      index,
      record,
      this.#isLarge(stream, record) ? await this.#checkApart(stream, record) : undefined,
    );
    return record.valueEnd - record.valueStart;
  }

  /** Bytes are checked as far as the stream needs: on one without schema and key path they may be anything. */
  async #draftRecord(stream: OpenStream, index: number, record: PublishRecord): Promise<DraftRecord> {
    const bytes = valueBytes(record.value);
    const rest = partsOf(record);
    if (!stream.keyPath && !stream.schema) {
      return { bytes, valueStart: 0, valueEnd: bytes.length, keyStart: -1, keyEnd: -1, ...rest };
    }
    const { valueStart, keyStart, keyEnd, end } =
      this.#workers && bytes.length > LARGE_VALUE_BYTES
        ? await this.#scanApart(stream, index, bytes)
        : this.#scan(stream, index, bytes);
    return { bytes, valueStart, valueEnd: end, keyStart, keyEnd, ...rest };
  }

  #scan(stream: OpenStream, index: number, bytes: Uint8Array): WholeScan {
    requireUtf8(bytes, `The value of record ${index}`);
    const scan = scanWhole(bytes, this.#scannerOf(stream));
    if (scan.end < 0) throw jsonError(scan, bytes, 0, { record: index });
    return scan;
  }

  #scanApart({ keyPath }: OpenStream, index: number, bytes: Uint8Array): Promise<WholeScan> {
    const value = copyOf(bytes);
    const input = { value, pointer: keyPath?.pointer, index };
    return this.#workers!.run(SCAN_VALUE, input, { transfer: [value.buffer] });
  }

  #scannerOf(stream: OpenStream): JsonScanner {
    let scanner = this.#scanners.get(stream);
    if (!scanner) {
      scanner = createScanner(stream.keyPath ? { path: stream.keyPath } : {});
      this.#scanners.set(stream, scanner);
    }
    return scanner;
  }

  #isLarge({ settings }: OpenStream, { valueStart, valueEnd }: DraftRecord): boolean {
    return (
      valueEnd - valueStart > LARGE_VALUE_BYTES &&
      settings.schema !== undefined &&
      this.#workers !== undefined
    );
  }

  #checkApart(
    { settings }: OpenStream,
    { bytes, valueStart, valueEnd }: DraftRecord,
  ): Promise<readonly InputProblem[]> {
    const value = copyOf(bytes.subarray(valueStart, valueEnd));
    const input = { schema: settings.schema, value };
    return this.#workers!.run(CHECK_VALUE, input, { transfer: [value.buffer] });
  }

  async #prepareInvalid({ diverted, stream }: Draft): Promise<void> {
    if (diverted.length === 0) return;
    await ensureInvalidStream({ log: this.#log, registry: this.#registry }, stream);
  }

  #input(pending: PendingBatch, timeMs: number, options: PublishOptions): AppendInput | Promise<AppendInput> {
    const { writer } = pending;
    const finish = finishOptions(pending, timeMs, options.producer);
    return this.#workers && writer.sizeBytes > LARGE_BATCH_BYTES
      ? this.#seal(writer.unsealed(finish)).then((batch) => inputOf(pending, batch, options))
      : inputOf(pending, writer.finish(finish), options);
  }

  #seal(unsealed: UnsealedBatch): Promise<Uint8Array> {
    return this.#workers!.run(SEAL_BATCH, unsealed, { transfer: [unsealed.batch.buffer as ArrayBuffer] });
  }

  async #append(draft: Draft, records: number, options: PublishOptions): Promise<PublishResult> {
    const { batcher, diverted } = draft;
    await this.#prepareInvalid(draft);
    const timeMs = this.#clock.now();
    const appends: Promise<AppendResult>[] = [];
    for (const pending of batcher.batches) {
      if (appends.length > 0 && pending.writer.sizeBytes > SLICE_BYTES) await setImmediate();
      const input = this.#input(pending, timeMs, options);
      const append = this.#log.append(input instanceof Promise ? await input : input);
      // A failure is reported below, when all have ended; until then it must not count as unhandled.
      append.catch(() => undefined);
      appends.push(append);
    }
    const results = await Promise.all(appends);
    return {
      records,
      diverted,
      placeOf(index) {
        if (!(index >= 0 && index < records))
          throw new RangeError(`There is no record ${index} in this call.`);
        const { topic, partition, baseOffset } = results[batcher.batchOf(index)]!;
        return { topic, partition, offset: baseOffset + batcher.deltaOf(index) };
      },
    };
  }
}

function inputOf(
  { topic, partition }: PendingBatch,
  batch: Uint8Array,
  { acks }: PublishOptions,
): AppendInput {
  return { topic, partition, batch, trusted: true, ...(acks ? { acks } : {}) };
}

/** For a worker: a view would take all that it is a view of along, and its owner still needs it. */
const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

/** Whether some line may be large; looks at few bytes of the others. */
function hasLargeLine(body: Uint8Array): boolean {
  let at = 0;
  while (body.length - at > LARGE_VALUE_BYTES) {
    const newline = body.lastIndexOf(NEWLINE, at + LARGE_VALUE_BYTES);
    if (newline < at) return true;
    at = newline + 1;
  }
  return false;
}

const sliceBytes = ({ schema }: OpenStream): number => (schema ? SLICE_BYTES_WITH_SCHEMA : SLICE_BYTES);

/** Adds a value that can be checked as it is, without a wait, and gives the length of its JSON; -1 for all others. */
function addPlain(draft: Draft, index: number, record: PublishRecord): number {
  const { value } = record;
  const { keyPath, schema } = draft.stream;
  if (value instanceof Uint8Array) {
    const json = schema && value.length <= LARGE_VALUE_BYTES ? parsedWhole(value) : undefined;
    if (json === undefined) return -1;
    draft.addJson(index, draftJson(record, json, value));
    return value.length;
  }
  const { json } = value;
  if ((keyPath || schema) && !isPlainJson(json)) return -1;
  const text = JSON.stringify(json) as string | undefined;
  // Large values with a schema are checked by a worker, from their bytes.
  if (text === undefined || text.length > LARGE_VALUE_BYTES / 3) return -1;
  draft.addJson(index, draftJson(record, json, text));
  return text.length;
}

function draftJson(record: PublishRecord, json: Json, encoded: string | Uint8Array): DraftJson {
  const { key, headers, timeMs, partition } = record;
  return {
    json,
    encoded,
    key: typeof key === 'string' ? Buffer.from(key) : key,
    headers,
    timeMs,
    partition,
  };
}

function partsOf({ key, headers, timeMs, partition }: PublishRecord) {
  return { key: typeof key === 'string' ? Buffer.from(key) : key, headers, timeMs, partition };
}

function valueBytes(value: PublishRecord['value']): Uint8Array {
  return value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value.json));
}
