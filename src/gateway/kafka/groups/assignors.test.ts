import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { range, type Subscriber, splitKey, uniform } from './assignors.ts';

const subscriber = (memberId: string, topics: string[], current: Iterable<string> = []): Subscriber => ({
  memberId,
  instanceId: null,
  topics: new Set(topics),
  current: new Set(current),
});

/** Up to six topics and eight members that each subscribe to some of them. */
const groups = fc.record({
  partitions: fc.array(fc.nat(12), { minLength: 1, maxLength: 6 }),
  members: fc.array(fc.uniqueArray(fc.nat(5), { minLength: 1 }), { minLength: 1, maxLength: 8 }),
});

function assignBoth({ partitions, members }: { partitions: number[]; members: number[][] }) {
  const partitionsOf = (topic: string): number => partitions[Number(topic)] ?? 0;
  const subscribers = members.map((topics, index) =>
    subscriber(`m${index}`, topics.filter((topic) => topic < partitions.length).map(String)),
  );
  return { partitionsOf, subscribers };
}

describe('the assignors', () => {
  it('give every partition of a subscribed topic to one of its subscribers', () => {
    const property = fc.property(groups, fc.constantFrom(uniform, range), (group, assign) => {
      const { subscribers, partitionsOf } = assignBoth(group);
      const shares = assign(subscribers, partitionsOf);
      const all = [...shares.values()].flatMap((share) => [...share]);
      const subscribed = new Set(subscribers.flatMap(({ topics }) => [...topics]));
      const expected = [...subscribed].reduce((sum, topic) => sum + partitionsOf(topic), 0);
      assert.equal(new Set(all).size, expected);
      assert.equal(all.length, expected);
      for (const { memberId, topics } of subscribers) {
        for (const key of shares.get(memberId)!) assert.ok(topics.has(splitKey(key).topicId));
      }
    });
    fc.assert(property);
  });

  it('U2 uniform leaves nobody with two more than another that could take one', () => {
    const property = fc.property(groups, (group) => {
      const { subscribers, partitionsOf } = assignBoth(group);
      const shares = uniform(subscribers, partitionsOf);
      for (const rich of subscribers) {
        for (const poor of subscribers) {
          const takes = [...shares.get(rich.memberId)!].some((key) => poor.topics.has(splitKey(key).topicId));
          const difference = shares.get(rich.memberId)!.size - shares.get(poor.memberId)!.size;
          assert.ok(
            !takes || difference < 2,
            `${rich.memberId} has ${difference} more than ${poor.memberId}`,
          );
        }
      }
    });
    fc.assert(property);
  });

  it('U3 uniform moves nothing when a member goes but what it had', () => {
    const property = fc.property(fc.nat(60), fc.integer({ min: 2, max: 10 }), (partitions, size) => {
      const members = Array.from({ length: size }, (_, index) => subscriber(`m${index}`, ['t']));
      const before = uniform(members, () => partitions);
      const rest = members.slice(1).map(({ memberId }) => subscriber(memberId, ['t'], before.get(memberId)!));
      const after = uniform(rest, () => partitions);
      for (const { memberId } of rest) {
        assert.ok(before.get(memberId)!.isSubsetOf(after.get(memberId)!), `${memberId} lost something`);
      }
    });
    fc.assert(property);
  });

  it('range puts the same numbers of like topics together', () => {
    const shares = range([subscriber('b', ['x', 'y']), subscriber('a', ['x', 'y'])], () => 3);
    assert.deepEqual([...shares.get('a')!], ['x/0', 'x/1', 'y/0', 'y/1']);
    assert.deepEqual([...shares.get('b')!], ['x/2', 'y/2']);
  });
});
