import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { MillraceError, manualClock, onSignal } from '../../kernel/index.ts';
import {
  ApiVersions,
  FindCoordinator,
  Heartbeat,
  type RequestOf,
  type ResponseOf,
} from '../../streams/kafka-protocol/index.ts';
import { createKafkaDoor, type KafkaDoor, parseAdvertised } from './door.ts';
import { KafkaError } from './errors.ts';
import type { Handler } from './handler.ts';
import { OPEN_GUARD, type TestClient, testClient, tokensInMemory } from './kafka.fixture.ts';
import { createHandlerRegistry } from './registry.ts';

const parts = { ...tokensInMemory(), guard: OPEN_GUARD };

const heartbeat = (groupId: string) => ({ groupId, generationId: 1, memberId: 'm' });

describe('the Kafka door', () => {
  const clock = manualClock();
  const started: string[] = [];
  const held = new Map<string, () => void>();
  /** Answers at once, when it is let go, or never, by the name of the group. */
  const handler: Handler<typeof Heartbeat> = {
    api: Heartbeat,
    handle({ groupId }: RequestOf<typeof Heartbeat>, { proceed, signal }) {
      started.push(groupId);
      const answer: ResponseOf<typeof Heartbeat> = { errorCode: 0 };
      if (groupId.startsWith('refused')) throw new KafkaError('UNKNOWN_MEMBER_ID');
      if (groupId.startsWith('broken')) throw new Error('broken on purpose');
      if (!groupId.startsWith('held')) return answer;
      if (groupId.startsWith('held and proceeded')) proceed();
      return new Promise((resolve) => {
        held.set(groupId, () => resolve(answer));
        signal.addEventListener('abort', () => resolve(answer));
      });
    },
  };
  let door: KafkaDoor;
  let client: TestClient;

  before(async () => {
    door = createKafkaDoor({
      host: '127.0.0.1',
      port: 0,
      clock,
      ...parts,
      registry: createHandlerRegistry([handler]),
      limits: { requestBytes: 10_000, requestsInFlightBytes: 20_000, queuedRequests: 5 },
    });
    await door.start();
    client = testClient(door.address);
  });
  after(() => {
    client.close();
    return door.stop(AbortSignal.timeout(1000));
  });

  it('tells which versions it serves', async () => {
    const { apiKeys } = await client.call(ApiVersions, 3, {
      clientSoftwareName: 'a',
      clientSoftwareVersion: '1',
    });
    assert.deepEqual(apiKeys, [
      { apiKey: 12, minVersion: 0, maxVersion: 4 },
      { apiKey: 18, minVersion: 0, maxVersion: 4 },
    ]);
  });

  it('tells a client from the future in the oldest version, which it can read', async () => {
    const frame = Buffer.from('00000010001200ff000000070002696400000000', 'hex');
    const future = connect(Number(door.address.split(':')[1]));
    future.write(frame);
    const [answer] = (await once(future, 'data')) as [Buffer];
    assert.equal(answer.readInt32BE(4), 7, 'correlation id');
    assert.equal(answer.readInt16BE(8), 35, 'UNSUPPORTED_VERSION');
    assert.equal(answer.readInt32BE(10), 2, 'and the list');
    future.destroy();
  });

  it('answers in the order of the requests, and begins the next when one proceeds', async () => {
    started.length = 0;
    const answers: string[] = [];
    const calls = ['held and proceeded', 'held', 'after'].map(async (group) => {
      await client.call(Heartbeat, 0, heartbeat(group));
      answers.push(group);
    });
    await until(() => held.has('held'));
    assert.deepEqual(started, ['held and proceeded', 'held'], 'what follows one that holds waits');
    held.get('held')!();
    await until(() => started.length === 3);
    assert.deepEqual(answers, [], 'nothing overtakes the first');
    held.get('held and proceeded')!();
    await Promise.all(calls);
    assert.deepEqual(answers, ['held and proceeded', 'held', 'after']);
  });

  it('tells what it served', async () => {
    const served: string[] = [];
    const stop = onSignal('kafka.served', ({ api, bytes }) => served.push(`${api} ${bytes}`));
    await client.call(Heartbeat, 0, heartbeat('told'));
    stop();
    assert.deepEqual(served, ['Heartbeat 10']);
  });

  it('answers with the code of an error where the API has a place for it', async () => {
    const { errorCode } = await client.call(Heartbeat, 4, heartbeat('refused'));
    assert.equal(errorCode, 25);
  });

  it('ends only the connection that sends what is no request', async () => {
    const frames = {
      'a size that is negative': 'ffffffff',
      'a size beyond the bound': '00002711',
      'an API that does not exist': `0000000a${'7fff0000'}00000000${'ffff'}`,
      'a version that is not served': `0000000a${'000c0009'}00000000${'ffff'}`,
      'a message that ends too early': `0000000a${'000c0000'}00000000${'ffff'}`,
      HTTP: Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex'),
    };
    for (const [what, frame] of Object.entries(frames)) {
      const other = testClient(door.address);
      other.socket.write(Buffer.from(frame, 'hex'));
      await other.ended;
      assert.ok(what);
    }
    const broken = testClient(door.address);
    await assert.rejects(broken.call(Heartbeat, 0, heartbeat('broken')), /has ended/);
    assert.equal((await client.call(Heartbeat, 0, heartbeat('fine'))).errorCode, 0);
  });

  it('reads no more than its bound of requests in flight, and goes on when they are answered', async () => {
    started.length = 0;
    const many = testClient(door.address);
    const calls = Array.from({ length: 40 }, (_, index) =>
      many.call(Heartbeat, 0, heartbeat(`${index === 0 ? 'held' : 'x'.repeat(3000)}${index}`)),
    );
    await until(() => started.length === 1);
    const other = testClient(door.address);
    const waits = other.call(Heartbeat, 0, heartbeat('y'.repeat(9000)));
    held.get('held0')!();
    await Promise.all([...calls, waits]);
    assert.equal(started.length, 41);
    many.close();
    other.close();
  });

  it('reads no more of a connection than its bound of what is not answered, and goes on when it is', async () => {
    started.length = 0;
    const limits = { unansweredBytes: 8000 };
    const registry = createHandlerRegistry([handler]);
    const narrow = createKafkaDoor({ host: '127.0.0.1', port: 0, clock, ...parts, registry, limits });
    await narrow.start();
    const [many, other] = [testClient(narrow.address), testClient(narrow.address)];
    const groups = Array.from({ length: 6 }, (_, index) => `held and proceeded ${index}${'x'.repeat(3000)}`);
    const calls = groups.map((group) => many.call(Heartbeat, 0, heartbeat(group)));
    await until(() => started.length === 3);
    for (let round = 0; round < 20; round++) await other.call(Heartbeat, 0, heartbeat('meanwhile'));
    const begun = () => started.filter((group) => group.startsWith('held')).length;
    assert.equal(begun(), 3, 'the third passes the bound');
    for (const [index, group] of groups.entries()) {
      await until(() => held.has(group));
      held.get(group)!();
      await until(() => begun() >= Math.min(groups.length, index + 4));
    }
    await Promise.all(calls);
    many.close();
    other.close();
    await narrow.stop(AbortSignal.timeout(1000));
  });

  it('gives back what a connection held that ended in the middle', async () => {
    for (let round = 0; round < 5; round++) {
      const broken = testClient(door.address);
      await broken.call(Heartbeat, 0, heartbeat('z'));
      broken.socket.write(Buffer.concat([Buffer.from('00002000', 'hex'), Buffer.alloc(100)]));
      // An answer to another client: by then the server has read what was sent before.
      await client.call(Heartbeat, 0, heartbeat('z'));
      broken.close();
      await broken.ended;
    }
    assert.equal((await client.call(Heartbeat, 0, heartbeat('y'.repeat(9000)))).errorCode, 0);
  });

  it('ends connections that stop in the middle of a request, and later those that say nothing', async () => {
    const stalled = testClient(door.address);
    const silent = testClient(door.address);
    await silent.call(Heartbeat, 0, heartbeat('a'));
    await stalled.call(Heartbeat, 0, heartbeat('a'));
    stalled.socket.write(Buffer.from('0000', 'hex'));
    await client.call(Heartbeat, 0, heartbeat('b'));
    clock.advance(40_000);
    await stalled.ended;
    assert.equal((await silent.call(Heartbeat, 0, heartbeat('c'))).errorCode, 0);
    clock.advance(700_000);
    await Promise.all([silent.ended, client.ended]);
    client = testClient(door.address);
  });

  it('stops in order: what waits is answered, then the connection ends', async () => {
    const other = createKafkaDoor({
      ...{ host: '127.0.0.1', port: 0, clock, ...parts },
      registry: createHandlerRegistry([handler]),
    });
    await other.start();
    const waiting = testClient(other.address);
    started.length = 0;
    const answer = waiting.call(Heartbeat, 0, heartbeat('held until the stop'));
    await until(() => started.length === 1);
    await other.stop(AbortSignal.timeout(5000));
    assert.equal((await answer).errorCode, 0);
    await waiting.ended;
  });

  it('refuses two handlers of one API', () => {
    assert.throws(() => createHandlerRegistry([handler, handler]), /Two handlers/);
  });

  it('takes an advertised address with a port, and nothing else', () => {
    assert.deepEqual(parseAdvertised('streams.example.com:9092'), {
      host: 'streams.example.com',
      port: 9092,
    });
    assert.deepEqual(parseAdvertised('[::1]:1'), { host: '::1', port: 1 });
    for (const text of ['host', 'host:', 'host:0', 'host:65536', '::1:9092', 'a b:1', 'http://host:1']) {
      assert.throws(() => parseAdvertised(text), MillraceError, text);
    }
  });

  it('serves only what it has', async () => {
    await assert.rejects(client.call(FindCoordinator, 0, { key: 'a', coordinatorKeys: [] }), /has ended/);
    client = testClient(door.address);
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < 10_000, 'it never came to be');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
