import type { EmitRow, StateWriteRow, WireEmits, WireHeaders, WireStateWrites } from '../protocol.ts';

/** The emits of an event as they cross to the platform. */
export function emitsTable(emits: readonly EmitRow[]): WireEmits {
  const streams: string[] = [];
  const allHeaders: WireHeaders[] = [];
  const rows = new Float64Array(emits.length * 5);
  emits.forEach(([stream, , position, sizeBytes, causeOffset, headers], index) => {
    const at = index * 5;
    rows[at] = placeOf(streams, stream);
    rows[at + 1] = position;
    rows[at + 2] = sizeBytes;
    rows[at + 3] = causeOffset ?? Number.NaN;
    rows[at + 4] = headers ? allHeaders.push(headers) - 1 : -1;
  });
  const keyed = emits.some(([, key]) => key !== undefined);
  return [streams, keyed ? emits.map(([, key]) => key) : [], allHeaders, rows];
}

/** The writes to state of an event as they cross to the platform. */
export function writesTable(writes: readonly StateWriteRow[]): WireStateWrites {
  const states: string[] = [];
  const rows = new Float64Array(writes.length * 4);
  writes.forEach(([state, offset, position, sizeBytes], index) => {
    const at = index * 4;
    rows[at] = placeOf(states, state);
    rows[at + 1] = offset;
    rows[at + 2] = position;
    rows[at + 3] = sizeBytes;
  });
  return [states, rows];
}

/** Names are few: looking through them costs less than a map. */
function placeOf(names: string[], name: string): number {
  const place = names.indexOf(name);
  return place < 0 ? names.push(name) - 1 : place;
}
