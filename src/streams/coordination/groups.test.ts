import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, isMillraceError, manualClock } from '../../kernel/index.ts';
import type { Assignment, JoinOptions, Membership } from '../port.ts';
import { Groups, type GroupsSnapshot } from './groups.ts';
import type { Share } from './members.ts';

function registry(snapshot?: GroupsSnapshot) {
  const clock = manualClock();
  const topics = new Map([['a', 4]]);
  const groups = new Groups(clock, (topic) => topics.get(topic), snapshot);
  const shares = new Map<Assignment, Share>();
  let members = 0;
  const join = (options: JoinOptions = {}, group = 'g'): Membership =>
    groups.join(group, `m${members++}`, ['a'], options, (share) => {
      const assignment = { ...share } as unknown as Assignment;
      shares.set(assignment, share);
      return assignment;
    });
  const holds = (assignment: Assignment): boolean => groups.holds(shares.get(assignment)!);
  const shareOf = (assignment: Assignment): Share => shares.get(assignment)!;
  return { clock, topics, groups, join, holds, shareOf };
}

const refuses = (work: () => unknown, code: ErrorCode): void =>
  assert.throws(work, (error) => isMillraceError(error, code));
const numbers = (assignment: Assignment | undefined): number[] | undefined =>
  assignment?.partitions.map((one) => one.partition);

describe('members of a group', () => {
  it('share its partitions; a newcomer fences those who give some up', () => {
    const { join, holds } = registry();
    const first = join();
    const alone = first.assignment!;
    assert.deepEqual(numbers(alone), [0, 1, 2, 3]);
    const second = join();
    assert.equal(alone.revoked.aborted, true);
    assert.equal(holds(alone), false);
    assert.deepEqual(numbers(first.assignment), [0, 1]);
    assert.deepEqual(numbers(second.assignment), [2, 3]);
    assert.ok(second.assignment!.epoch > alone.epoch);
  });

  it('keep their assignment when a rebalance leaves their partitions alone', () => {
    const { join, holds } = registry();
    const members = [join(), join(), join(), join()];
    const before = members.map((one) => one.assignment!);
    join();
    before.forEach((one, index) => {
      assert.equal(members[index]!.assignment, one);
      assert.equal(one.revoked.aborted, false);
      assert.equal(holds(one), true);
    });
  });

  it('hear of each assignment in turn, until they leave', async () => {
    const { join, holds } = registry();
    const first = join();
    const heard: (number[] | undefined)[] = [];
    const listening = (async () => {
      for await (const assignment of first.assignments()) heard.push(numbers(assignment));
    })();
    await new Promise(setImmediate);
    const second = join();
    await new Promise(setImmediate);
    await second.leave();
    await new Promise(setImmediate);
    const last = first.assignment!;
    await first.leave();
    await first.leave();
    await listening;
    assert.deepEqual(heard, [
      [0, 1, 2, 3],
      [0, 1],
      [0, 1, 2, 3],
    ]);
    assert.equal(first.assignment, undefined);
    assert.equal(last.revoked.aborted, true);
    assert.equal(holds(last), false);
  });

  it('get their partitions back under their instance id within the session', async () => {
    const { join, clock } = registry();
    const other = join();
    const fixed = join({ instanceId: 'i', sessionTimeoutMs: 1000 });
    const had = numbers(fixed.assignment);
    const undisturbed = other.assignment;
    await fixed.leave();
    clock.advance(999);
    const back = join({ instanceId: 'i', sessionTimeoutMs: 1000 });
    assert.deepEqual(numbers(back.assignment), had);
    assert.equal(other.assignment, undisturbed);
    await back.leave();
    clock.advance(1000);
    assert.deepEqual(numbers(other.assignment), [0, 1, 2, 3]);
    assert.equal(clock.pending(), 0);
  });

  it('fence an earlier holder of their instance id', async () => {
    const { join, holds } = registry();
    const first = join({ instanceId: 'i' });
    const taken = first.assignment!;
    const second = join({ instanceId: 'i' });
    assert.equal(first.assignment, undefined);
    assert.equal(holds(taken), false);
    assert.deepEqual(numbers(second.assignment), [0, 1, 2, 3]);
    for await (const _ of first.assignments()) assert.fail('the earlier holder has no assignment any more');
  });

  it('follow topics that grow and go', () => {
    const { join, topics, groups } = registry();
    const member = join();
    topics.set('a', 5);
    groups.topicsChanged();
    assert.deepEqual(numbers(member.assignment), [0, 1, 2, 3, 4]);
    topics.delete('a');
    groups.forgetTopic('a');
    assert.deepEqual(numbers(member.assignment), []);
  });

  it('need a topic that is there', () => {
    const { groups } = registry();
    const join = (topics: string[]) => () => groups.join('g', 'm', topics, {}, () => assert.fail());
    refuses(join(['b']), 'STREAM_NOT_FOUND');
    refuses(join([]), 'BAD_REQUEST');
  });
});

describe('positions of a group', () => {
  const at = (offset: number, done: number[] = [], partition = 0) => ({
    topic: 'a',
    partition,
    offset,
    done,
  });

  it('are set from outside only while nobody is in it, or by its epoch', async () => {
    const { groups, join } = registry();
    groups.apply(groups.setOffsets('g', [at(3)]));
    const member = join();
    const { epoch } = member.assignment!;
    refuses(() => groups.setOffsets('g', [at(4)]), 'GROUP_NOT_EMPTY');
    refuses(() => groups.setOffsets('g', [at(4)], { epoch: epoch - 1 }), 'GROUP_FENCED');
    groups.apply(groups.setOffsets('g', [at(4)], { epoch }));
    assert.equal(groups.position('g', { topic: 'a', partition: 0 })?.offset, 4);
    refuses(() => groups.delete('g'), 'GROUP_NOT_EMPTY');
    await member.leave();
    groups.apply(groups.delete('g'));
    assert.equal(groups.find('g'), undefined);
    refuses(() => groups.delete('g'), 'GROUP_NOT_FOUND');
  });

  it('are kept in their shortest form', () => {
    const { groups } = registry();
    groups.apply(groups.setOffsets('g', [at(5, [3, 5, 6, 9])]));
    assert.deepEqual(groups.offsets('g'), [at(7, [9])]);
    refuses(() => groups.setOffsets('g', [at(5, [8, 7])]), 'BAD_REQUEST');
    refuses(() => groups.setOffsets('g', [at(-1)]), 'BAD_REQUEST');
    refuses(() => groups.setOffsets('g', [at(0, [], 4)]), 'PARTITION_NOT_FOUND');
    const many = Array.from({ length: 10_001 }, (_, index) => 2 + 2 * index);
    refuses(() => groups.setOffsets('g', [at(0, many)]), 'BAD_REQUEST');
  });

  it('are committed only for what the share has', () => {
    const { groups, join, shareOf } = registry();
    join();
    const share = shareOf(join().assignment!);
    refuses(() => groups.commitOffsets(share, { offsets: [at(1)], state: [] }), 'BAD_REQUEST');
    const state = [{ store: 's', partition: 0, key: new Uint8Array(1), value: null }];
    refuses(() => groups.commitOffsets(share, { offsets: [], state }), 'BAD_REQUEST');
    groups.apply(groups.commitOffsets(share, { offsets: [at(1, [], 2)], state: [] }));
    assert.deepEqual(groups.offsets('g'), [at(1, [], 2)]);
  });

  it('come back from a snapshot, with epochs that go on growing', () => {
    const before = registry();
    const { epoch } = before.join().assignment!;
    before.groups.apply(before.groups.setOffsets('g', [at(3)], { epoch }));
    const after = registry(JSON.parse(JSON.stringify(before.groups.snapshot())));
    assert.deepEqual(after.groups.offsets('g'), [at(3)]);
    assert.equal(after.groups.find('g')?.state, 'empty');
    assert.ok(after.join().assignment!.epoch > epoch);
  });

  it('go with their topic', () => {
    const { groups } = registry();
    groups.apply(groups.setOffsets('g', [at(3)]));
    groups.forgetTopic('a');
    assert.deepEqual(groups.offsets('g'), []);
  });
});

describe('groups', () => {
  it('that hold nothing are forgotten before they fill the memory', () => {
    const { groups } = registry();
    groups.apply(groups.setOffsets('kept', [{ topic: 'a', partition: 0, offset: 1, done: [] }]));
    for (let index = 0; index < 5_000; index++) {
      groups.join(`g${index}`, 'm', ['a'], {}, (share) => ({ ...share }) as unknown as Assignment).leave();
    }
    assert.ok(groups.list().length <= 1_001);
    assert.ok(groups.find('kept'));
  });
});
