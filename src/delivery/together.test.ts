import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryBlobStore, memoryStateStore } from '../adapters/memory/index.ts';
import { manualClock } from '../kernel/index.ts';
import { artifactOf, createWorld, type World } from './fixtures.support.ts';

const world = (): Promise<World> => {
  const clock = manualClock();
  return createWorld({ clock, blobs: memoryBlobStore({ clock }), state: memoryStateStore({ clock }) });
};

/** Two apps that cannot be deployed one after the other: each calls a function of the other. */
const pair = (code: string) => [
  artifactOf('ping', { functions: ['ping'], references: [{ kind: 'function', name: 'pong' }], code }),
  artifactOf('pong', { functions: ['pong'], references: [{ kind: 'function', name: 'ping' }], code }),
];

test('apps that refer to each other are deployed as one', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  await assert.rejects(delivery.deploy(pair('1;')[0]!, 'ann'), { code: 'REFERENCE_MISSING' });
  const done = await delivery.deployTogether(pair('1;'), 'ann');
  assert.deepEqual(
    done.map(({ app, changed }) => [app, changed]),
    [
      ['ping', true],
      ['pong', true],
    ],
  );
  assert.deepEqual([...engine.serving.keys()], ['ping', 'pong']);
  assert.deepEqual(
    here.facts.map((fact) => fact.app),
    ['ping', 'pong'],
  );
  const again = await delivery.deployTogether(pair('1;'), 'ann');
  assert.deepEqual(
    again.map((each) => each.changed),
    [false, false],
  );
});

test('when one is refused, none is deployed', async () => {
  await using here = await world();
  const { delivery, engine } = here.open();
  const thief = artifactOf('thief', { functions: ['ping'] });
  await assert.rejects(delivery.deployTogether([...pair('1;'), thief], 'ann'), { code: 'NAME_TAKEN' });
  await assert.rejects(delivery.deployTogether([thief, thief], 'ann'), { code: 'BAD_REQUEST' });
  assert.equal(engine.serving.size, 0);
  assert.deepEqual(delivery.list(), []);
});

test('killed at any step, either both are as they were or both are new', async () => {
  const outcomes = new Set<string>();
  for (let dieAt = 1; ; dieAt++) {
    await using here = await world();
    const [one, two] = [pair('1;'), pair('2;')];
    await here.open().delivery.deployTogether(one, 'ann');
    const killed = here.open(dieAt);
    const work = killed.delivery.start!().then(() => killed.delivery.deployTogether(two, 'ann'));
    if (await Promise.race([killed.died, work])) break;

    const next = here.open();
    await next.delivery.start!();
    const versions = next.delivery.list().map((each) => each.version);
    const whole = versions[0] === two[0]!.manifest.version;
    const expected = whole ? two : one;
    assert.deepEqual(
      versions,
      expected.map((each) => each.manifest.version),
      `killed at step ${dieAt}`,
    );
    const serving = expected.map(({ manifest: { functions } }) => functions[0]!.version);
    assert.deepEqual([...next.engine.serving.values()], serving);
    outcomes.add(whole ? 'new' : 'old');
  }
  assert.deepEqual([...outcomes].sort(), ['new', 'old']);
});
