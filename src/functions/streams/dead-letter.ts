import {
  type BatchRecordHeader,
  type DecodedRecord,
  decodeBatches,
  encodeBatch,
} from '../../streams/index.ts';
import type { FunctionError } from '../invocation.ts';
import type { Work } from './types.ts';
import { encodeWork, part } from './work.ts';

/** Headers of a dead letter. Those of the record itself follow, unchanged. */
export const DEAD_LETTER = {
  errorName: 'millrace-error-name',
  errorMessage: 'millrace-error-message',
  errorCode: 'millrace-error-code',
  attempts: 'millrace-attempts',
  fn: 'millrace-function',
  version: 'millrace-version',
  originStream: 'millrace-origin-stream',
  originPartition: 'millrace-origin-partition',
  originOffset: 'millrace-origin-offset',
  originTime: 'millrace-origin-time',
  firstFailure: 'millrace-first-failure',
  lastFailure: 'millrace-last-failure',
  redrives: 'millrace-redrives',
} as const;

const MESSAGE_CHARACTERS = 4096;
const names: ReadonlySet<string> = new Set(Object.values(DEAD_LETTER));
/** What a letter that comes back keeps from its first time. */
const KEPT: readonly string[] = [
  DEAD_LETTER.originStream,
  DEAD_LETTER.originPartition,
  DEAD_LETTER.originOffset,
  DEAD_LETTER.originTime,
  DEAD_LETTER.firstFailure,
  DEAD_LETTER.redrives,
];

export const deadLetterStream = (fn: string): string => `${fn}.dlq`;

export interface Death {
  readonly fn: string;
  readonly version: string;
  readonly error: FunctionError;
  readonly attempts: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** Whether the record is a dead letter that was given again: its origin stays what it was. */
  readonly redriven: boolean;
}

/** The record at `at` of `work`, with its headers. */
export function recordAt(work: Work, at: number): DecodedRecord {
  return decodeBatches(encodeWork(part(work, [at])))[0]!;
}

export function headerText(
  headers: readonly { readonly key: string; readonly value: Uint8Array | null }[],
  name: string,
): string | undefined {
  const value = headers.find((header) => header.key === name)?.value;
  return value ? Buffer.from(value).toString() : undefined;
}

/** One batch for the dead-letter stream: key and value as they were, with what happened in headers. Times are ISO 8601. */
export function encodeDeadLetter(work: Work, at: number, death: Death): Uint8Array {
  const record = recordAt(work, at);
  const kept = new Map(
    record.headers
      .filter(({ key }) => death.redriven && KEPT.includes(key))
      .map((header) => [header.key, header.value]),
  );
  const told: Record<string, string> = {
    [DEAD_LETTER.errorName]: death.error.name,
    [DEAD_LETTER.errorMessage]: death.error.message.slice(0, MESSAGE_CHARACTERS),
    [DEAD_LETTER.errorCode]: death.error.code,
    [DEAD_LETTER.attempts]: String(death.attempts),
    [DEAD_LETTER.fn]: death.fn,
    [DEAD_LETTER.version]: death.version,
    [DEAD_LETTER.originStream]: work.queue.topic,
    [DEAD_LETTER.originPartition]: String(work.queue.partition),
    [DEAD_LETTER.originOffset]: String(record.offset),
    [DEAD_LETTER.originTime]: new Date(record.timeMs).toISOString(),
    [DEAD_LETTER.firstFailure]: new Date(death.firstMs).toISOString(),
    [DEAD_LETTER.lastFailure]: new Date(death.lastMs).toISOString(),
  };
  const headers: BatchRecordHeader[] = Object.entries(told).map(([key, text]) => ({
    key,
    value: kept.get(key) ?? Buffer.from(text),
  }));
  const redrives = kept.get(DEAD_LETTER.redrives);
  if (redrives) headers.push({ key: DEAD_LETTER.redrives, value: redrives });
  headers.push(...ownHeaders(record));
  return encodeBatch([{ key: record.key, value: record.value, headers }], { timeMs: death.lastMs });
}

/** The headers that the publisher gave. */
export function ownHeaders(record: { readonly headers: readonly BatchRecordHeader[] }): BatchRecordHeader[] {
  return record.headers.filter(({ key }) => !names.has(key));
}
