import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Assignor, range, type Shares, type Subscriber, sharesOf, uniform } from './assignors.ts';

/** All of it at once; with how many pauses it would have had. */
function made(work: ReturnType<Assignor>): { shares: Shares; pauses: number } {
  for (let pauses = 0; ; pauses++) {
    const { done, value } = work.next();
    if (done) return { shares: value, pauses };
  }
}

const topicIdOf = (key: string): string => sharesOf([key])[0]!.topicId;

const keysOf = (topicId: string, partitions: number): string[] =>
  Array.from({ length: partitions }, (_, partition) => `${topicId}/${partition}`);

const counting = (partitionsOf: (topicId: string) => number) => (topicId: string) =>
  keysOf(topicId, partitionsOf(topicId));

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
      const { shares } = made(assign(subscribers, counting(partitionsOf)));
      const all = [...shares.values()].flatMap((share) => [...share]);
      const subscribed = new Set(subscribers.flatMap(({ topics }) => [...topics]));
      const expected = [...subscribed].reduce((sum, topic) => sum + partitionsOf(topic), 0);
      assert.equal(new Set(all).size, expected);
      assert.equal(all.length, expected);
      for (const { memberId, topics } of subscribers) {
        for (const key of shares.get(memberId)!) assert.ok(topics.has(topicIdOf(key)));
      }
    });
    fc.assert(property);
  });

  it('U2 uniform leaves nobody with two more than another that could take one', () => {
    const property = fc.property(groups, (group) => {
      const { subscribers, partitionsOf } = assignBoth(group);
      const { shares } = made(uniform(subscribers, counting(partitionsOf)));
      for (const rich of subscribers) {
        for (const poor of subscribers) {
          const takes = [...shares.get(rich.memberId)!].some((key) => poor.topics.has(topicIdOf(key)));
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
      const before = made(
        uniform(
          members,
          counting(() => partitions),
        ),
      ).shares;
      const rest = members.slice(1).map(({ memberId }) => subscriber(memberId, ['t'], before.get(memberId)!));
      const after = made(
        uniform(
          rest,
          counting(() => partitions),
        ),
      ).shares;
      for (const { memberId } of rest) {
        assert.ok(before.get(memberId)!.isSubsetOf(after.get(memberId)!), `${memberId} lost something`);
      }
    });
    fc.assert(property);
  });

  it('range puts the same numbers of like topics together', () => {
    const members = [subscriber('b', ['x', 'y']), subscriber('a', ['x', 'y'])];
    const { shares } = made(
      range(
        members,
        counting(() => 3),
      ),
    );
    assert.deepEqual([...shares.get('a')!], ['x/0', 'x/1', 'y/0', 'y/1']);
    assert.deepEqual([...shares.get('b')!], ['x/2', 'y/2']);
  });

  it('pause often where there is much to assign', () => {
    const partitionsOf = counting(() => 100);
    const keys = new Map(Array.from({ length: 100 }, (_, topic) => [`t${topic}`, partitionsOf(`t${topic}`)]));
    for (const assign of [uniform, range]) {
      const alike = new Set(keys.keys());
      const members = Array.from({ length: 1_000 }, (_, index) => ({
        ...subscriber(`m${index}`, []),
        // Some subscribe to less: what is the same for all is soon found.
        topics: index % 10 === 0 ? new Set(['t1', 't2', `t${index % 100}`]) : alike,
      }));
      const { shares, pauses } = made(assign(members, (topicId) => keys.get(topicId)!));
      assert.equal(
        [...shares.values()].reduce((sum, { size }) => sum + size, 0),
        10_000,
      );
      assert.ok(pauses >= 10, `${pauses} pauses`);
    }
  });

  it('show shares by topic, in order', () => {
    const property = fc.property(fc.uniqueArray(fc.tuple(fc.nat(3), fc.nat(2_000))), (places) => {
      const shares = sharesOf(places.map(([topic, partition]) => `${'t'.repeat(topic + 1)}/${partition}`));
      const shown = shares.flatMap(({ topicId, partitions }) => partitions.map((one) => [topicId, one]));
      const wanted = new Set(places.map(([topic, partition]) => `${'t'.repeat(topic + 1)}/${partition}`));
      assert.deepEqual(new Set(shown.map((one) => one.join('/'))), wanted);
      for (const { partitions } of shares)
        assert.deepEqual(
          partitions,
          partitions.toSorted((a, b) => a - b),
        );
    });
    fc.assert(property);
  });
});
