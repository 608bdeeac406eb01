import type { StateValues } from '../invocation.ts';
import { notJson } from './context.ts';
import type { Held, StateSlot } from './held.ts';

const MISSING = -1;

/** Keyed state as the records of one event see it: what was committed, and over it what this event has written. */
export interface StateTable {
  readonly slots: Map<number, StateSlot>;
  /** JSON text of the committed value for the key that first came with record `index`. */
  committed(index: number): string | undefined;
}

/** Reads `StateValues` (one int32 length a record, -1 none, -2 as an earlier record, then the JSON bytes). */
export function createStateTable(packed: StateValues, records: number): StateTable {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  const positions = new Int32Array(records);
  for (let index = 0, at = 0; index < records; index++) {
    positions[index] = at;
    at += 4 + Math.max(0, view.getInt32(at, true));
  }
  return {
    slots: new Map(),
    committed(index) {
      const at = positions[index]!;
      const length = view.getInt32(at, true);
      return length <= MISSING ? undefined : bytes.toString('utf8', at + 4, at + 4 + length);
    },
  };
}

/** `ctx.state(handle, record)`. `slot` is the index of the first record with the same key. */
export function createStateCell(
  name: string,
  table: () => StateTable | Promise<StateTable>,
  held: Held,
  slot: number,
  offset: number,
): object {
  return {
    async get(): Promise<unknown> {
      const found = table();
      const { slots, committed } = found instanceof Promise ? await found : found;
      const own = slots.get(slot);
      const text = own ? own.text : committed(slot);
      return text === undefined || text === null ? undefined : JSON.parse(text);
    },
    async set(value: unknown): Promise<void> {
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw notJson(name);
      const found = table();
      held.write((found instanceof Promise ? await found : found).slots, slot, name, offset, text);
    },
    async delete(): Promise<void> {
      const found = table();
      held.write((found instanceof Promise ? await found : found).slots, slot, name, offset, null);
    },
  };
}
