import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { manualClock } from '../../../kernel/index.ts';
import { KafkaError, type KafkaErrorName } from '../errors.ts';
import { ConsumerGroup, type ConsumerHeartbeat, type HeartbeatResult } from './consumer-group.ts';

const SESSION_MS = 45_000;

function makeGroup(partitions = 4) {
  const turns: (() => void)[] = [];
  const clock = manualClock();
  const topics = [
    { id: 'T', name: 't', partitions },
    { id: 'U', name: 'u', partitions: 2 },
  ];
  const group = new ConsumerGroup(0, {
    clock,
    settings: { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 1_000, maxMembers: 50 },
    topics: () => topics,
    makeId: () => 'id',
    downgrade: () => assert.fail('there are no classic members'),
    pause: () => new Promise<void>((resolve) => turns.push(resolve)),
    compile: (regex) => {
      if (regex === '(') throw new KafkaError('INVALID_REGULAR_EXPRESSION');
      return (topic) => new RegExp(`^(?:${regex})$`).test(topic);
    },
  });
  const send = (memberId: string, memberEpoch: number, options: Partial<ConsumerHeartbeat> = {}) =>
    group.heartbeat({
      ...{ memberId, memberEpoch, instanceId: null, rackId: null, clientId: 'c', clientHost: '/h' },
      ...{ rebalanceTimeoutMs: null, topicNames: null, topicRegex: null, assignor: null, owned: null },
      maySee: () => true,
      ...options,
    });
  /** Small groups answer at once. */
  const beat = (...words: Parameters<typeof send>): HeartbeatResult => {
    const answer = send(...words);
    assert.ok(!(answer instanceof Promise));
    return answer;
  };
  /** Lets an assignment that has paused go on; false when none does. */
  const turn = async (): Promise<boolean> => {
    const waiting = turns.splice(0);
    for (const resolve of waiting) resolve();
    await new Promise(setImmediate);
    return waiting.length > 0;
  };
  const join = (memberId: string, options: Partial<ConsumerHeartbeat> = {}): HeartbeatResult =>
    beat(memberId, 0, { rebalanceTimeoutMs: 30_000, topicNames: ['t'], owned: [], ...options });
  return { clock, topics, group, send, beat, turn, join };
}

/** A client that does at once what it is told. */
class Client {
  readonly memberId: string;
  readonly #under: ReturnType<typeof makeGroup>;
  readonly #options: Partial<ConsumerHeartbeat>;
  epoch = 0;
  owned = new Set<string>();

  constructor(
    memberId: string,
    under: ReturnType<typeof makeGroup>,
    options: Partial<ConsumerHeartbeat> = {},
  ) {
    this.memberId = memberId;
    this.#under = under;
    this.#options = options;
  }

  beat(): void {
    const { instanceId = null } = this.#options;
    const owned = [...new Set([...this.owned].map((key) => key[0]!))].map((topicId) => ({
      topicId,
      partitions: [...this.owned].filter((key) => key[0] === topicId).map((key) => Number(key.slice(2))),
    }));
    const answer =
      this.epoch === 0
        ? this.#under.join(this.memberId, this.#options)
        : this.#under.beat(this.memberId, this.epoch, { owned, instanceId });
    this.epoch = answer.memberEpoch;
    if (!answer.assignment) return;
    const told = answer.assignment.flatMap(({ topicId, partitions }) =>
      partitions.map((one) => `${topicId}/${one}`),
    );
    this.owned = new Set(told);
  }

  leave(): void {
    this.#under.beat(this.memberId, -1);
    this.owned.clear();
  }
}

const refuses = (work: () => unknown, name: KafkaErrorName): void =>
  assert.throws(work, (error) => error instanceof KafkaError && error.kafkaName === name);
const partitionsOf = (answer: HeartbeatResult): readonly number[] | undefined =>
  answer.assignment?.[0]?.partitions;

describe('a group of the newer protocol', () => {
  it('gives a member all, and takes from it what another is to have, step by step', () => {
    const { join, beat, group } = makeGroup();
    const first = join('a');
    assert.deepEqual([first.memberEpoch, partitionsOf(first)], [1, [0, 1, 2, 3]]);
    const second = join('b');
    assert.deepEqual([second.memberEpoch, second.assignment], [2, []], 'nothing is free yet');
    assert.equal(group.consumerState, 'Reconciling');
    const asked = beat('a', 1);
    assert.deepEqual([asked.memberEpoch, partitionsOf(asked)], [1, [0, 1]]);
    assert.equal(beat('b', 2).assignment, null, 'it has not given them up yet');
    const given = beat('a', 1, { owned: [{ topicId: 'T', partitions: [0, 1] }] });
    assert.equal(given.memberEpoch, 2);
    assert.deepEqual(partitionsOf(beat('b', 2)), [2, 3]);
    assert.equal(group.consumerState, 'Stable');
    assert.equal(beat('a', 2).assignment, null);
  });

  it('passes on what a member had when it leaves or falls silent, and leaves the rest alone', () => {
    const under = makeGroup(40);
    const clients = Array.from({ length: 10 }, (_, index) => new Client(`m${index}`, under));
    for (let round = 0; round < 8; round++) for (const client of clients) client.beat();
    assert.equal(under.group.consumerState, 'Stable');
    const before = new Map(clients.map((client) => [client, client.owned]));
    clients[0]!.leave();
    const rest = clients.slice(1);
    for (const client of rest) {
      client.beat();
      assert.ok(
        before.get(client)!.isSubsetOf(client.owned),
        'not for one heartbeat has it less than before',
      );
    }
    assert.equal(
      rest.reduce((sum, client) => sum + client.owned.size, 0),
      40,
    );
    for (let second = 0; second < 46; second++) {
      under.clock.advance(1_000);
      for (const client of rest.slice(1)) client.beat();
    }
    assert.equal(under.group.size, 8);
    assert.equal(
      rest.slice(1).reduce((sum, client) => sum + client.owned.size, 0),
      40,
    );
    refuses(() => rest[0]!.beat(), 'UNKNOWN_MEMBER_ID');
  });

  it('fences who comes with an epoch that is not its own, but not who repeats itself', () => {
    const { join, beat } = makeGroup();
    join('a');
    refuses(() => beat('a', 5), 'FENCED_MEMBER_EPOCH');
    refuses(() => beat('b', 1), 'UNKNOWN_MEMBER_ID');
    join('b');
    beat('a', 1);
    const kept = { owned: [{ topicId: 'T', partitions: [0, 1] }] };
    assert.equal(beat('a', 1, kept).memberEpoch, 2);
    assert.equal(beat('a', 1, kept).memberEpoch, 2, 'the answer was lost');
    refuses(() => beat('a', 1, { owned: [{ topicId: 'T', partitions: [3] }] }), 'FENCED_MEMBER_EPOCH');
    assert.deepEqual(partitionsOf(join('a')), [0, 1], 'begins again');
  });

  it('throws out who does not give up its partitions in time', () => {
    const { join, beat, clock } = makeGroup();
    join('a');
    join('b');
    beat('a', 1);
    for (let second = 0; second < 30; second += 10) {
      beat('b', 2);
      clock.advance(10_000);
    }
    refuses(() => beat('a', 1), 'UNKNOWN_MEMBER_ID');
    assert.deepEqual(partitionsOf(beat('b', 2)), [0, 1, 2, 3]);
  });

  it('follows topics, by name and by pattern', () => {
    const { join, beat, topics, group } = makeGroup();
    join('a', { topicNames: [], topicRegex: 't.*' });
    refuses(() => join('b', { topicNames: [], topicRegex: '(' }), 'INVALID_REGULAR_EXPRESSION');
    assert.equal(group.size, 1);
    topics.push({ id: 'X', name: 'tx', partitions: 1 });
    group.topicsChanged();
    const more = beat('a', 1);
    assert.deepEqual(more.assignment?.map((one) => one.topicId).sort(), ['T', 'X']);
    topics.splice(0, 1);
    group.topicsChanged();
    const told = beat('a', more.memberEpoch);
    assert.deepEqual(told.assignment, [{ topicId: 'X', partitions: [0] }]);
    assert.deepEqual([group.subscribes('tx'), group.subscribes('u')], [true, false]);
  });

  it('assigns as most members ask it to', () => {
    const { join, group } = makeGroup();
    join('a', { assignor: 'range' });
    join('b');
    assert.equal(group.describe().assignor, 'range');
  });

  it('takes positions of members at their epoch', () => {
    const { join, group } = makeGroup();
    group.admitCommit('', -1, false);
    join('a');
    group.admitCommit('a', 1, false);
    refuses(() => group.admitCommit('a', 0, false), 'STALE_MEMBER_EPOCH');
    refuses(() => group.admitCommit('x', 1, false), 'UNKNOWN_MEMBER_ID');
    refuses(() => group.admitCommit('', -1, false), 'UNKNOWN_MEMBER_ID');
    group.admitCommit('', -1, true);
  });

  it('K5 lets a static member come back to what it had', () => {
    const { join, beat, group, clock } = makeGroup();
    const fixed = { instanceId: 'i' };
    join('a', fixed);
    refuses(() => join('b', fixed), 'UNRELEASED_INSTANCE_ID');
    assert.equal(beat('a', -2, fixed).memberEpoch, -2);
    refuses(() => beat('a', 1, fixed), 'UNKNOWN_MEMBER_ID');
    const epoch = group.epoch;
    const back = join('b', fixed);
    assert.deepEqual([back.memberEpoch, partitionsOf(back), group.epoch], [epoch, [0, 1, 2, 3], epoch]);
    refuses(() => beat('a', 1, fixed), 'FENCED_INSTANCE_ID');
    beat('b', -2, fixed);
    clock.advance(SESSION_MS);
    assert.equal(group.size, 0);
  });

  it('K2 never gives a partition to two, and ends settled, whatever its members do', () => {
    const step = fc.record({
      who: fc.nat(5),
      act: fc.constantFrom('beat', 'beat', 'beat', 'leave', 'wait', 'grow'),
    });
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const under = makeGroup(7);
      const clients = Array.from({ length: 6 }, (_, index) => new Client(`m${index}`, under));
      const beatOf = (client: Client): void => {
        try {
          client.beat();
        } catch (error) {
          assert.ok(error instanceof KafkaError);
          Object.assign(client, { epoch: 0, owned: new Set() }); // fenced: it begins again
        }
        const owned = clients.flatMap((one) => [...one.owned]);
        assert.equal(new Set(owned).size, owned.length, 'a partition has two owners');
      };
      for (const { who, act } of steps) {
        const client = clients[who]!;
        if (act === 'beat') beatOf(client);
        else if (act === 'leave' && client.epoch > 0) {
          try {
            client.leave();
          } catch {
            // was out already
          }
          Object.assign(client, { epoch: 0, owned: new Set() });
        } else if (act === 'wait') {
          under.clock.advance(5_000);
          // Clients notice by themselves that their session is over, before the server does.
          for (const one of clients) if (one !== client) beatOf(one);
        } else if (act === 'grow') {
          under.topics[0] = { ...under.topics[0]!, partitions: under.topics[0]!.partitions + 1 };
          under.group.topicsChanged();
        }
      }
      for (let round = 0; round < 10; round++) for (const client of clients) beatOf(client);
      assert.equal(under.group.consumerState, 'Stable');
      const all = clients.flatMap((one) => [...one.owned]);
      assert.equal(all.length, under.topics[0]!.partitions);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('K6 assigns much with pauses: who joins waits, others go on with what they have', async () => {
    const { send, turn, group } = makeGroup(10_000);
    const joined = { rebalanceTimeoutMs: 30_000, topicNames: ['t'], owned: [] };
    const settled: string[] = [];
    const enter = async (memberId: string): Promise<HeartbeatResult> => {
      const answer = await send(memberId, 0, joined);
      settled.push(memberId);
      return answer;
    };
    const first = enter('a');
    let pauses = 0;
    while (await turn()) pauses++;
    const all = await first;
    assert.ok(pauses >= 10, `${pauses} pauses`);
    assert.deepEqual([all.memberEpoch, partitionsOf(all)?.length], [1, 10_000]);
    const isGone = (error: unknown) => error instanceof KafkaError && error.kafkaName === 'UNKNOWN_MEMBER_ID';
    const second = assert.rejects(enter('b'), isGone);
    await turn();
    assert.equal(group.consumerState, 'Assigning');
    const meanwhile = send('a', 1);
    assert.ok(!(meanwhile instanceof Promise), 'who is in the group does not wait');
    assert.deepEqual([meanwhile.memberEpoch, meanwhile.assignment], [1, null]);
    assert.deepEqual(settled, ['a']);
    // Another comes while the assignment is made, and one goes: the next run sees it.
    const third = enter('c');
    group.expel('b', null);
    while (await turn());
    await second;
    assert.equal((await third).memberEpoch, 4);
    const kept = send('a', 1) as HeartbeatResult;
    assert.equal(partitionsOf(kept)?.length, 5_000);
    assert.equal(group.consumerState, 'Reconciling');
  });
});
