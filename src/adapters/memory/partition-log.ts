import { MillraceError } from '../../kernel/index.ts';
import { ProducerStates } from '../../streams/coordination/index.ts';
import type {
  AppendInput,
  AppendResult,
  FetchRequest,
  FetchResult,
  PartitionBounds,
  TopicConfig,
  TopicPartition,
} from '../../streams/port.ts';
import {
  type BatchHeader,
  type DecodedRecord,
  decodeBatch,
  encodeBatch,
  encodeMarker,
  readBatchHeader,
  setAppendTime,
  setBaseOffset,
} from '../../streams/record-batch/index.ts';

interface StoredBatch {
  readonly bytes: Uint8Array;
  readonly header: BatchHeader;
}

type Marker = Parameters<ProducerStates['mark']>[0];

/** One partition: its batches in an array. */
export class PartitionLog {
  readonly place: TopicPartition;
  readonly producers = new ProducerStates();
  #batches: StoredBatch[] = [];
  #start = 0;
  #next = 0;

  constructor(place: TopicPartition) {
    this.place = place;
  }

  get bytes(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
  }

  get counts(): { batches: number; records: number } {
    const records = this.#batches.reduce((sum, batch) => sum + batch.header.recordCount, 0);
    return { batches: this.#batches.length, records };
  }

  bounds(): PartitionBounds {
    const highWatermark = this.#next;
    const lastStableOffset = this.producers.lastStableOffset(highWatermark);
    return { logStartOffset: this.#start, lastStableOffset, highWatermark };
  }

  /** Answers with what takes it back, for commits of which a later part fails. */
  append(
    input: AppendInput,
    header: BatchHeader,
    config: TopicConfig,
    nowMs: number,
  ): { result: AppendResult; undo: () => void } {
    const known = this.producers.admit(header);
    const result = { ...this.place, logStartOffset: this.#start };
    if (known) {
      const { baseOffset, lastOffset, appendTimeMs } = known;
      return {
        result: { ...result, baseOffset, lastOffset, appendTimeMs, duplicate: true },
        undo: () => undefined,
      };
    }
    const bytes = input.batch.slice();
    const appendTimeMs = config.timestampType === 'append' ? nowMs : -1;
    if (appendTimeMs >= 0) setAppendTime(bytes, 0, appendTimeMs);
    const baseOffset = this.#next;
    const remove = this.#push(bytes);
    const forget = this.producers.append(header, baseOffset, nowMs, appendTimeMs);
    const undo = (): void => {
      forget();
      remove();
    };
    return {
      result: { ...result, baseOffset, lastOffset: this.#next - 1, appendTimeMs, duplicate: false },
      undo,
    };
  }

  mark(marker: Marker, nowMs: number): void {
    const { outcome, producerId, producerEpoch } = marker;
    const offset = this.#next;
    this.#push(encodeMarker(outcome, { producerId, epoch: producerEpoch }, nowMs));
    this.producers.mark(marker, offset, nowMs);
  }

  /** Throws OFFSET_OUT_OF_RANGE. */
  fetch({ offset, maxBytes, isolation }: FetchRequest): FetchResult {
    const bounds = this.bounds();
    if (!(offset >= bounds.logStartOffset && offset <= bounds.highWatermark)) throw this.#outOfRange(offset);
    const end = isolation === 'committed' ? bounds.lastStableOffset : bounds.highWatermark;
    const readable = this.#batches.filter(
      ({ header }) => header.lastOffset >= offset && header.baseOffset < end,
    );
    const taken: StoredBatch[] = [];
    let bytes = 0;
    for (const batch of readable) {
      if (taken.length > 0 && bytes + batch.bytes.length > maxBytes) break;
      taken.push(batch);
      bytes += batch.bytes.length;
    }
    const last = taken.at(-1)?.header.lastOffset;
    const aborted =
      isolation === 'committed' && last !== undefined
        ? this.producers
            .abortedBetween(offset, last + 1)
            .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
        : [];
    return { ...bounds, batches: Buffer.concat(taken.map((batch) => batch.bytes)), aborted };
  }

  /** Throws OFFSET_OUT_OF_RANGE. */
  deleteRecords(offset: number): number {
    const target = offset === -1 ? this.#next : offset;
    if (!(target >= 0 && target <= this.#next)) throw this.#outOfRange(offset);
    this.#start = Math.max(this.#start, target);
    this.#batches = this.#batches.filter(({ header }) => header.lastOffset >= this.#start);
    this.producers.startAt(this.#start);
    return this.#start;
  }

  offsetForTime(timeMs: number): { offset: number; timeMs: number } | undefined {
    const found = this.#records().find((record) => record.timeMs >= timeMs);
    return found && { offset: found.offset, timeMs: found.timeMs };
  }

  offsetForMaxTime(): { offset: number; timeMs: number } | undefined {
    let latest: DecodedRecord | undefined;
    for (const record of this.#records()) if (!latest || record.timeMs > latest.timeMs) latest = record;
    return latest && { offset: latest.offset, timeMs: latest.timeMs };
  }

  /** Retention by time and size, then compaction, as the topic's configuration says. */
  clean(config: TopicConfig, nowMs: number): void {
    if (config.cleanup !== 'compact') this.#retain(config, nowMs);
    if (config.cleanup !== 'delete') this.#compact(config, nowMs);
  }

  #push(bytes: Uint8Array): () => void {
    const before = this.#next;
    setBaseOffset(bytes, 0, before);
    const header = readBatchHeader(bytes);
    this.#batches.push({ bytes, header });
    this.#next = header.lastOffset + 1;
    return () => {
      this.#batches.pop();
      this.#next = before;
    };
  }

  /** Data records from the log's start on; compressed batches count as one record with their latest time. */
  #records(): DecodedRecord[] {
    return this.#batches.flatMap(({ bytes, header }) => {
      if (header.control) return [];
      if (header.compression === 'none') return decodeBatch(bytes).filter((one) => one.offset >= this.#start);
      const { baseOffset: offset, maxTimestampMs: timeMs } = header;
      return [{ offset, timeMs, key: null, value: null, headers: [] }];
    });
  }

  #retain({ retentionMs, retentionBytes }: TopicConfig, nowMs: number): void {
    let bytes = this.bytes;
    const { lastStableOffset } = this.bounds();
    const droppable = (first: StoredBatch): boolean =>
      first.header.lastOffset < lastStableOffset &&
      ((retentionMs !== null && nowMs - first.header.maxTimestampMs > retentionMs) ||
        (retentionBytes !== null && bytes - first.bytes.length >= retentionBytes));
    let dropped = 0;
    for (const batch of this.#batches) {
      if (!droppable(batch)) break;
      bytes -= batch.bytes.length;
      dropped = batch.header.lastOffset + 1;
    }
    if (dropped > this.#start) this.deleteRecords(dropped);
  }

  #compact(config: TopicConfig, nowMs: number): void {
    const { lastStableOffset } = this.bounds();
    const last = new Map<string, number>();
    const aborted = (header: BatchHeader): boolean =>
      header.transactional &&
      this.producers
        .abortedBetween(header.baseOffset, header.baseOffset + 1)
        .some((one) => one.producerId === header.producerId);
    const cleanable = ({ header }: StoredBatch): boolean =>
      !header.control &&
      header.compression === 'none' &&
      header.lastOffset < lastStableOffset &&
      nowMs - header.maxTimestampMs >= config.minCompactionLagMs;
    for (const batch of this.#batches) {
      if (batch.header.control || batch.header.compression !== 'none' || aborted(batch.header)) continue;
      for (const { key, offset } of decodeBatch(batch.bytes)) if (key) last.set(nameOf(key), offset);
    }
    const keep = (record: DecodedRecord): boolean =>
      !record.key ||
      (last.get(nameOf(record.key)) === record.offset &&
        (record.value !== null || nowMs - record.timeMs < config.deleteRetentionMs));
    this.#batches = this.#batches.flatMap((batch) => {
      if (!cleanable(batch)) return [batch];
      return rewrite(batch, aborted(batch.header) ? () => false : keep);
    });
  }

  #outOfRange(offset: number): MillraceError {
    const { topic, partition } = this.place;
    const range = `It holds ${this.#start} to ${this.#next}`;
    return new MillraceError(
      'OFFSET_OUT_OF_RANGE',
      `Offset ${offset} is not in '${topic}' partition ${partition}. ${range}; go on from there.`,
    );
  }
}

/** The batch with only the records that stay, at their offsets; nothing when none do. */
function rewrite({ bytes, header }: StoredBatch, keep: (record: DecodedRecord) => boolean): StoredBatch[] {
  const records = decodeBatch(bytes);
  const kept = records.filter(keep);
  if (kept.length === records.length) return [{ bytes, header }];
  if (kept.length === 0) return [];
  const { baseOffset, lastOffsetDelta, transactional, producerId, producerEpoch, baseSequence } = header;
  const rewritten = encodeBatch(kept, {
    timeMs: header.baseTimestampMs,
    baseOffset,
    lastOffsetDelta,
    transactional,
    offsetDeltas: kept.map((record) => record.offset - baseOffset),
    ...(producerId < 0 ? {} : { producer: { producerId, epoch: producerEpoch, sequence: baseSequence } }),
  });
  return [{ bytes: rewritten, header: readBatchHeader(rewritten) }];
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1');
}
