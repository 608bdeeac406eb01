import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryStateStore } from '../adapters/memory/index.ts';
import { manualClock } from '../kernel/index.ts';
import { type AclBinding, type AclOperation, type AclQuestion, createAcls } from './index.ts';

const binding = (change: Partial<AclBinding> = {}): AclBinding => ({
  ...{ resource: 'topic', name: 'payments', pattern: 'literal', principal: 'User:ann', host: '*' },
  ...{ operation: 'read', permission: 'allow' },
  ...change,
});

async function makeAcls(...bindings: readonly AclBinding[]) {
  const state = memoryStateStore({ clock: manualClock() });
  const acls = createAcls({ state });
  await acls.create(bindings);
  const decide = (operation: AclOperation, change: Partial<AclQuestion> = {}) =>
    acls.decide({
      ...{ principal: 'User:ann', host: '10.0.0.1', resource: 'topic', name: 'payments', operation },
      ...change,
    });
  return { state, acls, decide };
}

describe('access control lists', () => {
  it('A1 allow what they say, and nothing else to whom they name', async () => {
    const { decide } = await makeAcls(binding());
    assert.equal(decide('read'), 'allow');
    assert.equal(decide('describe'), 'allow', 'included in reading');
    assert.equal(decide('write'), 'deny');
    assert.equal(decide('read', { name: 'other' }), 'deny');
    assert.equal(decide('read', { resource: 'group' }), 'deny');
  });

  it('A2 have no say about whom they do not name', async () => {
    const { decide, acls } = await makeAcls(binding());
    assert.equal(decide('write', { principal: 'User:bob' }), undefined);
    await acls.create([binding({ principal: 'User:*', permission: 'deny', operation: 'delete' })]);
    assert.equal(decide('delete', { principal: 'User:bob' }), 'deny');
  });

  it('deny before they allow', async () => {
    const { decide } = await makeAcls(
      binding({ operation: 'all', name: '*' }),
      binding({ operation: 'write', permission: 'deny', host: '10.0.0.1' }),
      binding({ operation: 'read', permission: 'deny', name: 'secret.', pattern: 'prefixed' }),
    );
    assert.equal(decide('write'), 'deny');
    assert.equal(decide('write', { host: '10.0.0.2' }), 'allow');
    assert.equal(decide('read'), 'allow');
    assert.equal(decide('read', { name: 'secret.plan' }), 'deny');
    assert.equal(decide('describe', { name: 'secret.plan' }), 'allow', 'what is denied is reading');
  });

  it('are found by filters, and removed', async () => {
    const literal = binding();
    const prefixed = binding({ name: 'pay', pattern: 'prefixed', operation: 'write' });
    const everything = binding({ name: '*', principal: 'User:bob' });
    const { acls } = await makeAcls(literal, prefixed, everything, literal);
    assert.equal(acls.list().length, 3);
    assert.deepEqual(acls.list({ pattern: 'match', name: 'payments' }), [literal, prefixed, everything]);
    assert.deepEqual(acls.list({ pattern: 'literal', name: 'payments' }), [literal]);
    assert.deepEqual(acls.list({ principal: 'User:bob' }), [everything]);
    assert.deepEqual(await acls.remove({ operation: 'write' }), [prefixed]);
    assert.deepEqual(await acls.remove({ operation: 'write' }), []);
    assert.equal(acls.list().length, 2);
  });

  it('are there again after a restart', async () => {
    const { state, acls } = await makeAcls(binding(), binding({ operation: 'write' }));
    await acls.remove({ operation: 'write' });
    const again = createAcls({ state });
    await again.start();
    assert.deepEqual(again.list(), [binding()]);
  });
});
