/** One file of a partition's log. */
export interface Segment {
  /** First offset that it may hold. */
  readonly baseOffset: number;
  /** Name without suffix: the base offset in 20 digits; after compaction with `-<generation>`. */
  readonly name: string;
  /** Bytes written; what the file has beyond is of no account. */
  bytes: number;
  /** The offset after its last record. */
  endOffset: number;
  maxTimestampMs: number;
  /** Wall time of its first append, for rolling by age. */
  firstAppendMs: number;
  /** What is known to be on disk whatever happens. */
  syncedBytes: number;
  syncedEndOffset: number;
  /** The last checkpoint names it whole: it may be replaced by compaction. */
  settled: boolean;
  closed: boolean;
}

export function newSegment(baseOffset: number, nowMs: number): Segment {
  return {
    baseOffset,
    name: String(baseOffset).padStart(20, '0'),
    bytes: 0,
    endOffset: baseOffset,
    maxTimestampMs: -1,
    firstAppendMs: nowMs,
    syncedBytes: 0,
    syncedEndOffset: baseOffset,
    settled: false,
    closed: false,
  };
}

/** A segment as checkpoints and changes write it: name, base offset, bytes, end offset, latest time, first append, closed. */
export type SegmentLine = readonly [
  name: string,
  baseOffset: number,
  bytes: number,
  endOffset: number,
  maxTimestampMs: number,
  firstAppendMs: number,
  closed: 0 | 1,
];

/** Only what is synced: a checkpoint must not promise more. */
export function segmentLine(segment: Segment): SegmentLine {
  const closed = segment.closed && segment.syncedBytes === segment.bytes;
  const { name, baseOffset, syncedBytes, syncedEndOffset, maxTimestampMs, firstAppendMs } = segment;
  return [name, baseOffset, syncedBytes, syncedEndOffset, maxTimestampMs, firstAppendMs, closed ? 1 : 0];
}

export function segmentFromLine(line: SegmentLine): Segment {
  const [name, baseOffset, bytes, endOffset, maxTimestampMs, firstAppendMs, closed] = line;
  return {
    name,
    baseOffset,
    bytes,
    endOffset,
    maxTimestampMs,
    firstAppendMs,
    syncedBytes: bytes,
    syncedEndOffset: endOffset,
    settled: closed === 1,
    closed: closed === 1,
  };
}
