import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Assignment, GroupHolder, LogStore, TopicPartition } from '../port.ts';
import {
  append,
  appendOf,
  type MakeStore,
  makeTopic,
  refuses,
  settle,
  T0,
  T1,
  textOf,
  until,
  utf8,
  valuesOf,
} from './harness.support.ts';

const G = 'g';
const numbers = (assignment: Assignment | undefined): number[] =>
  assignment!.partitions.map((one) => one.partition).sort((a, b) => a - b);
const at = (partition: TopicPartition, offset: number, done: number[] = []) => ({
  ...partition,
  offset,
  done,
});
const nothing = { appends: [], offsets: [], state: [] } as const;
const write = (partition: number, key: string, value: string | null, expiresAtMs?: number) => ({
  store: 's',
  partition,
  key: utf8(key),
  value: value === null ? null : utf8(value),
  ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
});

export function groupContract(make: MakeStore): void {
  it('gives every partition to a member and spreads them when another joins', async (t) => {
    const { store } = await make(t);
    await makeTopic(store, { partitions: 4 });
    const first = await store.join(G, ['t']);
    const alone = first.assignment!;
    assert.deepEqual(numbers(alone), [0, 1, 2, 3]);
    assert.equal(alone.group, G);
    const second = await store.join(G, ['t']);
    assert.equal(alone.revoked.aborted, true);
    assert.deepEqual([...numbers(first.assignment), ...numbers(second.assignment)].sort(), [0, 1, 2, 3]);
    assert.equal(numbers(first.assignment).length, 2);
    const info = store.groups.find(G)!;
    assert.equal(info.state, 'stable');
    assert.equal(info.members.length, 2);
    await second.leave();
    assert.deepEqual(numbers(first.assignment), [0, 1, 2, 3]);
    await first.leave();
    assert.equal(first.assignment, undefined);
    assert.equal(store.groups.find(G)?.state ?? 'empty', 'empty');
    await refuses(store.join(G, ['absent']), 'STREAM_NOT_FOUND');
  });

  it('tells a member of its assignments in turn until it leaves', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const member = await store.join(G, ['t']);
    const heard: number[][] = [];
    const listening = (async () => {
      for await (const assignment of member.assignments()) heard.push(numbers(assignment));
    })();
    await settle();
    const other = await store.join(G, ['t']);
    await settle();
    await other.leave();
    await settle();
    await member.leave();
    await listening;
    assert.deepEqual(heard, [[0, 1], [0], [0, 1]]);
  });

  it('gives a member that comes back under its instance id its partitions back', async (t) => {
    const { store, clock } = await make(t);
    await makeTopic(store, { partitions: 4 });
    const other = await store.join(G, ['t']);
    const fixed = await store.join(G, ['t'], { instanceId: 'i', sessionTimeoutMs: 10_000 });
    const [had, undisturbed] = [numbers(fixed.assignment), other.assignment];
    await fixed.leave();
    clock.advance(5_000);
    const back = await store.join(G, ['t'], { instanceId: 'i', sessionTimeoutMs: 10_000 });
    assert.deepEqual(numbers(back.assignment), had);
    assert.equal(other.assignment, undisturbed);
    await back.leave();
    clock.advance(10_001);
    await until(() => numbers(other.assignment).length === 4);
    assert.deepEqual(numbers(other.assignment), [0, 1, 2, 3]);
  });

  it('follows topics that get more partitions', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const member = await store.join(G, ['t']);
    await store.topics.alter('t', { partitions: 3 });
    await until(() => numbers(member.assignment).length === 3);
    assert.deepEqual(numbers(member.assignment), [0, 1, 2]);
  });

  it('begins where it was told, and stays there once it was asked', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await append(store, T0, 'a', 'b');
    const fromStart = await store.join('start', ['t'], { from: 'start' });
    const fromEnd = await store.join('end', ['t'], { from: 'end' });
    assert.deepEqual(await fromStart.assignment!.position(T0), { offset: 0, done: [] });
    assert.deepEqual(await fromEnd.assignment!.position(T0), { offset: 2, done: [] });
    await append(store, T0, 'c');
    await fromEnd.leave();
    const again = await store.join('end', ['t'], { from: 'end' });
    assert.deepEqual(await again.assignment!.position(T0), { offset: 2, done: [] });
    assert.deepEqual(store.groups.offsets('end', [T0]), [at(T0, 2)]);
  });

  it('sets, lists and deletes positions from outside while nobody is in the group', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const noted = { ...at(T1, 7, [9, 12]), metadata: 'who' };
    await store.groups.setOffsets(G, [at(T0, 4), noted]);
    assert.deepEqual(store.groups.offsets(G), [at(T0, 4), noted]);
    assert.deepEqual(store.groups.offsets(G, [T1]), [noted]);
    assert.deepEqual(
      store.groups.list().map((one) => one.group),
      [G],
    );
    const member = await store.join(G, ['t']);
    const { epoch } = store.groups.find(G)!;
    await refuses(store.groups.setOffsets(G, [at(T0, 5)]), 'GROUP_NOT_EMPTY');
    await refuses(store.groups.setOffsets(G, [at(T0, 5)], { epoch: epoch + 1 }), 'GROUP_FENCED');
    await store.groups.setOffsets(G, [at(T0, 5)], { epoch });
    assert.deepEqual(await member.assignment!.position(T0), { offset: 5, done: [] });
    await refuses(store.groups.delete(G), 'GROUP_NOT_EMPTY');
    await member.leave();
    await store.groups.deleteOffsets(G, [T0]);
    assert.deepEqual(store.groups.offsets(G), [noted]);
    await store.groups.delete(G);
    assert.deepEqual(store.groups.offsets(G), []);
    await refuses(store.groups.delete(G), 'GROUP_NOT_FOUND');
    await refuses(store.groups.setOffsets(G, [at({ topic: 'absent', partition: 0 }, 1)]), 'STREAM_NOT_FOUND');
    await refuses(store.groups.setOffsets(G, [at(T0, -1)]), 'BAD_REQUEST');
    await refuses(store.groups.setOffsets(G, [at(T0, 5, [9, 8])]), 'BAD_REQUEST');
  });
}

/** Membership as a protocol would keep it, moved by hand. */
class TestHolder implements GroupHolder {
  readonly kind = 'classic';
  epoch: number;
  readonly members: string[] = [];
  changes = 0;
  closed = false;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  static is(holder: GroupHolder): holder is TestHolder {
    return holder instanceof TestHolder;
  }

  get size(): number {
    return this.members.length;
  }

  info() {
    return this.members.map((memberId) => ({ memberId, partitions: [T0] }));
  }

  topicsChanged(): void {
    this.changes++;
  }

  close(): void {
    this.closed = true;
  }
}

export function holderContract(make: MakeStore): void {
  const hold = (store: LogStore, group = G): TestHolder =>
    store.groups.hold(group, (epoch) => new TestHolder(epoch), TestHolder.is);

  it('keeps one holder a group, and shows its members', async (t) => {
    const { store, differs } = await make(t);
    if (differs === 'kafka') return refuses(() => hold(store), 'UNAVAILABLE');
    await makeTopic(store);
    assert.equal(store.groups.holder(G), undefined);
    const holder = hold(store);
    assert.equal(hold(store), holder);
    assert.equal(store.groups.holder(G), holder);
    assert.equal(store.groups.find(G)?.state, 'empty');
    holder.members.push('m');
    holder.epoch = 4;
    assert.deepEqual(store.groups.find(G), {
      ...{ group: G, kind: 'classic', state: 'stable', epoch: 4 },
      members: [{ memberId: 'm', partitions: [T0] }],
    });
    const before = holder.changes;
    await store.topics.alter('t', { partitions: 3 });
    assert.ok(holder.changes > before);
    await refuses(() => hold(store, ''), 'BAD_REQUEST');
  });

  it('keeps kinds of members apart', async (t) => {
    const { store, differs } = await make(t);
    if (differs === 'kafka') return refuses(() => hold(store), 'UNAVAILABLE');
    await makeTopic(store);
    const holder = hold(store);
    holder.members.push('m');
    holder.epoch = 9;
    await refuses(store.join(G, ['t']), 'GROUP_NOT_EMPTY');
    await refuses(store.groups.delete(G), 'GROUP_NOT_EMPTY');
    holder.members.pop();
    const member = await store.join(G, ['t']);
    assert.equal(holder.closed, true);
    assert.ok(member.assignment!.epoch > 9, 'epochs go on growing from one kind to the next');
    await refuses(() => hold(store), 'GROUP_NOT_EMPTY');
    await member.leave();
    assert.ok(hold(store).epoch > 9);
    await store.groups.delete(G);
    assert.equal(store.groups.holder(G), undefined);
  });

  it('lets the holder decide whose positions count', async (t) => {
    const { store, differs } = await make(t);
    if (differs === 'kafka') return refuses(() => hold(store), 'UNAVAILABLE');
    await makeTopic(store);
    const holder = hold(store);
    holder.members.push('m');
    const noted = { ...at(T0, 2), metadata: '', leaderEpoch: 3 };
    await refuses(store.groups.setOffsets(G, [noted]), 'GROUP_NOT_EMPTY');
    await store.groups.setOffsets(G, [noted], { admit: () => undefined });
    assert.deepEqual(store.groups.offsets(G), [noted]);
    const refusal = new Error('a stale member');
    const refuse = (): never => {
      throw refusal;
    };
    await assert.rejects(store.groups.setOffsets(G, [at(T0, 9)], { admit: refuse }), refusal);
    assert.deepEqual(store.groups.offsets(G), [noted]);
  });
}

export function commitContract(make: MakeStore): void {
  const member = async (store: LogStore): Promise<Assignment> => (await store.join(G, ['t'])).assignment!;

  it('commits records, offsets and state together', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    await makeTopic(store, { name: 'out', partitions: 1 });
    const out = { topic: 'out', partition: 0 };
    const assignment = await member(store);
    const view = await assignment.state('s', 0);
    assert.equal(view.get(utf8('k')), undefined);
    const result = await assignment.commit({
      appends: [appendOf(out, 'a', 'b'), appendOf(out, 'c')],
      offsets: [at(T0, 3, [5])],
      state: [write(0, 'k', 'v'), write(0, 'l', 'w'), write(1, 'k', 'other')],
    });
    assert.equal(result.status, 'COMMITTED');
    assert.deepEqual(
      result.status === 'COMMITTED' && result.appends.map((one) => [one.baseOffset, one.lastOffset]),
      [
        [0, 1],
        [2, 2],
      ],
    );
    assert.deepEqual(await valuesOf(store, out, { isolation: 'committed' }), ['a', 'b', 'c']);
    assert.deepEqual(await assignment.position(T0), { offset: 3, done: [5] });
    assert.deepEqual(store.groups.offsets(G, [T0]), [at(T0, 3, [5])]);
    assert.equal(textOf(view.get(utf8('k'))), 'v');
    assert.equal(view.size, 2);
    assert.equal(textOf((await assignment.state('s', 1)).get(utf8('k'))), 'other');
    assert.equal((await assignment.state('another', 0)).size, 0);
    await assignment.commit({ ...nothing, state: [write(0, 'k', null)] });
    assert.deepEqual(
      [...view.entries()].map((one) => [textOf(one.key), textOf(one.value)]),
      [['l', 'w']],
    );
  });

  it('takes nothing when one part of it cannot be', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const assignment = await member(store);
    const good = { appends: [appendOf(T0, 'x')], offsets: [at(T0, 1)], state: [write(0, 'k', 'v')] };
    await refuses(
      assignment.commit({
        ...good,
        appends: [...good.appends, appendOf({ topic: 'absent', partition: 0 }, 'x')],
      }),
      'STREAM_NOT_FOUND',
    );
    const damaged = appendOf(T0, 'x');
    damaged.batch[damaged.batch.length - 1]! ^= 1;
    await refuses(assignment.commit({ ...good, appends: [...good.appends, damaged] }), 'BATCH_INVALID');
    await refuses(
      assignment.commit({ ...good, offsets: [at({ topic: 't', partition: 7 }, 1)] }),
      'BAD_REQUEST',
    );
    await refuses(assignment.commit({ ...good, state: [write(7, 'k', 'v')] }), 'BAD_REQUEST');
    assert.deepEqual(await valuesOf(store, T0), []);
    assert.deepEqual(await assignment.position(T0), { offset: 0, done: [] });
    assert.equal((await assignment.state('s', 0)).size, 0);
    assert.equal((await assignment.commit(good)).status, 'COMMITTED');
    assert.deepEqual(await valuesOf(store, T0), ['x']);
  });

  it('takes the commits behind one that fails along with it', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const { assignment } = await store.join(G, ['t']);
    const send = (value: string, offset: number, topic = 't') =>
      assignment!.commit({
        appends: [{ ...appendOf(T0, value), topic }],
        offsets: [at(T0, offset)],
        state: [],
      });
    const failing = send('missing', 1, 'nowhere');
    const behind = send('behind', 2);
    await refuses(failing, 'STREAM_NOT_FOUND');
    assert.deepEqual(await behind, { status: 'FENCED' });
    assert.equal((await send('after', 1)).status, 'COMMITTED');
    assert.deepEqual(await valuesOf(store, T0), ['after']);
  });

  it('fences an assignment that was replaced, and one of a member that left', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const first = await store.join(G, ['t']);
    const stale = first.assignment!;
    await stale.commit({ ...nothing, offsets: [at(T0, 1), at(T1, 1)] });
    const second = await store.join(G, ['t']);
    const commit = { appends: [appendOf(T0, 'late')], offsets: [at(T0, 9)], state: [write(0, 'k', 'late')] };
    assert.deepEqual(await stale.commit(commit), { status: 'FENCED' });
    const fresh = [first, second].find((one) => numbers(one.assignment).includes(0))!.assignment!;
    assert.deepEqual(await fresh.position(T0), { offset: 1, done: [] });
    assert.equal((await fresh.state('s', 0)).size, 0);
    assert.deepEqual(await valuesOf(store, T0), []);
    assert.equal((await fresh.commit(commit)).status, 'COMMITTED');
    await Promise.all([first.leave(), second.leave()]);
    assert.deepEqual(await fresh.commit(commit), { status: 'FENCED' });
  });

  it('hands positions and state to the next owner, with all commits that came before', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const first = await store.join(G, ['t']);
    const before = first.assignment!;
    await before.commit({ ...nothing, offsets: [at(T1, 0)], state: [write(1, 'first', '1')] });
    const commits = Array.from({ length: 20 }, (_, index) =>
      before.commit({ ...nothing, offsets: [at(T1, index + 1)], state: [write(1, `k${index}`, `${index}`)] }),
    );
    const second = await store.join(G, ['t']);
    const owner = [first, second].find((one) => numbers(one.assignment).includes(1))!.assignment!;
    const position = await owner.position(T1);
    const state = await owner.state('s', 1);
    const committed = (await Promise.all(commits)).filter((one) => one.status === 'COMMITTED').length;
    assert.equal(position.offset, committed);
    assert.equal(state.size, 1 + committed);
  });

  it('keeps the order of commits in flight; one that throws takes along those behind it', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const assignment = await member(store);
    const numbered = (number: number) => ({
      appends: [appendOf(T0, `${number}`)],
      offsets: [at(T0, number)],
      state: [write(0, 'last', `${number}`)],
    });
    const results = await Promise.all([1, 2, 3, 4].map((number) => assignment.commit(numbered(number))));
    assert.ok(results.every((one) => one.status === 'COMMITTED'));
    assert.deepEqual(await valuesOf(store, T0), ['1', '2', '3', '4']);
    const damaged = appendOf(T0, 'x');
    damaged.batch[damaged.batch.length - 1]! ^= 1;
    const good = assignment.commit(numbered(5));
    const bad = assignment.commit({ ...numbered(6), appends: [damaged] });
    const behind = assignment.commit(numbered(7));
    await refuses(bad, 'BATCH_INVALID');
    assert.equal((await good).status, 'COMMITTED');
    assert.deepEqual(await behind, { status: 'FENCED' });
    assert.equal((await assignment.commit(numbered(8))).status, 'COMMITTED');
    assert.deepEqual(await valuesOf(store, T0), ['1', '2', '3', '4', '5', '8']);
    assert.equal(textOf((await assignment.state('s', 0)).get(utf8('last'))), '8');
    assert.deepEqual(await assignment.position(T0), { offset: 8, done: [] });
  });

  it('forgets state whose time is over', async (t) => {
    const { store, clock } = await make(t);
    await makeTopic(store);
    const assignment = await member(store);
    await assignment.commit({
      ...nothing,
      state: [write(0, 'k', 'v', clock.now() + 1_000), write(0, 'l', 'w')],
    });
    const view = await assignment.state('s', 0);
    clock.advance(999);
    assert.equal(textOf(view.get(utf8('k'))), 'v');
    clock.advance(1);
    assert.equal(view.get(utf8('k')), undefined);
    assert.deepEqual(
      [...view.entries()].map((one) => textOf(one.key)),
      ['l'],
    );
    assert.equal(view.size, 1);
  });

  it('tells keys apart by their bytes', async (t) => {
    const { store } = await make(t);
    await makeTopic(store);
    const assignment = await member(store);
    const keys = [[0], [0, 0], [255], [195, 191], []].map((key) => Uint8Array.from(key));
    const state = keys.map((key, index) => ({ store: 's', partition: 0, key, value: Uint8Array.of(index) }));
    await assignment.commit({ ...nothing, state });
    const view = await assignment.state('s', 0);
    assert.deepEqual(
      keys.map((key) => view.get(key)?.[0]),
      [0, 1, 2, 3, 4],
    );
  });
}
