import type { AppendInput } from '../../streams/index.ts';
import type { FunctionError, RecordsResult, StateChange } from '../invocation.ts';
import { encodeEmits } from './emits.ts';
import { type KeyedState, type WriteTarget, write as writeState } from './pending-state.ts';
import type { RunnerContext, Unfinished } from './runner-context.ts';
import { keyOf } from './slab.ts';
import type { Work } from './types.ts';
import { keyTextAt, offsetAt, part, sizeOf } from './work.ts';

export interface Settled extends Unfinished {
  readonly done: Work;
  /** Makes the writes visible; to be called in the turn in which `done` is added to the commit. */
  readonly write: () => void;
  readonly appends: readonly AppendInput[];
}

/**
 * Turns what the function returned into what to commit: drops emits and state of records that failed, fails records
 * whose emits or state are refused. For a batch, a refusal that belongs to no single record is an error of the whole.
 */
export async function settle(
  context: RunnerContext,
  sub: Work,
  result: RecordsResult,
  asBatch: boolean,
): Promise<Settled | { readonly error: FunctionError }> {
  const failed = new Map(result.failed.map(({ offset, error }) => [offset, error]));
  const skipped = new Set(result.skipped);
  const refuse = (refused: ReadonlyMap<number | undefined, FunctionError>): FunctionError | undefined => {
    if (refused.size === 0) return undefined;
    const [first] = refused.values();
    if (asBatch || refused.has(undefined)) return first;
    for (const [offset, error] of refused) failed.set(offset!, error);
    skipBehind(sub, failed, skipped);
    return undefined;
  };

  const changes =
    failed.size + skipped.size === 0
      ? result.state
      : result.state.filter(({ offset }) => !failed.has(offset) && !skipped.has(offset));
  const positionOf = createLocator(sub);
  const unwritable = refuse(refusedWrites(context, sub, changes, positionOf));
  if (unwritable) return { error: unwritable };
  let encoded = await encodeEmits(context.streams, emitsOf(result, failed, skipped), context.config);
  const unwanted = refuse(encoded.refused);
  if (unwanted) return { error: unwanted };
  // What is left was encoded before, so that this time nothing is refused.
  if (encoded.refused.size > 0)
    encoded = await encodeEmits(context.streams, emitsOf(result, failed, skipped), context.config);

  const states = await openStates(context, sub, changes);
  const clean = failed.size + skipped.size === 0;
  const write = (): void => {
    const targets = new Map<string, StateTarget>();
    for (const [state, keyed] of states) targets.set(state, targetOf(context, sub, state, keyed));
    for (const change of changes)
      if (clean || (!failed.has(change.offset) && !skipped.has(change.offset)))
        writeChange(context, sub, positionOf(change.offset), targets.get(change.state)!, change);
  };
  return {
    failed,
    skipped,
    done: clean ? sub : without(sub, failed, skipped),
    write,
    appends: encoded.appends,
  };
}

function emitsOf(
  result: RecordsResult,
  failed: ReadonlyMap<number, FunctionError>,
  skipped: ReadonlySet<number>,
): RecordsResult['emits'] {
  if (failed.size + skipped.size === 0) return result.emits;
  return result.emits.filter(
    ({ causeOffset }) => causeOffset === undefined || (!failed.has(causeOffset) && !skipped.has(causeOffset)),
  );
}

function without(sub: Work, failed: ReadonlyMap<number, FunctionError>, skipped: ReadonlySet<number>): Work {
  const done: number[] = [];
  for (let at = 0; at < sizeOf(sub); at++) {
    const offset = offsetAt(sub, at);
    if (!failed.has(offset) && !skipped.has(offset)) done.push(at);
  }
  return part(sub, done);
}

/** Later records of a key whose record was refused after the fact: they saw state that will not be. */
function skipBehind(sub: Work, failed: ReadonlyMap<number, FunctionError>, skipped: Set<number>): void {
  const broken = new Set<string>();
  for (let at = 0; at < sizeOf(sub); at++) {
    const text = keyTextAt(sub, at);
    if (text === null) continue;
    const offset = offsetAt(sub, at);
    if (failed.has(offset)) broken.add(text);
    else if (broken.has(text)) skipped.add(offset);
  }
}

type Locator = (offset: number) => number;

/** Tells where the record at an offset is in `sub`, which is sorted by offset; -1 when it is not. Writes mostly come in that order. */
function createLocator(sub: Work): Locator {
  let next = 0;
  return (offset) => {
    for (let at = next; at < Math.min(next + 2, sizeOf(sub)); at++)
      if (offsetAt(sub, at) === offset) return (next = at);
    const found = search(sub, offset);
    if (found >= 0) next = found;
    return found;
  };
}

function search(sub: Work, offset: number): number {
  let low = 0;
  let high = sizeOf(sub) - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = offsetAt(sub, middle);
    if (found === offset) return middle;
    if (found < offset) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

function refusedWrites(
  context: RunnerContext,
  sub: Work,
  changes: readonly StateChange[],
  positionOf: Locator,
): Map<number, FunctionError> {
  const refused = new Map<number, FunctionError>();
  const known = new Set<string>();
  for (const change of changes) {
    if (!known.has(change.state) && context.stateTtlMs(change.state) !== undefined) known.add(change.state);
    const message = whyNot(context, sub, change, known, positionOf);
    if (message) refused.set(change.offset, { code: 'RESULT_INVALID', name: 'StateError', message });
  }
  return refused;
}

function whyNot(
  context: RunnerContext,
  sub: Work,
  change: StateChange,
  known: ReadonlySet<string>,
  positionOf: Locator,
): string | undefined {
  const { state, offset, value } = change;
  const limit = context.config.stateValueBytes;
  if (!known.has(state)) return `The app has no state '${state}'. Export it from the app's module.`;
  const at = positionOf(offset);
  if (at < 0) return `State '${state}' was written for offset ${offset}, which is not in the batch.`;
  if (sub.slabs[at]!.keyLength[sub.indexes[at]!]! < 0)
    return `State '${state}' is kept by the record's key, and the record has none. Give the stream a key.`;
  if (value && value.length > limit)
    return `A value of state '${state}' has ${value.length} bytes, more than ${limit}. Keep less in it, or spread it over several states.`;
  return undefined;
}

async function openStates(
  context: RunnerContext,
  sub: Work,
  changes: readonly StateChange[],
): Promise<Map<string, KeyedState>> {
  const states = new Map<string, KeyedState>();
  for (const { state } of changes)
    if (!states.has(state)) states.set(state, await context.state(state, sub.queue.partition));
  return states;
}

/** Where the writes of one state go. */
interface StateTarget extends WriteTarget {
  readonly keyed: KeyedState;
}

function targetOf(context: RunnerContext, sub: Work, state: string, keyed: KeyedState): StateTarget {
  const ttlMs = context.stateTtlMs(state) ?? null;
  return {
    keyed,
    store: context.storeOf(state),
    partition: sub.queue.partition,
    expiresAtMs: ttlMs === null ? undefined : context.clock.now() + ttlMs,
  };
}

function writeChange(
  context: RunnerContext,
  sub: Work,
  at: number,
  target: StateTarget,
  change: StateChange,
): void {
  const slab = sub.slabs[at]!;
  const index = sub.indexes[at]!;
  // The key is a view of the fetch, which the write keeps in memory until it is committed: no longer than its slab lives.
  const record = { key: keyOf(slab, index)!, text: keyTextAt(sub, at)! };
  writeState(target.keyed, record, change, target, context.committer.writes);
}
