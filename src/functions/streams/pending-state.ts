import type { Assignment, StateView, StateWrite } from '../../streams/index.ts';
import type { StateChange, StateValues } from '../invocation.ts';
import type { Work } from './types.ts';
import { keyTextAt, sizeOf } from './work.ts';

/** A write that the function made and no commit has confirmed. */
interface PendingWrite extends StateWrite {
  readonly keyText: string;
}

/** The writes that one commit carries: the last one of each key. */
export type WriteSet = Map<KeyedState, Map<string, PendingWrite>>;

/** One state of one function in one partition: the committed view with what is pending over it. */
export interface KeyedState {
  readonly view: StateView;
  readonly pending: Map<string, PendingWrite>;
}

/** What a write needs beside its bytes. */
export interface WriteTarget {
  readonly store: string;
  readonly partition: number;
  readonly expiresAtMs: number | undefined;
}

/** A packed set of values, and how many of the records fit. */
export interface Packed {
  readonly values: StateValues;
  readonly records: number;
}

export async function openKeyedState(
  assignment: Assignment,
  store: string,
  partition: number,
): Promise<KeyedState> {
  return { view: await assignment.state(store, partition), pending: new Map() };
}

function currentValue(state: KeyedState, text: string, nowMs: number): Uint8Array | undefined {
  const written = state.pending.get(text);
  if (!written) return state.view.get(text);
  const expired = written.expiresAtMs !== undefined && written.expiresAtMs <= nowMs;
  return written.value === null || expired ? undefined : written.value;
}

const NO_VALUE = -1;
const SAME_KEY = -2;

/**
 * Packs the values for the records of `work` as `StateValues` says, for as many records as fit into `maxBytes` (at least
 * one). A record without a key has no value.
 */
export function packValues(state: KeyedState, work: Work, nowMs: number, maxBytes: number): Packed {
  const values: (Uint8Array | undefined | null)[] = [];
  const seen = new Set<string>();
  let size = 0;
  for (let at = 0; at < sizeOf(work); at++) {
    const text = keyTextAt(work, at);
    // What the set did not hold before makes it larger: one look for both.
    const before = seen.size;
    const repeated = text !== null && seen.add(text).size === before;
    const value = text === null || repeated ? undefined : currentValue(state, text, nowMs);
    const bytes = 4 + (value?.length ?? 0);
    if (at > 0 && size + bytes > maxBytes) break;
    size += bytes;
    values.push(repeated ? null : value);
  }
  return { values: pack(values, size), records: values.length };
}

function pack(values: readonly (Uint8Array | undefined | null)[], size: number): Uint8Array {
  const packed = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  let at = 0;
  for (const value of values) {
    const length = value === null ? SAME_KEY : value === undefined ? NO_VALUE : value.length;
    packed[at] = length;
    packed[at + 1] = length >> 8;
    packed[at + 2] = length >> 16;
    packed[at + 3] = length >> 24;
    at += 4;
    if (!value) continue;
    packed.set(value, at);
    at += value.length;
  }
  return packed;
}

/** Makes a write visible to events that are sent from now on, and puts it into the commit that is being gathered. */
export function write(
  state: KeyedState,
  record: { readonly key: Uint8Array; readonly text: string },
  change: StateChange,
  target: WriteTarget,
  writes: WriteSet,
): void {
  const { store, partition, expiresAtMs } = target;
  const { key, text } = record;
  const { value } = change;
  // Written out, because spreading costs more than the whole rest, and hundreds of thousands pass per second.
  const entry: PendingWrite =
    expiresAtMs === undefined || value === null
      ? { store, partition, key, keyText: text, value }
      : { store, partition, key, keyText: text, value, expiresAtMs };
  state.pending.set(text, entry);
  let set = writes.get(state);
  if (!set) writes.set(state, (set = new Map()));
  set.set(text, entry);
}

export function writesOf(writes: WriteSet): StateWrite[] {
  const all: StateWrite[] = [];
  for (const set of writes.values()) for (const write of set.values()) all.push(write);
  return all;
}

/** After the commit: the view shows the writes itself; only later ones stay pending. */
export function confirm(writes: WriteSet): void {
  for (const [state, set] of writes)
    for (const entry of set.values())
      if (state.pending.get(entry.keyText) === entry) state.pending.delete(entry.keyText);
}
