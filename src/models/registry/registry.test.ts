import assert from 'node:assert/strict';
import { it } from 'node:test';
import { castModel, linearModel, serving, testModels } from '../models.support.ts';
import { parseMetricCondition } from './search.ts';

const by = 'test';

it('gives the same content the same version, and keeps the facts it came with first', async () => {
  await using under = await testModels();
  const { models } = under;
  const bytes = linearModel([1, 2]);
  const first = await models.register('risk', { bytes, serving, by, metrics: { auc: 0.9 }, card: 'A line.' });
  const again = await models.register('risk', { bytes, serving, by: 'other', metrics: { auc: 0.1 } });
  assert.deepEqual(again, first);
  assert.match(first.version, /^[0-9a-f]{16}$/);
  const otherwise = await models.register('risk', { bytes, serving: { ...serving, missing: true }, by });
  assert.notEqual(otherwise.version, first.version, 'how rows become inputs belongs to the version');
  assert.deepEqual([first.number, otherwise.number], [1, 2]);
  assert.deepEqual(Buffer.from(await models.registry.bytes(first)), Buffer.from(bytes));
});

it('puts the first version into production, and later ones where an alias is pointed', async () => {
  await using under = await testModels();
  const { registry } = under.models;
  const one = await under.models.register('risk', { bytes: linearModel([1]), serving, by });
  const two = await under.models.register('risk', { bytes: linearModel([2]), serving, by });
  assert.equal(registry.require('risk').aliases.production, one.version);
  await registry.setAlias('risk', 'staging', { version: '2', by });
  assert.equal((await registry.version('risk', 'staging')).version, two.version);
  await registry.setAlias('risk', 'production', { version: 'staging', by, reason: 'better' });
  assert.equal((await registry.version('risk')).version, two.version);
  await registry.setAlias('risk', 'staging', { version: null, by });
  await assert.rejects(registry.version('risk', 'staging'), { code: 'VERSION_NOT_FOUND' });
  await assert.rejects(registry.remove('risk', '2', by), { code: 'CONFLICT' });
  await registry.remove('risk', '1', by);
  await assert.rejects(registry.version('risk', one.version), { code: 'VERSION_NOT_FOUND' });
  assert.deepEqual(
    (await registry.versions('risk')).map(({ number }) => number),
    [2],
  );
});

it('refuses an alias to a version whose inputs or outputs differ, unless that is meant', async () => {
  await using under = await testModels();
  const { models } = under;
  const { registry } = models;
  const one = await models.register('risk', { bytes: linearModel([1, 2]), serving, by });
  const two = await models.register('risk', { bytes: castModel(2), serving, by });
  const refused = registry.setAlias('risk', 'production', { version: two.version, by });
  await assert.rejects(refused, (error: { code: string; errors: { path: string }[] }) => {
    assert.equal(error.code, 'MODEL_INCOMPATIBLE');
    assert.deepEqual(
      error.errors.map(({ path }) => path),
      ['/outputs/y'],
    );
    return true;
  });
  assert.equal(registry.require('risk').aliases.production, one.version, 'the old version keeps serving');
  await registry.setAlias('risk', 'production', { version: two.version, by, breaking: true });
  assert.equal(registry.require('risk').aliases.production, two.version);
});

it('tells what happens as records', async () => {
  await using under = await testModels();
  const { registry } = under.models;
  const { version } = await under.models.register('risk', { bytes: linearModel([1]), serving, by });
  await registry.setAlias('risk', 'staging', { version, by });
  const { records } = await under.streams.read({ topic: 'millrace.models', partition: 0 }, 0);
  const facts = records.map(({ value }) => JSON.parse(Buffer.from(value!).toString()));
  assert.deepEqual(
    facts.map(({ type, model, alias }) => [type, model, alias]),
    [
      ['model.registered', 'risk', undefined],
      ['model.alias', 'risk', 'production'],
      ['model.alias', 'risk', 'staging'],
    ],
  );
});

it('finds versions by words, tags, metrics and model, newest first, page by page', async () => {
  await using under = await testModels();
  const { models, clock } = under;
  for (let index = 0; index < 30; index++) {
    clock.advance(1);
    const tags = { team: index % 2 === 0 ? 'fraud' : 'churn' };
    const metrics = { auc: index / 30 };
    const card = index === 7 ? 'Trained on the winter holidays.' : 'Plain.';
    await models.register(`m${index % 3}`, { bytes: linearModel([index]), serving, by, tags, metrics, card });
  }
  for (const service of [models, await under.reopen()]) {
    const { registry } = service;
    const found = await registry.search({ text: 'holid winter' });
    assert.deepEqual(
      found.versions.map(({ model, number }) => [model, number]),
      [['m1', 3]],
    );
    const page = await registry.search({
      tags: [['team', 'churn']],
      metrics: [parseMetricCondition('auc >= 0.5')],
      limit: 4,
    });
    assert.deepEqual(
      page.versions.map(({ metrics }) => Math.round(metrics.auc! * 30)),
      [29, 27, 25, 23],
    );
    const rest = await registry.search({
      tags: [['team', 'churn']],
      metrics: [parseMetricCondition('auc>=0.5')],
      after: page.next!,
    });
    assert.deepEqual(
      rest.versions.map(({ metrics }) => Math.round(metrics.auc! * 30)),
      [21, 19, 17, 15],
    );
    assert.equal(rest.next, null);
    assert.equal((await registry.search({ model: 'm2', limit: 100 })).versions.length, 10);
    assert.equal((await registry.search({ text: 'nothing' })).versions.length, 0);
  }
  await models.registry.setTags('m0', '1', { team: 'returns' });
  assert.equal((await models.registry.search({ tags: [['team', 'returns']] })).versions.length, 1);
  assert.equal((await models.registry.search({ text: 'returns' })).versions[0]!.model, 'm0');
});

it('registers the same content once, however many do so at the same time', async () => {
  await using under = await testModels();
  const bytes = linearModel([1]);
  const versions = await Promise.all(
    Array.from({ length: 8 }, () => under.models.register('risk', { bytes, serving, by })),
  );
  assert.deepEqual([...new Set(versions.map(({ number }) => number))], [1]);
  assert.equal(under.models.registry.require('risk').latest, 1);
});

it('says what cannot be a name, an alias, a reference', async () => {
  await using under = await testModels();
  const { registry } = under.models;
  const bytes = linearModel([1]);
  await assert.rejects(under.models.register('no/slash', { bytes, serving, by }), { code: 'INVALID_INPUT' });
  await assert.rejects(registry.version('nobody'), { code: 'MODEL_NOT_FOUND' });
  await under.models.register('risk', { bytes, serving, by });
  await assert.rejects(registry.version('risk', '17'), { code: 'VERSION_NOT_FOUND' });
  for (const alias of ['', 'UPPER', '0123456789abcdef', '1']) {
    await assert.rejects(registry.setAlias('risk', alias, { version: '1', by }), { code: 'INVALID_INPUT' });
  }
  assert.throws(() => parseMetricCondition('auc'), { code: 'INVALID_INPUT' });
});

it('names a file that was damaged', async () => {
  await using under = await testModels();
  const version = await under.models.register('risk', { bytes: linearModel([1]), serving, by });
  await under.blobs.put(`models/${version.sha256}`, new Uint8Array(3));
  await assert.rejects(under.models.predict('risk', [[1]]), { code: 'DATA_DAMAGED' });
  await under.models.register('risk', { bytes: linearModel([1]), serving, by });
  assert.deepEqual((await under.models.predict('risk', [[1]])).predictions, [{ y: 1 }]);
});
