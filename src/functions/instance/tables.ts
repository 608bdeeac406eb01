import type { EmitRow, StateWriteRow, WireEmits, WireHeaders, WireStateWrites } from '../protocol.ts';

/** The emits of an event as they cross to the platform. */
export function emitsTable(emits: readonly EmitRow[]): WireEmits {
  const streams: string[] = [];
  const allHeaders: WireHeaders[] = [];
  const rows = new Float64Array(emits.length * 5);
  let at = 0;
  for (const [stream, , position, sizeBytes, causeOffset, headers] of emits) {
    rows[at++] = placeOf(streams, stream);
    rows[at++] = position;
    rows[at++] = sizeBytes;
    rows[at++] = causeOffset ?? Number.NaN;
    rows[at++] = headers ? allHeaders.push(headers) - 1 : -1;
  }
  const keyed = emits.some((row) => row[1] !== undefined);
  return [streams, keyed ? emits.map((row) => row[1]) : [], allHeaders, rows];
}

/** The writes to state of an event as they cross to the platform. */
export function writesTable(writes: readonly StateWriteRow[]): WireStateWrites {
  const states: string[] = [];
  const rows = new Float64Array(writes.length * 4);
  let at = 0;
  for (const [state, offset, position, sizeBytes] of writes) {
    rows[at++] = placeOf(states, state);
    rows[at++] = offset;
    rows[at++] = position;
    rows[at++] = sizeBytes;
  }
  return [states, rows];
}

/** Names are few: looking through them costs less than a map. */
function placeOf(names: string[], name: string): number {
  const place = names.indexOf(name);
  return place < 0 ? names.push(name) - 1 : place;
}
