import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type AssignableMember, assignPartitions } from './assignor.ts';

type Share = readonly { topic: string; partition: number }[];

const member = (memberId: string, topics: string[], partitions: Share = []): AssignableMember => ({
  memberId,
  topics,
  partitions,
});
const counts = (assigned: Map<string, Share>): number[] =>
  [...assigned.values()].map((share) => share.length);
const keys = (share: Share): string[] => share.map((one) => `${one.topic}/${one.partition}`);

/** What the members have after the assignment, ready for the next one. */
const settled = (members: readonly AssignableMember[], partitions: number): AssignableMember[] => {
  const assigned = assignPartitions(members, () => partitions);
  return members.map((one) => ({ ...one, partitions: assigned.get(one.memberId)! }));
};

describe('the assignor', () => {
  it('gives every partition to exactly one subscriber, in even shares', () => {
    const property = fc.property(fc.nat(40), fc.integer({ min: 1, max: 9 }), (partitions, size) => {
      const members = Array.from({ length: size }, (_, index) => member(`m${index}`, ['a']));
      const assigned = assignPartitions(members, () => partitions);
      const all = keys([...assigned.values()].flat());
      assert.equal(new Set(all).size, partitions);
      assert.equal(all.length, partitions);
      assert.ok(Math.max(...counts(assigned)) - Math.min(...counts(assigned)) <= 1);
    });
    fc.assert(property);
  });

  it('keeps the same partition numbers of topics with the same subscribers together', () => {
    const assigned = assignPartitions([member('x', ['a', 'b']), member('y', ['b', 'a'])], (topic) =>
      topic === 'a' ? 5 : 3,
    );
    for (const share of assigned.values()) {
      const numbers = (topic: string): number[] =>
        share.filter((one) => one.topic === topic).map((one) => one.partition);
      for (const number of numbers('b')) assert.ok(numbers('a').includes(number));
    }
  });

  it('gives nobody a topic that it did not subscribe to', () => {
    const assigned = assignPartitions([member('x', ['a']), member('y', ['a', 'b'])], () => 4);
    assert.deepEqual(
      keys(assigned.get('x')!).filter((key) => key.startsWith('b')),
      [],
    );
    assert.equal(keys(assigned.get('y')!).filter((key) => key.startsWith('b')).length, 4);
  });

  it('moves no more than a newcomer needs', () => {
    const property = fc.property(fc.nat(60), fc.integer({ min: 1, max: 9 }), (partitions, size) => {
      const before = settled(
        Array.from({ length: size }, (_, index) => member(`m${index}`, ['a'])),
        partitions,
      );
      const after = settled([...before, member('new', ['a'])], partitions);
      const moved = before.flatMap((one, index) => {
        const still = new Set(keys(after[index]!.partitions));
        return keys(one.partitions).filter((key) => !still.has(key));
      });
      assert.deepEqual(moved.sort(), keys(after.at(-1)!.partitions).sort());
      assert.ok(moved.length <= Math.ceil(partitions / (size + 1)));
    });
    fc.assert(property);
  });

  it('leaves everyone else alone when a member goes', () => {
    const property = fc.property(
      fc.nat(60),
      fc.integer({ min: 2, max: 9 }),
      fc.nat(),
      (partitions, size, pick) => {
        const before = settled(
          Array.from({ length: size }, (_, index) => member(`m${index}`, ['a'])),
          partitions,
        );
        const rest = before.filter((_, index) => index !== pick % size);
        const after = settled(rest, partitions);
        rest.forEach((one, index) => {
          const now = new Set(keys(after[index]!.partitions));
          for (const key of keys(one.partitions)) assert.ok(now.has(key), `${one.memberId} lost ${key}`);
        });
      },
    );
    fc.assert(property);
  });

  it('changes nothing when nothing changed', () => {
    const before = settled([member('x', ['a']), member('y', ['a']), member('z', ['a'])], 10);
    assert.deepEqual(settled(before, 10), before);
  });
});
