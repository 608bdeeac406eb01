import { type Clock, MillraceError, parseDurationMs } from '../../kernel/index.ts';
import type { LogStore, TopicPartition } from '../port.ts';

const ISO_8601 = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)?)?$/;
const AGO = /^(\d+(?:\.\d+)?\s*(?:ms|s|m|h|d|w))(?:\s+ago)?$/i;

/** Milliseconds since the epoch that `text` names: ISO 8601 (UTC unless it says otherwise) or `10m ago`. */
function timeOf(text: string, clock: Clock): number | undefined {
  const ago = AGO.exec(text);
  if (ago) return clock.now() - parseDurationMs(ago[1]!);
  if (!ISO_8601.test(text)) return undefined;
  const zoned = /(?:[Zz]|[+-]\d\d:?\d\d|^\d{4}-\d\d-\d\d)$/.test(text) ? text : `${text}Z`;
  const timeMs = Date.parse(zoned);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** The offset that 'start', 'end', an offset, or a time names. A time past the last record names the end. Throws BAD_REQUEST. */
export async function resolvePosition(
  log: LogStore,
  clock: Clock,
  partition: TopicPartition,
  from: string,
): Promise<number> {
  const { logStartOffset, highWatermark } = log.bounds(partition);
  const text = from.trim();
  if (text === 'start') return logStartOffset;
  if (text === 'end') return highWatermark;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const timeMs = timeOf(text, clock);
  if (timeMs === undefined) {
    const message = `'${from.slice(0, 100)}' names no place in a stream. Write start, end, an offset such as 1200, a time such as 2026-01-31T12:00:00Z, or an age such as 10m.`;
    throw new MillraceError('BAD_REQUEST', message, { errors: [{ path: '/from', message }] });
  }
  return (await log.offsetForTime(partition, timeMs))?.offset ?? highWatermark;
}
