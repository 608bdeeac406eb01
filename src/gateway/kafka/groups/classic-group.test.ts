import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../../../kernel/index.ts';
import { KafkaError, type KafkaErrorName } from '../errors.ts';
import { ClassicGroup } from './classic-group.ts';
import type { ClassicJoin, JoinResult, SyncResult } from './classic-types.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (value: Uint8Array): string => new TextDecoder().decode(value);
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function makeGroup(settings: { initialDelayMs?: number; maxMembers?: number } = {}) {
  const clock = manualClock();
  let ids = 0;
  const group = new ClassicGroup(0, {
    clock,
    makeId: () => `${ids++}`,
    settings: { initialDelayMs: 0, maxMembers: 100, ...settings },
    readAssignment: () => [],
    readSubscription: (metadata) => textOf(metadata).split(','),
  });
  const join = (memberId: string, options: Partial<ClassicJoin> = {}): Promise<JoinResult> =>
    group.join({
      memberId,
      instanceId: null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 30_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: bytes('t') }],
      requiresMemberId: false,
      canSkipAssignment: false,
      ...options,
    });
  const sync = (joined: JoinResult, assignments: Record<string, string> = {}): Promise<SyncResult> =>
    group.sync({
      memberId: joined.memberId,
      instanceId: null,
      generation: joined.generation,
      protocolType: null,
      protocolName: null,
      assignments: Object.entries(assignments).map(([memberId, value]) => ({
        memberId,
        assignment: bytes(value),
      })),
    });
  const beat = ({ memberId, generation }: JoinResult): KafkaErrorName =>
    group.heartbeat({ memberId, instanceId: null, generation });
  const commits = (joined: JoinResult, transactional = false): KafkaErrorName => {
    const { memberId, generation } = joined;
    try {
      group.admitCommit({ memberId, instanceId: null, generation }, transactional);
      return 'NONE';
    } catch (error) {
      assert.ok(error instanceof KafkaError);
      return error.kafkaName;
    }
  };
  /** Lets as many members join, and the leader give each its own name. */
  const rebalance = async (count: number, options: Partial<ClassicJoin> = {}) => {
    const first = await join('', options);
    const others = Array.from({ length: count - 1 }, () => join('', options));
    const joined = await Promise.all([count > 1 ? join(first.memberId, options) : first, ...others]);
    const everyone = Object.fromEntries(joined.map(({ memberId }) => [memberId, memberId]));
    const synced = joined.map((one) => sync(one, one.leader === one.memberId ? everyone : {}));
    assert.deepEqual(
      (await Promise.all(synced)).map((one) => textOf(one.assignment)),
      Object.keys(everyone),
    );
    return joined;
  };
  return { clock, group, join, sync, beat, commits, rebalance };
}

describe('a group of the classic protocol', () => {
  it('settles on a leader, a generation and a protocol, and hands out what the leader assigns', async () => {
    const { join, sync, group, beat } = makeGroup();
    const alone = await join('', { protocols: [{ name: 'range', metadata: bytes('a') }] });
    assert.deepEqual([alone.error, alone.generation, alone.leader], ['NONE', 1, alone.memberId]);
    const second = join('');
    assert.equal(beat(alone), 'REBALANCE_IN_PROGRESS');
    const [first, other] = await Promise.all([join(alone.memberId), second]);
    assert.deepEqual([first.generation, other.generation], [2, 2]);
    assert.deepEqual(
      first.members.map((one) => one.memberId),
      [first.memberId, other.memberId],
    );
    assert.deepEqual(other.members, []);
    const waiting = sync(other);
    assert.equal(group.describe().state, 'CompletingRebalance');
    assert.equal(
      textOf((await sync(first, { [first.memberId]: 'x', [other.memberId]: 'y' })).assignment),
      'x',
    );
    assert.equal(textOf((await waiting).assignment), 'y');
    assert.equal(group.describe().state, 'Stable');
    assert.equal(beat(other), 'NONE');
    assert.equal(textOf((await sync(other)).assignment), 'y', 'asked for again');
  });

  it('gives a new dynamic member its id first', async () => {
    const { join, group, clock } = makeGroup();
    const asked = await join('', { requiresMemberId: true });
    assert.equal(asked.error, 'MEMBER_ID_REQUIRED');
    assert.equal(group.describe().members.length, 0);
    assert.equal((await join(asked.memberId, { requiresMemberId: true })).error, 'NONE');
    const late = await join('', { requiresMemberId: true });
    clock.advance(10_000);
    assert.equal((await join(late.memberId)).error, 'UNKNOWN_MEMBER_ID', 'nobody came back in time');
    assert.equal((await join('made up')).error, 'UNKNOWN_MEMBER_ID');
  });

  it('waits a little for the first members to come together', async () => {
    const { join, clock } = makeGroup({ initialDelayMs: 100 });
    const joining = [join('')];
    clock.advance(90);
    joining.push(join(''));
    clock.advance(90);
    joining.push(join(''));
    clock.advance(200);
    const joined = await Promise.all(joining);
    assert.deepEqual(
      joined.map((one) => one.generation),
      [1, 1, 1],
    );
  });

  it('goes on without those who do not join again in time', async () => {
    const { join, clock, rebalance, beat } = makeGroup();
    const [first, second] = await rebalance(2);
    const joining = join(first!.memberId, { protocols: [{ name: 'range', metadata: bytes('new') }] });
    for (let heard = 0; heard < 3; heard++) {
      assert.equal(beat(second!), 'REBALANCE_IN_PROGRESS');
      clock.advance(9_000);
    }
    clock.advance(4_000);
    const again = await joining;
    assert.equal(again.members.length, 1);
    assert.equal(beat(first!), 'ILLEGAL_GENERATION');
    assert.equal(beat(second!), 'UNKNOWN_MEMBER_ID');
    assert.equal(beat(again), 'NONE');
  });

  it('throws out who falls silent, and tells the others with their next heartbeat', async () => {
    const { clock, rebalance, beat } = makeGroup();
    const [first, second] = await rebalance(2);
    clock.advance(9_000);
    assert.equal(beat(first!), 'NONE');
    clock.advance(9_000);
    assert.equal(beat(first!), 'REBALANCE_IN_PROGRESS');
    assert.equal(beat(second!), 'UNKNOWN_MEMBER_ID');
  });

  it('throws out who never fetches its assignment', async () => {
    const { join, sync, clock, beat, group } = makeGroup();
    const options = { sessionTimeoutMs: 60_000 };
    const first = await join('', options);
    const joining = join('', options);
    const [one, two] = await Promise.all([join(first.memberId, options), joining]);
    await sync(one, { [one.memberId]: 'x' });
    clock.advance(30_000);
    assert.equal(beat(one), 'REBALANCE_IN_PROGRESS');
    assert.equal(beat(two), 'UNKNOWN_MEMBER_ID');
    assert.equal(group.size, 1);
  });

  it('answers those who wait for an assignment when the members change meanwhile', async () => {
    const { join, sync } = makeGroup();
    const first = await join('');
    const joining = join('');
    const [leader, follower] = await Promise.all([join(first.memberId), joining]);
    const waiting = sync(follower);
    join('');
    assert.equal((await waiting).error, 'REBALANCE_IN_PROGRESS');
    assert.equal((await sync(leader, {})).error, 'REBALANCE_IN_PROGRESS');
  });

  it('gives an answer that was lost again, without a rebalance', async () => {
    const { join, rebalance, beat } = makeGroup();
    const [leader, follower] = await rebalance(2);
    const again = await join(follower!.memberId);
    assert.deepEqual([again.error, again.generation], ['NONE', follower!.generation]);
    assert.equal(beat(leader!), 'NONE');
    join(leader!.memberId);
    assert.equal(beat(follower!), 'REBALANCE_IN_PROGRESS', 'the leader wants to assign anew');
  });

  it('lets the members vote on what they all support, and refuses who supports none of it', async () => {
    const { join, group } = makeGroup();
    const of = (...names: string[]) => ({
      protocols: names.map((name) => ({ name, metadata: bytes(name) })),
    });
    const first = await join('', of('a', 'b', 'c'));
    const others = [join('', of('b', 'c')), join('', of('c', 'b'))];
    const [again, ...rest] = await Promise.all([join(first.memberId, of('a', 'b', 'c')), ...others]);
    assert.equal(again!.protocolName, 'b');
    assert.deepEqual(
      again!.members.map((one) => textOf(one.metadata)),
      ['b', 'b', 'b'],
    );
    assert.equal(rest[0]!.protocolName, 'b');
    assert.equal((await join('', of('a'))).error, 'INCONSISTENT_GROUP_PROTOCOL');
    assert.equal(
      (await join('', { ...of('b'), protocolType: 'connect' })).error,
      'INCONSISTENT_GROUP_PROTOCOL',
    );
    assert.equal((await join('', of())).error, 'INCONSISTENT_GROUP_PROTOCOL');
    assert.equal(group.describe().members.length, 3);
  });

  it('is empty when all have left, and takes another protocol then', async () => {
    const { group, join, rebalance } = makeGroup();
    const [first, second] = await rebalance(2);
    for (const { memberId } of [first!, second!])
      assert.equal(group.leave({ memberId, instanceId: null }), 'NONE');
    assert.equal(group.leave({ memberId: first!.memberId, instanceId: null }), 'UNKNOWN_MEMBER_ID');
    assert.equal(group.describe().state, 'Empty');
    const joined = await join('', { protocolType: 'connect' });
    assert.equal(joined.error, 'NONE');
    assert.ok(joined.generation > second!.generation);
  });

  it('has a bound', async () => {
    const { join } = makeGroup({ maxMembers: 2, initialDelayMs: 100 });
    join('');
    assert.equal((await join('', { requiresMemberId: true })).error, 'MEMBER_ID_REQUIRED');
    assert.equal((await join('')).error, 'GROUP_MAX_SIZE_REACHED');
  });

  it('takes positions of members of this generation, and none while they are being assigned', async () => {
    const { join, rebalance, commits, group } = makeGroup();
    const outside = { memberId: '', generation: -1 } as JoinResult;
    assert.equal(commits(outside), 'NONE');
    const [member] = await rebalance(1);
    assert.equal(commits(member!), 'NONE');
    assert.equal(commits({ ...member!, generation: member!.generation - 1 }), 'ILLEGAL_GENERATION');
    assert.equal(commits({ ...member!, memberId: 'other' }), 'UNKNOWN_MEMBER_ID');
    assert.equal(commits(outside), 'UNKNOWN_MEMBER_ID');
    assert.equal(commits(outside, true), 'NONE', 'the transaction has its own fence');
    const joining = join('');
    assert.equal(commits(member!), 'NONE', 'what it did before it gives its partitions up');
    const again = await join(member!.memberId);
    await joining;
    assert.equal(commits(again), 'REBALANCE_IN_PROGRESS');
    group.close();
    assert.equal(commits(again), 'COORDINATOR_NOT_AVAILABLE');
  });

  it('knows what its members subscribe to', async () => {
    const { group, rebalance } = makeGroup();
    assert.equal(group.subscribes('a'), false);
    await rebalance(1, { protocols: [{ name: 'range', metadata: bytes('a,b') }] });
    assert.deepEqual(
      ['a', 'b', 'c'].map((topic) => group.subscribes(topic)),
      [true, true, false],
    );
  });
});

describe('static members of the classic protocol', () => {
  const statically = { instanceId: 'i' };

  it('do not keep the group busy while it waits for them, however short their rebalance timeout', async () => {
    const { clock, group, join, sync } = makeGroup();
    const short = { rebalanceTimeoutMs: 0, sessionTimeoutMs: 1_800_000 };
    const stays = await join('', { ...short, ...statically });
    await sync(stays);
    void join('', short);
    assert.equal(group.leave({ memberId: 'c-1', instanceId: null }), 'NONE');
    clock.advance(100);
    assert.equal(group.describe().state, 'PreparingRebalance');
    assert.ok(clock.untilNextMs()! > 500, `looks again in ${clock.untilNextMs()} ms`);
    const back = await join(stays.memberId, { ...short, ...statically });
    assert.equal(back.error, 'NONE');
  });

  it('come back without a rebalance, and fence their former self', async () => {
    const { join, group, rebalance, beat } = makeGroup();
    const [other] = await rebalance(1);
    const joining = join('', statically);
    const [, fixed] = await Promise.all([join(other!.memberId), joining]);
    const { generation } = fixed;
    await group.sync({
      ...{ memberId: other!.memberId, instanceId: null, generation, protocolType: null, protocolName: null },
      assignments: [{ memberId: fixed.memberId, assignment: bytes('mine') }],
    });
    const back = await join('', statically);
    assert.deepEqual([back.error, back.generation], ['NONE', generation]);
    assert.notEqual(back.memberId, fixed.memberId);
    assert.equal(beat({ ...other!, generation }), 'NONE');
    const identity = { instanceId: 'i', generation };
    assert.equal(group.heartbeat({ ...identity, memberId: fixed.memberId }), 'FENCED_INSTANCE_ID');
    assert.equal(group.heartbeat({ ...identity, memberId: back.memberId }), 'NONE');
    const again = await group.sync({
      ...identity,
      ...{ memberId: back.memberId, protocolType: null, protocolName: null, assignments: [] },
    });
    assert.equal(textOf(again.assignment), 'mine');
  });

  it('that led are told to leave the assignment alone', async () => {
    for (const canSkipAssignment of [true, false]) {
      const { join, sync } = makeGroup();
      const leader = await join('', statically);
      await sync({ ...leader }, {}).catch(() => undefined);
      const back = await join('', { ...statically, canSkipAssignment });
      if (back.generation === leader.generation) {
        assert.equal(back.skipAssignment, canSkipAssignment);
        assert.equal(back.leader === back.memberId, canSkipAssignment);
      }
    }
  });

  it('stay while their session lasts, and can be removed by an operator', async () => {
    const { join, group, clock } = makeGroup();
    await join('', statically);
    assert.equal(group.leave({ memberId: '', instanceId: 'other' }), 'UNKNOWN_MEMBER_ID');
    assert.equal(group.leave({ memberId: '', instanceId: 'i' }), 'NONE');
    await join('', statically);
    clock.advance(10_000);
    assert.equal(group.size, 0);
  });

  it('fence a former self that still waits to join', async () => {
    const { join } = makeGroup({ initialDelayMs: 100 });
    const former = join('', statically);
    join('', statically);
    assert.equal((await former).error, 'FENCED_INSTANCE_ID');
  });
});

describe('a group whatever its members do', () => {
  it('answers every request, and settles once they join again', async () => {
    const step = fc.record({
      who: fc.nat(4),
      act: fc.constantFrom('join', 'sync', 'beat', 'leave', 'wait', 'static') as fc.Arbitrary<string>,
    });
    const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { clock, group, join, sync, beat } = makeGroup({ initialDelayMs: 10 });
      const members: (JoinResult | undefined)[] = [];
      let open = 0;
      const track = <Result>(work: Promise<Result>): Promise<Result> => {
        open++;
        return work.finally(() => void open--);
      };
      for (const { who, act } of steps) {
        const known = members[who];
        if (act === 'wait') clock.advance(3_000);
        else if (act === 'static') void track(join('', { instanceId: `i${who}` }));
        else if (act === 'join') {
          void track(join(known?.memberId ?? '')).then((joined) => {
            members[who] = joined.error === 'NONE' ? joined : undefined;
          });
        } else if (known && act === 'sync') void track(sync(known, { [known.memberId]: 'x' }));
        else if (known && act === 'beat') beat(known);
        else if (known) group.leave({ memberId: known.memberId, instanceId: null });
        await settle();
      }
      // Everybody is silent from now on: all sessions end, and nobody waits for an answer any more.
      for (let turn = 0; turn < 60; turn++) {
        clock.advance(10_000);
        await settle();
      }
      assert.equal(open, 0);
      assert.deepEqual([group.size, group.describe().state, clock.pending()], [0, 'Empty', 0]);
    });
    await fc.assert(property, { numRuns: 60 });
  });
});
