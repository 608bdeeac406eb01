import type { Ids } from '../../kernel/index.ts';

/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): `version-traceid-parentid-flags`. Version 00 has exactly
 * these four; a later version may carry more after a dash. `ff` is not a version, and ids of zeros are not ids.
 */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** The trace context of a request's own span: the caller's trace goes on, or a new one begins. */
export function traceOf(header: string | undefined, ids: Ids): string {
  const match = header === undefined ? null : TRACEPARENT.exec(header);
  if (!match || !isValid(match)) return `00-${ids.traceId()}-${ids.spanId()}-01`;
  return `00-${match[2]}-${ids.spanId()}-${match[4] === '00' ? '00' : '01'}`;
}

function isValid([, version, traceId, parentId, , more]: RegExpExecArray): boolean {
  if (version === 'ff' || (version === '00' && more !== undefined)) return false;
  return !ZEROS.test(traceId!) && !ZEROS.test(parentId!);
}
