import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryStateStore } from '../../adapters/memory/index.ts';
import { createAcls, createTokens } from '../../govern/index.ts';
import {
  createIds,
  type GuardAction,
  manualClock,
  type Principal,
  seededRandom,
} from '../../kernel/index.ts';
import { createAuthorizer } from './authorizer.ts';

async function makeAuthorizer() {
  const clock = manualClock();
  const random = seededRandom(1);
  const state = memoryStateStore({ clock });
  const { tokens, guard } = createTokens({ state, clock, random, ids: createIds(clock, random) });
  const acls = createAcls({ state });
  const authorize = createAuthorizer(guard, acls);
  const login = async (name: string, scopes: readonly GuardAction[]): Promise<Principal> => {
    const { token } = await tokens.create({ name, scopes });
    return guard.identify({ user: name, password: token, loopback: false });
  };
  const may = (principal: Principal, api: string, action: GuardAction, resource: string): boolean =>
    authorize({ principal, host: '10.0.0.1', api, action, resource });
  const allow = (principal: string, operation: 'read' | 'write', name: string) =>
    acls.create([
      { resource: 'topic', name, pattern: 'literal', principal, host: '*', operation, permission: 'allow' },
    ]);
  return { guard, acls, login, may, allow };
}

describe('what a Kafka client may do', () => {
  it('is everything on loopback, and what the scopes say elsewhere', async () => {
    const { guard, login, may } = await makeAuthorizer();
    const local = await guard.identify({ loopback: true });
    assert.equal(may(local, 'CreateAcls', 'administer', 'platform/kafka'), true);
    const reader = await login('reader', ['read']);
    assert.equal(may(reader, 'Fetch', 'read', 'stream/payments'), true);
    assert.equal(may(reader, 'Produce', 'write', 'stream/payments'), false);
  });

  it('is narrowed by the lists that name the principal, but not for who administers', async () => {
    const { login, may, allow } = await makeAuthorizer();
    const ann = await login('ann', ['read', 'write']);
    const bob = await login('bob', ['read', 'write']);
    const admin = await login('admin', ['administer']);
    await allow('User:ann', 'write', 'payments');
    await allow('User:admin', 'write', 'payments');
    assert.equal(may(ann, 'Produce', 'write', 'stream/payments'), true);
    assert.equal(may(ann, 'Metadata', 'read', 'stream/payments'), true, 'who may write may see it');
    assert.equal(may(ann, 'Fetch', 'read', 'stream/payments'), false);
    assert.equal(may(ann, 'JoinGroup', 'read', 'group/g'), false);
    assert.equal(may(bob, 'Fetch', 'read', 'stream/payments'), true, 'no list names him');
    assert.equal(may(admin, 'DeleteTopics', 'administer', 'stream/payments'), true);
  });

  it('is what lists do not deny on loopback, and always to change them', async () => {
    const { guard, acls, may, allow } = await makeAuthorizer();
    const local = await guard.identify({ loopback: true });
    await allow('User:*', 'write', 'payments');
    assert.equal(
      may(local, 'Fetch', 'read', 'stream/payments'),
      true,
      'what is not allowed is not denied yet',
    );
    const everybody = { principal: 'User:*', host: '*', operation: 'all', permission: 'deny' } as const;
    await acls.create([{ resource: 'topic', name: 'secret', pattern: 'literal', ...everybody }]);
    await acls.create([{ resource: 'cluster', name: 'kafka-cluster', pattern: 'literal', ...everybody }]);
    assert.equal(may(local, 'Produce', 'write', 'stream/secret'), false);
    assert.equal(may(local, 'Produce', 'write', 'stream/payments'), true);
    assert.equal(may(local, 'DeleteAcls', 'administer', 'platform/kafka'), true);
  });

  it('is never more than the scopes allow', async () => {
    const { login, may, allow } = await makeAuthorizer();
    const ann = await login('ann', ['read']);
    await allow('User:ann', 'write', 'payments');
    assert.equal(may(ann, 'Produce', 'write', 'stream/payments'), false);
  });
});
