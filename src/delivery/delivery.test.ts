import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryBlobStore, memoryStateStore } from '../adapters/memory/index.ts';
import { isMillraceError, manualClock } from '../kernel/index.ts';
import { artifactOf, createWorld, type World } from './fixtures.support.ts';

const world = (): Promise<World> => {
  const clock = manualClock();
  return createWorld({ clock, blobs: memoryBlobStore({ clock }), state: memoryStateStore({ clock }) });
};

const ONE = artifactOf('pay', { streams: ['payments'], functions: ['score'], code: '1;' });
const TWO = artifactOf('pay', { streams: ['payments'], functions: ['score', 'sweep'], code: '2;' });

async function errorOf(
  work: Promise<unknown>,
): Promise<{ code: string; message: string; errors: readonly unknown[] }> {
  const error = await work.then(
    () => assert.fail('it was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(isMillraceError(error), String(error));
  return error;
}

test('plan says what would change and changes nothing; deploy makes it so and writes a fact', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await delivery.start!();
  const plan = await delivery.plan(ONE.manifest);
  assert.deepEqual(
    plan.changes.map(({ resource, action }) => `${action} ${resource}`),
    ['create function/score'],
  );
  assert.deepEqual([plan.from, plan.to, plan.refused], [null, ONE.manifest.version, false]);
  assert.equal(engine.serving.size, 0);

  const deployed = await delivery.deploy(ONE, 'ann');
  assert.equal(deployed.changed, true);
  assert.equal(engine.serving.get('score'), ONE.manifest.functions[0]!.version);
  assert.deepEqual(here.facts, [
    { type: 'app.deployed', id: deployed.id, app: 'pay', from: null, to: ONE.manifest.version, by: 'ann' },
  ]);
  const { folder } = delivery.find('pay');
  assert.equal(await readFile(join(folder, 'functions/score.js'), 'utf8'), '1;');
  const require = createRequire(join(folder, 'functions/score.js'));
  assert.equal(
    require('../../../../package.json').type,
    'module',
    'Node takes the files for ES modules at once',
  );
});

test('the same version again changes nothing and is not a deployment', async () => {
  await using here = await world();
  const { delivery } = here.open();
  await delivery.deploy(ONE, 'ann');
  assert.equal((await delivery.deploy(ONE, 'ann')).changed, false);
  assert.equal((await delivery.versions('pay')).length, 1);
});

test('rollback goes to the version before, or to one that is named; the history tells it all', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await delivery.deploy(ONE, 'ann');
  here.clock.advance(1000);
  await delivery.deploy(TWO, 'bob');
  assert.deepEqual([...engine.serving.keys()], ['score', 'sweep']);
  await delivery.rollback('pay', 'ann');
  assert.deepEqual([...engine.serving.keys()], ['score']);
  await delivery.rollback('pay', 'ann', TWO.manifest.version);
  assert.deepEqual([...engine.serving.keys()], ['score', 'sweep']);
  const history = await delivery.versions('pay');
  assert.deepEqual(
    history.map(({ action, version, by, active }) => [action, version, by, active]),
    [
      ['rollback', TWO.manifest.version, 'ann', true],
      ['rollback', ONE.manifest.version, 'ann', false],
      ['deploy', TWO.manifest.version, 'bob', false],
      ['deploy', ONE.manifest.version, 'ann', false],
    ],
  );
  assert.equal(
    (await errorOf(delivery.rollback('pay', 'ann', '0000000000000000'))).code,
    'VERSION_NOT_FOUND',
  );
  assert.equal((await errorOf(delivery.rollback('absent', 'ann'))).code, 'APP_NOT_FOUND');
  await delivery.deploy(artifactOf('other', { functions: ['x'] }), 'ann');
  assert.match((await errorOf(delivery.rollback('other', 'ann'))).message, /no earlier version/);
});

test('a removed app serves nothing, keeps its history, and can come back', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await delivery.deploy(ONE, 'ann');
  await delivery.remove('pay', 'ann');
  assert.equal(engine.serving.size, 0);
  assert.deepEqual(delivery.list(), []);
  assert.deepEqual(
    (await delivery.versions('pay')).map((each) => each.action),
    ['remove', 'deploy'],
  );
  await delivery.rollback('pay', 'ann');
  assert.deepEqual([...engine.serving.keys()], ['score']);
  assert.equal((await errorOf(delivery.remove('absent', 'ann'))).code, 'APP_NOT_FOUND');
});

test('a name belongs to the app that exports it: another app is refused with the name of the owner', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await delivery.deploy(ONE, 'ann');
  const error = await errorOf(
    delivery.deploy(artifactOf('thief', { streams: ['score'], functions: ['payments'] }), 'eve'),
  );
  assert.equal(error.code, 'NAME_TAKEN');
  assert.match(error.message, /'score' belongs to the app 'pay'/);
  assert.equal(error.errors.length, 2);
  assert.deepEqual([...engine.serving.keys()], ['score']);
  await delivery.remove('pay', 'ann');
  await delivery.deploy(artifactOf('heir', { functions: ['payments'] }), 'eve');
});

test('a function of another app has to be there while it is referred to', async () => {
  await using here = await world();
  const { delivery } = here.open();
  const caller = artifactOf('caller', {
    functions: ['call'],
    references: [{ kind: 'function', name: 'score' }],
  });
  const error = await errorOf(delivery.deploy(caller, 'ann'));
  assert.equal(error.code, 'REFERENCE_MISSING');
  assert.match(error.message, /Deploy the app that exports it first/);
  await delivery.deploy(ONE, 'ann');
  await delivery.deploy(caller, 'ann');
  const needed = await errorOf(delivery.remove('pay', 'ann'));
  assert.equal(needed.code, 'DEPLOY_REFUSED');
  assert.match(needed.message, /'caller' calls the function 'score'/);
});

test('what an engine refuses is not deployed; its reasons are in the answer and what ran goes on', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await delivery.deploy(ONE, 'ann');
  engine.refuse = {
    resource: 'stream/payments',
    action: 'update',
    details: [],
    refusal: 'amount is required now.',
    code: 'SCHEMA_INCOMPATIBLE',
  };
  const error = await errorOf(delivery.deploy(TWO, 'ann'));
  assert.equal(error.code, 'SCHEMA_INCOMPATIBLE');
  assert.match(error.message, /stream\/payments: amount is required now/);
  assert.equal((await delivery.plan(TWO.manifest)).refused, true);
  assert.deepEqual([...engine.serving.keys()], ['score']);
});

test('a deployment that fails while it is prepared is undone, and told in a fact', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await delivery.deploy(ONE, 'ann');
  engine.failPrepare = new Error('no memory');
  await assert.rejects(delivery.deploy(TWO, 'ann'), /no memory/);
  assert.deepEqual([...engine.serving.keys()], ['score']);
  assert.equal(here.facts.at(-1)!.type, 'app.deploy.abandoned');
  assert.equal((await delivery.versions('pay')).length, 1);
  engine.failPrepare = undefined;
  await delivery.deploy(TWO, 'ann');
  assert.deepEqual([...engine.serving.keys()], ['score', 'sweep']);
});

test('a deployment that fails after its commit is finished by the next one', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await delivery.deploy(ONE, 'ann');
  engine.failActivate = new Error('not now');
  await assert.rejects(delivery.deploy(TWO, 'ann'), /not now/);
  engine.failActivate = undefined;
  assert.equal(
    (await delivery.deploy(TWO, 'ann')).changed,
    false,
    'it was finished, so nothing is left to do',
  );
  assert.deepEqual([...engine.serving.keys()], ['score', 'sweep']);
  assert.equal(here.facts.at(-1)!.type, 'app.deployed');
});

test('after a restart every app serves the version that was active', async () => {
  await using here = await world();
  const first = here.open();
  await first.delivery.deploy(ONE, 'ann');
  await first.delivery.deploy(TWO, 'ann');
  await first.delivery.deploy(artifactOf('gone', { functions: ['gone'] }), 'ann');
  await first.delivery.remove('gone', 'ann');
  const second = here.open();
  await second.delivery.start!();
  assert.deepEqual(second.engine.serving, first.engine.serving);
  assert.deepEqual(
    second.delivery.list().map((each) => each.app),
    ['pay'],
  );
});

test('files that a power failure emptied are laid out again from the store at the next start', async () => {
  await using here = await world();
  const first = here.open();
  await first.delivery.deploy(ONE, 'ann');
  const path = join(first.delivery.find('pay').folder, 'functions/score.js');
  await writeFile(path, '');
  const second = here.open();
  await second.delivery.start!();
  assert.equal(await readFile(path, 'utf8'), '1;');
});

test('killed at any step, a deployment is whole or not there after the next start, and can be done again', async () => {
  const outcomes = new Set<string>();
  for (let dieAt = 1; ; dieAt++) {
    await using here = await world();
    await here.open().delivery.deploy(ONE, 'ann');
    const killed = here.open(dieAt);
    const ended = await Promise.race([
      killed.died,
      killed.delivery.start!().then(() => killed.delivery.deploy(TWO, 'ann')),
    ]);
    if (ended) break;

    const next = here.open();
    await next.delivery.start!();
    const version = next.delivery.find('pay').version;
    const whole = version === TWO.manifest.version;
    assert.ok(whole || version === ONE.manifest.version);
    assert.deepEqual(
      [...next.engine.serving.keys()],
      whole ? ['score', 'sweep'] : ['score'],
      `killed at step ${dieAt}`,
    );
    assert.equal(next.engine.prepared.size, 0);
    const facts = here.facts.map((fact) => fact.type);
    assert.ok(!whole || facts.lastIndexOf('app.deployed') > 0, 'a deployment that took effect is in the log');
    outcomes.add(whole ? 'finished' : facts.includes('app.deploy.abandoned') ? 'undone' : 'not begun');

    await next.delivery.deploy(TWO, 'ann');
    assert.deepEqual([...next.engine.serving.keys()], ['score', 'sweep']);
    assert.equal(next.delivery.find('pay').version, TWO.manifest.version);
  }
  assert.deepEqual([...outcomes].sort(), ['finished', 'not begun', 'undone']);
});

test('deployments of one moment are done one after the other', async () => {
  await using here = await world();
  const { delivery } = here.open();
  const claims = ['a', 'b', 'c'].map((app) =>
    delivery.deploy(artifactOf(app, { functions: ['same'] }), 'ann'),
  );
  const results = await Promise.allSettled(claims);
  assert.deepEqual(
    results.map((each) => each.status),
    ['fulfilled', 'rejected', 'rejected'],
  );
});

test('old versions and their files are dropped; the newest twenty can be gone back to', async () => {
  await using here = await world();
  const { delivery } = here.open();
  const artifacts = Array.from({ length: 25 }, (_, index) =>
    artifactOf('pay', { functions: ['f'], code: `${index};` }),
  );
  for (const artifact of artifacts) await delivery.deploy(artifact, 'ann');
  assert.equal((await delivery.versions('pay')).length, 20);
  const folder = join(delivery.find('pay').folder, '..');
  // An instance of a function that did not change may still load from there, until the platform ends.
  await stat(join(folder, artifacts[4]!.manifest.version));
  assert.equal(
    (await errorOf(delivery.rollback('pay', 'ann', artifacts[4]!.manifest.version))).code,
    'VERSION_NOT_FOUND',
  );
  await delivery.rollback('pay', 'ann', artifacts[5]!.manifest.version);
  assert.equal(await readFile(join(delivery.find('pay').folder, 'functions/f.js'), 'utf8'), '5;');
  const next = here.open().delivery;
  await next.start!();
  assert.deepEqual(await readdir(folder), [artifacts[5]!.manifest.version]);
});

test('what comes from outside is checked: manifests, hashes, versions, paths', async () => {
  await using here = await world();
  const { delivery } = here.open();
  const refused = async (manifest: unknown, pattern: RegExp, files = ONE.files): Promise<void> => {
    const error = await errorOf(delivery.deploy({ manifest, files }, 'eve'));
    assert.equal(error.code, 'APP_INVALID');
    assert.match(JSON.stringify(error.errors), pattern);
  };
  await refused(null, /must be an object/);
  await refused({ ...ONE.manifest, version: '0123456789abcdef' }, /does not fit the content/);
  await refused({ ...ONE.manifest, app: '../up' }, /must be a name/);
  await refused({ ...ONE.manifest, app: 'millrace.x' }, /must be a name/);
  await refused(
    { ...ONE.manifest, files: [{ ...ONE.manifest.files[0], path: '../../etc/passwd' }] },
    /relative path/,
  );
  await refused(
    { ...ONE.manifest, functions: [{ ...ONE.manifest.functions[0], timeoutMs: 1e9 }] },
    /between 1 and 900000/,
  );
  await refused({ ...ONE.manifest, surprise: 1 }, /is not known/);
  await refused(
    ONE.manifest,
    /does not match its hash/,
    new Map([['functions/score.js', Buffer.from('9;')]]),
  );
  assert.deepEqual(delivery.list(), []);
});
