import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ManualClock, manualClock } from '../clock.ts';
import { isMillraceError } from '../errors.ts';
import type { Json, StateEntry, StateOperation, StateStore } from './state-store.ts';

/** An empty store that is closed and removed at the end. */
export interface StateStoreUnderTest extends AsyncDisposable {
  readonly store: StateStore;
}

const put = (
  key: string,
  value: Json,
  rest: { expect?: number; expiresAtMs?: number } = {},
): StateOperation => ({
  kind: 'put',
  table: 't',
  key,
  value,
  ...rest,
});
const remove = (key: string, expect?: number): StateOperation => ({
  kind: 'delete',
  table: 't',
  key,
  ...(expect === undefined ? {} : { expect }),
});
const keysOf = (entries: readonly StateEntry[]): string[] => entries.map((entry) => entry.key);
const conflict = (error: unknown): boolean => isMillraceError(error, 'STATE_CONFLICT');
const badRequest = (error: unknown): boolean => isMillraceError(error, 'BAD_REQUEST');

/** What every StateStore does. `open` gives a new, empty store on the clock handed in. */
export function stateStoreContract(
  adapter: string,
  open: (clock: ManualClock) => Promise<StateStoreUnderTest>,
): void {
  describe(`StateStore: ${adapter}`, () => {
    entries(open);
    transactions(open);
    ranges(open);
    expiry(open);
    leases(open);
    model(open);
  });
}

type Open = (clock: ManualClock) => Promise<StateStoreUnderTest>;

function entries(open: Open): void {
  it('gives back what was put, and nothing for what was not', async () => {
    await using under = await open(manualClock());
    const value = { text: 'é\0𝄞', list: [1, null, true], nested: { a: {} } };
    await under.store.transact([put('k\0𝄞', value)]);
    assert.deepEqual((await under.store.get('t', 'k\0𝄞'))?.value, value);
    assert.equal(await under.store.get('t', 'k'), undefined);
    assert.equal(await under.store.get('other', 'k\0𝄞'), undefined);
  });

  it('keeps its own copy of a value', async () => {
    await using under = await open(manualClock());
    const value = { count: 1 };
    const write = under.store.transact([put('k', value)]);
    value.count = 2;
    await write;
    const first = (await under.store.get('t', 'k'))!.value as { count: number };
    first.count = 3;
    assert.deepEqual((await under.store.get('t', 'k'))?.value, { count: 1 });
  });

  it('refuses names and values that make no sense', async () => {
    await using under = await open(manualClock());
    const { store } = under;
    await assert.rejects(store.transact([put('', 1)]), badRequest);
    await assert.rejects(store.transact([put('\ud800', 1)]), badRequest);
    await assert.rejects(store.transact([put('x'.repeat(1025), 1)]), badRequest);
    await assert.rejects(store.transact([put('k', undefined as never)]), badRequest);
    await assert.rejects(store.transact([put('k', 1, { expect: -1 })]), badRequest);
    await assert.rejects(store.list('t', { limit: 10_001 }), badRequest);
    await assert.rejects(store.acquireLease('l', 'me', 0), badRequest);
    assert.deepEqual(await store.list('t'), []);
  });
}

function transactions(open: Open): void {
  it('S1 applies all operations or none', async () => {
    await using under = await open(manualClock());
    await under.store.transact([put('a', 1)]);
    await assert.rejects(
      under.store.transact([put('b', 1), remove('a'), { kind: 'check', table: 't', key: 'c', expect: 7 }]),
      (error: Error) => conflict(error) && /'c'.*expected at version 7, found absent/.test(error.message),
    );
    assert.deepEqual(keysOf(await under.store.list('t')), ['a']);
  });

  it('S1 one conflict does not fail the calls beside it', async () => {
    await using under = await open(manualClock());
    const calls = Array.from({ length: 100 }, (_, index) =>
      under.store.transact([put(`k${index}`, index), put('one', index, { expect: 0 })]),
    );
    const outcomes = await Promise.allSettled(calls);
    assert.equal(outcomes.filter((each) => each.status === 'fulfilled').length, 1);
    assert.ok(outcomes.every((each) => each.status === 'fulfilled' || conflict(each.reason)));
    assert.equal((await under.store.list('t')).length, 2);
  });

  it('sees its own earlier operations', async () => {
    await using under = await open(manualClock());
    await under.store.transact([put('a', 1, { expect: 0 }), remove('a'), put('a', 2, { expect: 0 })]);
    assert.equal((await under.store.get('t', 'a'))?.value, 2);
  });

  it('S3 never uses a version again, deletion in between included', async () => {
    await using under = await open(manualClock());
    const versions: number[] = [];
    for (let round = 0; round < 5; round++) {
      await under.store.transact([put('a', round)]);
      versions.push((await under.store.get('t', 'a'))!.version);
      if (round % 2 === 1) await under.store.transact([remove('a')]);
    }
    assert.deepEqual(
      versions,
      [...new Set(versions)].sort((a, b) => a - b),
    );
    await assert.rejects(under.store.transact([put('a', 9, { expect: versions[0]! })]), conflict);
    await under.store.transact([put('a', 9, { expect: versions.at(-1)! })]);
  });
}

function ranges(open: Open): void {
  const names = ['a', 'a/1', 'a/2', 'a/2/x', 'a0', 'b', 'é', '\uffee', '𝄞', '𝄞z'];

  it('S2 orders keys by their UTF-8 bytes, both ways', async () => {
    await using under = await open(manualClock());
    await under.store.transact(names.toReversed().map((name) => put(name, 1)));
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(keysOf(await under.store.list('t')), sorted);
    assert.deepEqual(keysOf(await under.store.list('t', { reverse: true })), sorted.toReversed());
  });

  it('S2 pages by prefix, after and limit', async () => {
    await using under = await open(manualClock());
    await under.store.transact(names.map((name) => put(name, 1)));
    const list = async (range: object) => keysOf(await under.store.list('t', range));
    assert.deepEqual(await list({ prefix: 'a/' }), ['a/1', 'a/2', 'a/2/x']);
    assert.deepEqual(await list({ prefix: 'a/', after: 'a/1' }), ['a/2', 'a/2/x']);
    assert.deepEqual(await list({ prefix: 'a/', after: 'a/1', limit: 1 }), ['a/2']);
    assert.deepEqual(await list({ prefix: 'a/', reverse: true, limit: 2 }), ['a/2/x', 'a/2']);
    assert.deepEqual(await list({ prefix: 'a/', reverse: true, after: 'a/2' }), ['a/1']);
    assert.deepEqual(await list({ prefix: 'a/', after: 'A' }), ['a/1', 'a/2', 'a/2/x']);
    assert.deepEqual(await list({ prefix: 'a/', after: 'b' }), []);
    assert.deepEqual(await list({ prefix: 'zz' }), []);
  });

  it('S2 misses nothing that was there throughout, whatever changes between pages', async () => {
    await using under = await open(manualClock());
    const stay = Array.from({ length: 50 }, (_, index) => `s${String(index).padStart(3, '0')}`);
    await under.store.transact(stay.map((key) => put(key, 1)));
    const seen: string[] = [];
    for (let after: string | undefined; ; after = seen.at(-1)) {
      const page = await under.store.list('t', { limit: 7, ...(after === undefined ? {} : { after }) });
      if (page.length === 0) break;
      seen.push(...keysOf(page));
      await under.store.transact([put(`${seen.at(-1)}x`, 1), put('r', 1), remove(`${seen.at(-1)}x`)]);
    }
    assert.deepEqual(seen, stay);
  });
}

function expiry(open: Open): void {
  it('S4 an entry past its time is gone for every call', async () => {
    const clock = manualClock();
    await using under = await open(clock);
    await under.store.transact([put('a', 1, { expiresAtMs: clock.now() + 1000 }), put('b', 2)]);
    clock.advance(999);
    assert.equal((await under.store.get('t', 'a'))?.expiresAtMs, clock.now() + 1);
    clock.advance(1);
    assert.equal(await under.store.get('t', 'a'), undefined);
    assert.deepEqual(keysOf(await under.store.list('t')), ['b']);
    await under.store.transact([put('a', 3, { expect: 0 })]);
    clock.advance(10_000);
    await under.store.transact([put('c', 1)]);
    assert.deepEqual(keysOf(await under.store.list('t')), ['a', 'b', 'c']);
  });
}

function leases(open: Open): void {
  it('gives a lease to one owner at a time, with a token that grows with every change', async () => {
    const clock = manualClock();
    await using under = await open(clock);
    const { store } = under;
    const first = await store.acquireLease('l', 'a', 1000);
    assert.ok(first !== undefined);
    assert.equal(await store.acquireLease('l', 'b', 1000), undefined);
    clock.advance(600);
    assert.equal(await store.acquireLease('l', 'a', 1000), first);
    clock.advance(600);
    assert.equal(await store.acquireLease('l', 'b', 1000), undefined, 'it was renewed');
    clock.advance(400);
    const second = await store.acquireLease('l', 'b', 1000);
    assert.ok(second! > first);
    await store.releaseLease('l', 'a');
    assert.equal(await store.acquireLease('l', 'a', 1000), undefined, 'only its owner releases it');
    await store.releaseLease('l', 'b');
    assert.ok((await store.acquireLease('l', 'a', 1000))! > second!);
  });
}

type Step =
  | { readonly kind: 'transact'; readonly operations: readonly StateOperation[] }
  | { readonly kind: 'advance'; readonly byMs: number };

const key = fc.constantFrom('a', 'ab', 'b', 'é', '𝄞', '\uffee');
const operation: fc.Arbitrary<StateOperation> = fc.oneof(
  fc
    .record({ key, value: fc.integer(), expect: fc.constantFrom(undefined, undefined, 0, 1, 2, 3) })
    .map(({ key, value, expect }) => put(key, value, expect === undefined ? {} : { expect })),
  fc.record({ key, expiresAtMs: fc.integer({ min: 1, max: 5000 }) }).map((each) => put(each.key, 0, each)),
  key.map((each) => remove(each)),
  fc
    .record({ key, expect: fc.constantFrom(0, 1, 2) })
    .map((each) => ({ kind: 'check' as const, table: 't', ...each })),
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .array(operation, { minLength: 1, maxLength: 4 })
        .map((operations) => ({ kind: 'transact' as const, operations })),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 3000 }).map((byMs) => ({ kind: 'advance' as const, byMs })),
    },
  ),
  { maxLength: 15 },
);

interface Modelled {
  readonly value: Json;
  readonly version: number;
  readonly expiresAtMs: number | undefined;
}

/** The specification in a few lines: a plain Map, changed as a whole or not at all. */
function applyToModel(
  before: ReadonlyMap<string, Modelled>,
  operations: readonly StateOperation[],
  nowMs: number,
  versionOf: (step: number) => number,
): Map<string, Modelled> | undefined {
  const isLive = (entry: Modelled) => (entry.expiresAtMs ?? Infinity) > nowMs;
  const after = new Map([...before].filter(([, entry]) => isLive(entry)));
  for (const [index, each] of operations.entries()) {
    const found = after.get(each.key);
    // What this very transaction put with a time that has passed is as absent as any other expired entry.
    const version = found && isLive(found) ? found.version : 0;
    if (each.expect !== undefined && each.expect !== version) return undefined;
    if (each.kind === 'delete') after.delete(each.key);
    if (each.kind !== 'put') continue;
    after.set(each.key, { value: each.value, version: versionOf(index), expiresAtMs: each.expiresAtMs });
  }
  return after;
}

function model(open: Open): void {
  it('S4 an entry put with a time that has passed is absent for the rest of its own transaction', async () => {
    const clock = manualClock();
    await using under = await open(clock);
    await under.store.transact([
      put('a', 1, { expiresAtMs: clock.now() }),
      { kind: 'check', table: 't', key: 'a', expect: 0 },
      put('b', 2),
    ]);
    assert.deepEqual(keysOf(await under.store.list('t')), ['b']);
  });

  it('does what a plain Map does, for any sequence of operations', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const clock = manualClock(0);
        await using under = await open(clock);
        let expected = new Map<string, Modelled>();
        for (const step of sequence) {
          if (step.kind === 'advance') {
            clock.advance(step.byMs);
            continue;
          }
          expected = await compare(under.store, expected, step.operations, clock.now());
        }
      }),
      { numRuns: 40, interruptAfterTimeLimit: 3000 },
    );
  });
}

/** Versions are the store's to choose, so the model takes them over after each step that both accept. */
async function compare(
  store: StateStore,
  before: Map<string, Modelled>,
  operations: readonly StateOperation[],
  nowMs: number,
): Promise<Map<string, Modelled>> {
  // A negative version can never be asked for, so an entry written in this very step fits no `expect` but 0's absence.
  const after = applyToModel(before, operations, nowMs, () => -1);
  const versions = operations.some((each) => (each.expect ?? 0) > 0 && written(operations, each));
  if (versions) return before;
  const outcome = await store.transact(operations).then(
    () => 'done',
    (error) => (conflict(error) ? 'conflict' : Promise.reject(error)),
  );
  assert.equal(outcome, after ? 'done' : 'conflict');
  const live = after ?? new Map([...before].filter(([, each]) => (each.expiresAtMs ?? Infinity) > nowMs));
  const found = await store.list('t');
  const simple = (key: string, value: Json, expiresAtMs: number | undefined) => ({ key, value, expiresAtMs });
  assert.deepEqual(
    found.map((each) => simple(each.key, each.value, each.expiresAtMs)),
    [...live]
      .map(([key, each]) => simple(key, each.value, each.expiresAtMs))
      .filter((each) => (each.expiresAtMs ?? Infinity) > nowMs)
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key))),
  );
  return new Map(found.map((each) => [each.key, { ...each, expiresAtMs: each.expiresAtMs }]));
}

/** Whether `each` asks for the version of a key that this same transaction writes. */
function written(operations: readonly StateOperation[], each: StateOperation): boolean {
  return operations.some((other) => other !== each && other.key === each.key && other.kind === 'put');
}
