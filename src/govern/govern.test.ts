import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { memoryStateStore } from '../adapters/memory/index.ts';
import {
  createIds,
  type ErrorCode,
  type Guard,
  isMillraceError,
  type Json,
  manualClock,
  systemRandom,
} from '../kernel/index.ts';
import { checkDoor, createSecrets, createTokens, type DoorPlan, isLoopbackHost, SCOPES } from './index.ts';

const has = (code: ErrorCode) => (error: unknown) => isMillraceError(error, code);

function makeTokens() {
  const clock = manualClock();
  const state = memoryStateStore({ clock });
  const random = systemRandom();
  return { clock, state, ...createTokens({ state, clock, random, ids: createIds(clock, random) }) };
}

async function may(guard: Guard, token: string): Promise<string[]> {
  const principal = await guard.identify({ bearer: token, loopback: false });
  return SCOPES.filter((scope) => {
    try {
      guard.permit(principal, scope, 'stream/payments');
      return true;
    } catch (error) {
      assert.ok(has('FORBIDDEN')(error));
      return false;
    }
  });
}

describe('the guard', () => {
  it('lets programs on loopback do everything without a token', async () => {
    const { guard } = makeTokens();
    const principal = await guard.identify({ loopback: true });
    assert.equal(principal.kind, 'local');
    for (const scope of SCOPES) guard.permit(principal, scope, 'app/shop');
  });

  it('is closed to everybody else', async () => {
    const { guard } = makeTokens();
    for (const credentials of [
      {},
      { bearer: 'x' },
      { user: 'a', password: 'b' },
      { certificateFingerprint: 'f' },
    ]) {
      await assert.rejects(guard.identify({ loopback: false, ...credentials }), has('UNAUTHENTICATED'));
    }
    assert.throws(() => guard.permit({ id: 'local', kind: 'local' }, 'read', 'stream/s'), has('FORBIDDEN'));
  });

  it('grants what the scopes of a token say, and no more', async () => {
    const { guard, tokens } = makeTokens();
    const reader = await tokens.create({ name: 'reader', scopes: ['read', 'invoke'] });
    const admin = await tokens.create({ name: 'admin', scopes: ['administer'] });
    assert.deepEqual(await may(guard, reader.token), ['read', 'invoke']);
    assert.deepEqual(await may(guard, admin.token), [...SCOPES]);
  });

  it('T1 stores no token, and lists none', async () => {
    const { state, tokens } = makeTokens();
    const { token, info } = await tokens.create({ name: 'ci', scopes: ['deploy'] });
    const secret = token.split('_').at(-1)!;
    assert.ok(!JSON.stringify(await state.list('govern.tokens')).includes(secret));
    assert.deepEqual(await tokens.list(), [info]);
    assert.ok(!('sha256' in info));
  });

  it('T3 refuses a wrong token, on loopback too, though its id be right', async () => {
    const { guard, tokens } = makeTokens();
    const { token } = await tokens.create({ name: 'ci', scopes: ['read'] });
    const flipped = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A');
    for (const bearer of [flipped, '', token.slice(1), `${token} `, 'mlr__']) {
      await assert.rejects(guard.identify({ bearer, loopback: true }), has('UNAUTHENTICATED'), bearer);
    }
  });

  it('refuses a token once it is revoked or its time is over', async () => {
    const { guard, tokens, clock } = makeTokens();
    const revoked = await tokens.create({ name: 'a', scopes: ['read'] });
    const short = await tokens.create({ name: 'b', scopes: ['read'], ttlMs: 500 });
    await may(guard, revoked.token);
    await may(guard, short.token);
    await tokens.revoke(revoked.info.id);
    clock.advance(500);
    for (const { token } of [revoked, short]) {
      await assert.rejects(guard.identify({ bearer: token, loopback: false }), has('UNAUTHENTICATED'));
    }
    await assert.rejects(tokens.revoke(revoked.info.id), has('NOT_FOUND'));
  });

  it('takes a token as a password, under its name or id', async () => {
    const { guard, tokens } = makeTokens();
    const { token, info } = await tokens.create({ name: 'kafka', scopes: ['read'] });
    for (const user of ['kafka', info.id]) {
      assert.equal((await guard.identify({ user, password: token, loopback: false })).kind, 'sasl');
    }
    await assert.rejects(
      guard.identify({ user: 'x', password: token, loopback: false }),
      has('UNAUTHENTICATED'),
    );
  });

  it('refuses to make a token that means nothing, naming every problem', async () => {
    const { tokens } = makeTokens();
    await assert.rejects(tokens.create({ name: '', scopes: [], ttlMs: 0 }), (error) => {
      assert.ok(isMillraceError(error, 'INVALID_INPUT'));
      assert.deepEqual(
        error.errors.map((each) => each.path),
        ['/name', '/scopes', '/ttlMs'],
      );
      return true;
    });
  });
});

async function makeSecrets() {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-secrets-'));
  const keyPath = join(folder, 'secrets.key');
  const state = memoryStateStore({ clock: manualClock() });
  const replace = (key: string, value: Json) =>
    state.transact([{ kind: 'put', table: 'govern.secrets', key, value }]);
  const open = () => createSecrets({ state, clock: manualClock(), random: systemRandom(), keyPath });
  return { keyPath, state, replace, open, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

describe('the secrets', () => {
  it('come back, after a restart too, and nothing readable is stored', async () => {
    await using under = await makeSecrets();
    await under.open().set('CRM_KEY', 'grüner Tee');
    const again = under.open();
    assert.equal(await again.read('CRM_KEY'), 'grüner Tee');
    assert.deepEqual(await again.names(), ['CRM_KEY']);
    const stored = JSON.stringify(await under.state.list('govern.secrets'));
    assert.ok(!stored.includes('Tee') && !stored.includes(Buffer.from('grüner Tee').toString('base64')));
    await again.remove('CRM_KEY');
    await assert.rejects(again.read('CRM_KEY'), (error: Error) =>
      /millrace secret set CRM_KEY/.test(error.message),
    );
    await assert.rejects(again.remove('CRM_KEY'), has('NOT_FOUND'));
  });

  it('keep their key to the owner, and refuse one that others can read', async () => {
    await using under = await makeSecrets();
    const secrets = under.open();
    await secrets.set('A', '1');
    assert.equal((await stat(under.keyPath)).mode & 0o777, 0o600);
    await chmod(under.keyPath, 0o644);
    const reopened = under.open();
    await assert.rejects(reopened.read('A'), has('CONFIG_UNSAFE'));
    await chmod(under.keyPath, 0o600);
    assert.equal(await reopened.read('A'), '1');
  });

  it('cannot be swapped, altered or read with another key', async () => {
    await using under = await makeSecrets();
    const secrets = under.open();
    await secrets.set('A', 'one');
    await secrets.set('B', 'two');
    const { value } = (await under.state.get('govern.secrets', 'A'))!;
    await under.replace('B', value);
    await assert.rejects(secrets.read('B'), has('DATA_DAMAGED'));
    await under.replace('A', { ...(value as { readonly [field: string]: Json }), data: 'AAAA' });
    await assert.rejects(secrets.read('A'), has('DATA_DAMAGED'));
    await under.replace('A', value);
    const key = await readFile(under.keyPath, 'utf8');
    await writeFile(under.keyPath, `${'0'.repeat(64)}\n`);
    await assert.rejects(under.open().read('A'), has('DATA_DAMAGED'));
    await writeFile(under.keyPath, key);
    assert.equal(await under.open().read('A'), 'one');
  });

  it('have names that can stand in an environment', async () => {
    await using under = await makeSecrets();
    for (const name of ['', 'A-B', '1A', 'A/B', 'x'.repeat(129)]) {
      await assert.rejects(under.open().set(name, 'v'), has('INVALID_INPUT'), name);
    }
    await assert.rejects(under.open().set('A', 'x'.repeat(70_000)), has('INVALID_INPUT'));
  });
});

describe('a door', () => {
  const plan: DoorPlan = {
    door: 'api',
    host: '0.0.0.0',
    tls: false,
    tlsEndsInFront: false,
    authentication: false,
  };

  it('beyond loopback needs authentication and TLS', () => {
    assert.throws(() => checkDoor(plan), has('CONFIG_UNSAFE'));
    assert.throws(() => checkDoor({ ...plan, tls: true }), /token create/);
    assert.throws(() => checkDoor({ ...plan, authentication: true }), /api port.*--tls-certificate/);
    checkDoor({ ...plan, tls: true, authentication: true });
    checkDoor({ ...plan, tlsEndsInFront: true, authentication: true });
  });

  it('on loopback needs neither, and the edge port is public by an explicit host', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]']) checkDoor({ ...plan, host });
    checkDoor({ ...plan, door: 'edge' });
  });

  it('takes nothing else for loopback', () => {
    for (const host of [
      '0.0.0.0',
      '::',
      '10.0.0.1',
      '128.0.0.1',
      'localhost.example.org',
      '127.0.0.1.nip.io',
      '',
    ]) {
      assert.equal(isLoopbackHost(host), false, host);
    }
  });
});
