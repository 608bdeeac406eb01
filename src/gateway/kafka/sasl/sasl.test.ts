import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, it } from 'node:test';
import { manualClock } from '../../../kernel/index.ts';
import {
  AlterClientQuotas,
  AlterUserScramCredentials,
  ApiVersions,
  DescribeClientQuotas,
  DescribeUserScramCredentials,
  Fetch,
  NO_UUID,
  SaslAuthenticate,
  SaslHandshake,
} from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS } from '../errors.ts';
import { batchOf, produce, type TestClient, testKafka, tokensInMemory } from '../kafka.fixture.ts';

/** A door that strangers reach: bound beyond loopback, so that everybody has to authenticate. */
async function guarded() {
  const credentials = tokensInMemory(manualClock());
  const kafka = await testKafka({ host: '0.0.0.0', guard: credentials.guard, scram: credentials.scram });
  await kafka.streams.define({ name: 's' });
  return Object.assign(kafka, { credentials });
}

const say = (client: TestClient, text: string | Uint8Array, version = 2) =>
  client.call(SaslAuthenticate, version, { authBytes: Buffer.from(text) });

async function plain(client: TestClient, user: string, password: string) {
  const { errorCode } = await client.call(SaslHandshake, 1, { mechanism: 'PLAIN' });
  assert.equal(errorCode, 0);
  return say(client, `\0${user}\0${password}`);
}

/** The client's side of RFC 5802. */
async function scram(
  client: TestClient,
  user: string,
  password: string,
  hash: 'sha256' | 'sha512' = 'sha256',
) {
  const mechanism = hash === 'sha256' ? 'SCRAM-SHA-256' : 'SCRAM-SHA-512';
  await client.call(SaslHandshake, 1, { mechanism });
  const first = `n=${user},r=clientnonce`;
  const challenge = await say(client, `n,,${first}`);
  if (challenge.errorCode !== 0) return { ...challenge, verified: false };
  const serverFirst = Buffer.from(challenge.authBytes).toString();
  const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst)!;
  const salted = pbkdf2Sync(
    password,
    Buffer.from(salt!, 'base64'),
    Number(iterations),
    hash === 'sha256' ? 32 : 64,
    hash,
  );
  const hmac = (key: Uint8Array, text: string) => createHmac(hash, key).update(text).digest();
  const clientKey = hmac(salted, 'Client Key');
  const last = `c=biws,r=${nonce}`;
  const message = `${first},${serverFirst},${last}`;
  const signature = hmac(createHash(hash).update(clientKey).digest(), message);
  const proof = clientKey.map((byte, index) => byte ^ signature[index]!);
  const answer = await say(client, `${last},p=${Buffer.from(proof).toString('base64')}`);
  const expected = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`;
  return { ...answer, verified: Buffer.from(answer.authBytes).toString() === expected };
}

const saltedPassword = (password: string, hash: 'sha256' | 'sha512', iterations = 4096) => {
  const salt = Buffer.from('some salt');
  const size = hash === 'sha256' ? 32 : 64;
  return { salt, iterations, saltedPassword: pbkdf2Sync(password, salt, iterations, size, hash) };
};

describe('authentication of Kafka clients', () => {
  it('is asked of everybody beyond loopback, before anything but which versions there are', async () => {
    await using kafka = await guarded();
    const stranger = kafka.client();
    const { errorCode } = await stranger.call(ApiVersions, 3, {
      clientSoftwareName: 'a',
      clientSoftwareVersion: '1',
    });
    assert.equal(errorCode, 0);
    await assert.rejects(produce(stranger, 's', batchOf(['a'])), /has ended/);
    const talkative = kafka.client();
    talkative.socket.write(Buffer.from('00100000', 'hex'));
    await talkative.ended;
  });

  it('takes a token as the password', async () => {
    await using kafka = await guarded();
    const { token } = await kafka.credentials.tokens.create({ name: 'shop', scopes: ['write'] });
    const client = kafka.client();
    assert.equal((await plain(client, 'shop', token)).errorCode, 0);
    assert.equal((await produce(client, 's', batchOf(['a']))).errorCode, 0);
    const { responses } = await client.call(Fetch, 11, {
      ...{ maxWaitMs: 0, minBytes: 1, forgottenTopicsData: [] },
      topics: [
        {
          topic: 's',
          topicId: NO_UUID,
          partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }],
        },
      ],
    });
    assert.equal(
      responses[0]!.partitions[0]!.errorCode,
      KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED,
      'it may only write',
    );
  });

  it('tells who is wrong that it failed, and ends the connection', async () => {
    await using kafka = await guarded();
    const { token } = await kafka.credentials.tokens.create({ name: 'shop', scopes: ['write'] });
    for (const [user, password] of [
      ['shop', 'wrong'],
      ['other', token],
      ['', token],
      ['shop', ''],
    ] as const) {
      const client = kafka.client();
      assert.equal((await plain(client, user, password)).errorCode, KAFKA_ERRORS.SASL_AUTHENTICATION_FAILED);
      await client.ended;
    }
    const other = kafka.client();
    const { errorCode, mechanisms } = await other.call(SaslHandshake, 1, { mechanism: 'GSSAPI' });
    assert.equal(errorCode, KAFKA_ERRORS.UNSUPPORTED_SASL_MECHANISM);
    assert.deepEqual(mechanisms, ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']);
    const early = kafka.client();
    assert.equal((await say(early, 'hello')).errorCode, KAFKA_ERRORS.ILLEGAL_SASL_STATE);
  });

  it('ends with the token, and can be done anew before that', async () => {
    const clock = manualClock();
    const { tokens, guard, scram: users } = tokensInMemory(clock);
    await using kafka = await testKafka({ host: '0.0.0.0', guard, scram: users, clock });
    await kafka.streams.define({ name: 's' });
    const { token, info } = await tokens.create({ name: 'shop', scopes: ['write'], ttlMs: 60_000 });
    const client = kafka.client();
    assert.equal((await plain(client, 'shop', token)).sessionLifetimeMs, 60_000);
    clock.advance(30_000);
    assert.equal((await plain(client, 'shop', token)).sessionLifetimeMs, 30_000);
    assert.equal((await produce(client, 's', batchOf(['a']))).errorCode, 0);
    clock.advance(30_000);
    await assert.rejects(produce(client, 's', batchOf(['a'])), /has ended/);
    const long = await tokens.create({ name: 'long', scopes: ['write'] });
    const other = kafka.client();
    assert.equal((await plain(other, 'long', long.token)).sessionLifetimeMs, 3_600_000);
    await tokens.revoke(long.info.id);
    assert.equal(
      (await produce(other, 's', batchOf(['a']))).errorCode,
      KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED,
    );
    assert.notEqual(info.id, long.info.id);
  });

  it('works by SCRAM, whose passwords an administrator sets', async () => {
    await using kafka = await guarded();
    const { token } = await kafka.credentials.tokens.create({ name: 'root', scopes: ['administer'] });
    const admin = kafka.client();
    await plain(admin, 'root', token);
    const set = (name: string, mechanism: number, rest: ReturnType<typeof saltedPassword>) =>
      admin.call(AlterUserScramCredentials, 0, { deletions: [], upsertions: [{ name, mechanism, ...rest }] });
    for (const [code, hash] of [
      [1, 'sha256'],
      [2, 'sha512'],
    ] as const) {
      assert.equal((await set('ann', code, saltedPassword('secret', hash))).results[0]!.errorCode, 0);
      const client = kafka.client();
      const { errorCode, verified } = await scram(client, 'ann', 'secret', hash);
      assert.deepEqual([errorCode, verified], [0, true]);
      assert.equal((await produce(client, 's', batchOf(['a']))).errorCode, 0);
      assert.equal(
        (await scram(kafka.client(), 'ann', 'wrong', hash)).errorCode,
        KAFKA_ERRORS.SASL_AUTHENTICATION_FAILED,
      );
      assert.equal(
        (await scram(kafka.client(), 'bob', 'secret', hash)).errorCode,
        KAFKA_ERRORS.SASL_AUTHENTICATION_FAILED,
      );
    }
    const weak = await set('ann', 1, saltedPassword('secret', 'sha256', 100));
    assert.equal(weak.results[0]!.errorCode, KAFKA_ERRORS.UNACCEPTABLE_CREDENTIAL);
    const described = await admin.call(DescribeUserScramCredentials, 0, { users: null });
    assert.deepEqual(
      described.results.map(({ user, credentialInfos }) => [user, credentialInfos.length]),
      [['ann', 2]],
    );
    const removed = await admin.call(AlterUserScramCredentials, 0, {
      deletions: [
        { name: 'ann', mechanism: 1 },
        { name: 'bob', mechanism: 1 },
      ],
      upsertions: [],
    });
    assert.deepEqual(
      removed.results.map(({ errorCode }) => errorCode),
      [0, KAFKA_ERRORS.RESOURCE_NOT_FOUND],
    );
    assert.equal(
      (await scram(kafka.client(), 'ann', 'secret')).errorCode,
      KAFKA_ERRORS.SASL_AUTHENTICATION_FAILED,
    );
    const user = kafka.client();
    await scram(user, 'ann', 'secret', 'sha512');
    const refused = await user.call(AlterUserScramCredentials, 0, {
      deletions: [{ name: 'ann', mechanism: 2 }],
      upsertions: [],
    });
    assert.equal(refused.results[0]!.errorCode, KAFKA_ERRORS.CLUSTER_AUTHORIZATION_FAILED);
  });

  it('refuses every malformed message of SCRAM', async () => {
    await using kafka = await guarded();
    for (const text of [
      '',
      'n,,',
      'n,,n=,r=x',
      'n,,n=a',
      'p=tls-unique,,n=a,r=x',
      'n,a=other,n=ann,r=x',
      'y,,r=x,n=a',
      '\0',
    ]) {
      const client = kafka.client();
      await client.call(SaslHandshake, 1, { mechanism: 'SCRAM-SHA-256' });
      assert.equal((await say(client, text)).errorCode, KAFKA_ERRORS.SASL_AUTHENTICATION_FAILED, text);
    }
    for (const text of ['', 'c=biws', 'c=biws,r=other,p=AAAA', 'c=,r=x,p=', 'c=biws,r=x']) {
      const client = kafka.client();
      await client.call(SaslHandshake, 1, { mechanism: 'SCRAM-SHA-256' });
      await say(client, 'n,,n=ann,r=x');
      assert.equal((await say(client, text)).errorCode, KAFKA_ERRORS.SASL_AUTHENTICATION_FAILED, text);
    }
  });
});

describe('quotas of Kafka clients', () => {
  it('are told as time to be quiet, and kept', async () => {
    await using kafka = await testKafka();
    await kafka.streams.define({ name: 's' });
    const admin = kafka.client('admin');
    const alter = (clientId: string | null, key: string, value: number, remove = false) =>
      admin.call(AlterClientQuotas, 1, {
        validateOnly: false,
        entries: [
          { entity: [{ entityType: 'client-id', entityName: clientId }], ops: [{ key, value, remove }] },
        ],
      });
    assert.equal((await alter('slow', 'producer_byte_rate', 1000)).entries[0]!.errorCode, 0);
    for (const [key, value] of [
      ['producer_byte_rate', 0],
      ['request_percentage', 5],
      ['x', 1],
    ] as const) {
      assert.equal((await alter('slow', key, value)).entries[0]!.errorCode, KAFKA_ERRORS.INVALID_REQUEST);
    }
    const slow = kafka.client('slow');
    const batch = () => batchOf(['x'.repeat(1500)]);
    await produce(slow, 's', batch());
    let answered = false;
    const next = produce(slow, 's', batch()).then((answer) => {
      answered = true;
      return answer;
    });
    assert.equal((await produce(kafka.client('fast'), 's', batch())).errorCode, 0, 'nobody else waits');
    assert.equal(answered, false);
    kafka.clock.advance(1000);
    assert.equal((await next).errorCode, 0);

    const { entries } = await admin.call(DescribeClientQuotas, 1, {
      components: [{ entityType: 'client-id', matchType: 0, match: 'slow' }],
      strict: true,
    });
    assert.deepEqual(entries![0]!.values, [{ key: 'producer_byte_rate', value: 1000 }]);
    await alter('slow', 'producer_byte_rate', 0, true);
    const none = await admin.call(DescribeClientQuotas, 1, { components: [], strict: false });
    assert.deepEqual(none.entries, []);
  });
});
