import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { memoryLogStore, memoryStateStore } from '../../adapters/memory/index.ts';
import { manualClock, seededRandom } from '../../kernel/index.ts';
import { createSchemaRegistry, createStreams, encodeBatch, type Streams } from '../../streams/index.ts';
import { type TestApi, testApi } from './api.fixture.ts';
import { schemaRegistryRoutes } from './schema-registry.ts';
import { streamRoutes } from './streams.ts';

/** A registry behind a real door, with streams beside it. */
async function start(): Promise<{ api: TestApi; streams: Streams }> {
  const clock = manualClock();
  const state = memoryStateStore({ clock });
  const streams = createStreams({ log: memoryLogStore({ clock, random: seededRandom(1) }), state, clock });
  for (const service of [state, streams.log, streams]) await service.start?.();
  const registry = createSchemaRegistry({ state, streams });
  const api = await testApi({
    groups: [streamRoutes({ streams, state, clock }), schemaRegistryRoutes({ registry })],
  });
  return { api, streams };
}

const record = (...fields: object[]) =>
  JSON.stringify({ type: 'record', name: 'User', namespace: 'shop', fields });
const NAME = { name: 'name', type: 'string' };
const AGE = { name: 'age', type: 'int', default: 0 };

describe('the schema registry over HTTP', () => {
  let api: TestApi;
  let streams: Streams;
  const call = async (method: string, path: string, body?: object) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
    const response = await api.fetch(path, { method, headers, ...init });
    const text = await response.text();
    return { status: response.status, type: response.headers.get('content-type'), body: JSON.parse(text) };
  };
  const register = async (subject: string, schema: string, more: object = {}): Promise<number> => {
    const { status, body } = await call('POST', `/subjects/${subject}/versions`, { schema, ...more });
    assert.equal(status, 200, JSON.stringify(body));
    return body.id;
  };
  const fails = async (answer: Promise<{ status: number; body: { error_code: number } }>, code: number) => {
    const { status, body } = await answer;
    assert.deepEqual([status, body.error_code], [Number(String(code).slice(0, 3)), code]);
  };
  before(async () => {
    ({ api, streams } = await start());
  });
  after(() => api[Symbol.asyncDispose]());

  it('gives one schema one id, whatever its subject and its white space', async () => {
    const id = await register('a-value', record(NAME));
    assert.equal(await register('a-value', JSON.stringify(JSON.parse(record(NAME)), null, 2)), id);
    assert.equal(await register('b-value', record(NAME)), id);
    assert.notEqual(await register('c-value', record(NAME, AGE)), id);
    assert.deepEqual((await call('GET', '/subjects')).body, ['a-value', 'b-value', 'c-value']);
    assert.deepEqual((await call('GET', '/subjects?subjectPrefix=b')).body, ['b-value']);
    const found = await call('GET', `/schemas/ids/${id}`);
    assert.deepEqual(found.body, { schema: record(NAME) });
    assert.equal(found.type, 'application/vnd.schemaregistry.v1+json');
    assert.deepEqual((await call('GET', `/schemas/ids/${id}/versions`)).body, [
      { subject: 'a-value', version: 1 },
      { subject: 'b-value', version: 1 },
    ]);
    assert.deepEqual((await call('GET', `/schemas/ids/${id}/subjects`)).body, ['a-value', 'b-value']);
    assert.deepEqual((await call('GET', `/schemas/ids/${id}/schema`)).body, JSON.parse(record(NAME)));
    const lookedUp = await call('POST', '/subjects/a-value', { schema: record(NAME) });
    assert.deepEqual(lookedUp.body, { subject: 'a-value', version: 1, id, schema: record(NAME) });
    assert.deepEqual((await call('GET', '/schemas/types')).body, ['JSON', 'PROTOBUF', 'AVRO']);
  });

  it('gives concurrent registrations of one schema one version, and of many schemas an id each', async () => {
    const same = await Promise.all(Array.from({ length: 8 }, () => register('same', record(NAME, AGE))));
    assert.equal(new Set(same).size, 1);
    assert.deepEqual((await call('GET', '/subjects/same/versions')).body, [1]);
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        register(`own-${index}`, `{"type":"fixed","name":"F${index}","size":4}`),
      ),
    );
    assert.equal(new Set(ids).size, 8);
  });

  it('checks versions under the level of the subject', async () => {
    await register('users', record(NAME));
    const incompatible = record(NAME, { name: 'age', type: 'int' });
    await fails(call('POST', '/subjects/users/versions', { schema: incompatible }), 409);
    const asked = await call('POST', '/compatibility/subjects/users/versions/latest?verbose=true', {
      schema: incompatible,
    });
    assert.equal(asked.body.is_compatible, false);
    assert.match(asked.body.messages[0], /READER_FIELD_MISSING_DEFAULT_VALUE/);
    await register('users', record(NAME, AGE));
    assert.deepEqual((await call('PUT', '/config/users', { compatibility: 'FULL_TRANSITIVE' })).body, {
      compatibility: 'FULL_TRANSITIVE',
    });
    assert.deepEqual((await call('GET', '/config/users')).body, { compatibilityLevel: 'FULL_TRANSITIVE' });
    await fails(call('POST', '/subjects/users/versions', { schema: record(AGE) }), 409);
    assert.deepEqual((await call('DELETE', '/config/users')).body, { compatibilityLevel: 'FULL_TRANSITIVE' });
    await register('users', record(AGE));
    await fails(call('GET', '/config/users'), 40408);
    assert.equal(
      (await call('GET', '/config/users?defaultToGlobal=true')).body.compatibilityLevel,
      'BACKWARD',
    );
    await call('PUT', '/config', { compatibility: 'none' });
    await register('users', '"string"');
    assert.deepEqual((await call('GET', '/subjects/users/versions')).body, [1, 2, 3, 4]);
    assert.deepEqual((await call('DELETE', '/config')).body, { compatibilityLevel: 'NONE' });
    const fits = await call('POST', '/compatibility/subjects/nobody/versions', { schema: '"int"' });
    assert.deepEqual(fits.body, { is_compatible: true });
  });

  it('deletes for now, then for good; versions are not used twice meanwhile', async () => {
    const first = await register('gone', record(NAME));
    await register('gone', record(NAME, AGE));
    assert.equal((await call('DELETE', '/subjects/gone/versions/1')).body, 1);
    await fails(call('GET', '/subjects/gone/versions/1'), 40402);
    assert.equal((await call('GET', '/subjects/gone/versions/1?deleted=true')).body.id, first);
    await fails(call('DELETE', '/subjects/gone/versions/1'), 40406);
    await fails(call('DELETE', '/subjects/gone/versions/2?permanent=true'), 40407);
    await fails(call('DELETE', '/subjects/gone?permanent=true'), 40405);
    assert.equal(await register('gone', record(NAME)), first);
    assert.deepEqual((await call('GET', '/subjects/gone/versions?deleted=true')).body, [1, 2, 3]);
    assert.deepEqual((await call('DELETE', '/subjects/gone')).body, [2, 3]);
    await fails(call('DELETE', '/subjects/gone'), 40404);
    await fails(call('GET', '/subjects/gone/versions'), 40401);
    assert.deepEqual((await call('GET', '/subjects?deletedOnly=true')).body, ['gone']);
    assert.deepEqual((await call('DELETE', '/subjects/gone?permanent=true')).body, [1, 2, 3]);
    await fails(call('GET', '/subjects/gone/versions?deleted=true'), 40401);
    assert.equal((await call('GET', `/schemas/ids/${first}`)).status, 200);
  });

  it('answers bad requests with the numbers that clients know', async () => {
    await fails(call('GET', '/subjects/nobody/versions'), 40401);
    await fails(call('GET', '/subjects/users/versions/99'), 40402);
    await fails(call('GET', '/subjects/users/versions/first'), 42202);
    await fails(call('GET', '/schemas/ids/999999'), 40403);
    await fails(call('POST', '/subjects/users', { schema: '"double"' }), 40403);
    for (const bad of [
      {},
      { schema: '' },
      { schema: '{"type":"nonsense"}' },
      { schema: '{"type":' },
      { schema: '"int"', schemaType: 'XML' },
      { schema: '{"type":"objekt"}', schemaType: 'JSON' },
      { schema: 'message A { B b = 1; }', schemaType: 'PROTOBUF' },
      { schema: '"int"', references: [{ name: 'a', subject: 'nobody', version: 1 }] },
      { schema: '"int"', ruleSet: {} },
    ])
      await fails(call('POST', '/subjects/bad/versions', bad), 42201);
    await fails(call('PUT', '/config', { compatibility: 'SOME' }), 42203);
    await fails(call('PUT', '/mode', { mode: 'SOME' }), 42204);
    const broken = await api.post('/subjects/a/versions', '{"schema"');
    assert.deepEqual([broken.status, broken.body.error_code], [400, 400]);
  });

  it('follows references, and keeps what is referred to', async () => {
    for (const [type, schema, user] of [
      ['AVRO', record(NAME), '{"type":"array","items":"shop.User"}'],
      ['JSON', '{"type":"string"}', '{"type":"object","properties":{"name":{"$ref":"it"}}}'],
      [
        'PROTOBUF',
        'syntax = "proto3"; package p; message It { int32 a = 1; }',
        'syntax = "proto3"; import "it"; message All { p.It it = 1; }',
      ],
    ] as const) {
      await register(`it-${type}`, schema, { schemaType: type });
      const references = [{ name: type === 'AVRO' ? 'shop.User' : 'it', subject: `it-${type}`, version: 1 }];
      await fails(call('POST', `/subjects/all-${type}/versions`, { schema: user, schemaType: type }), 42201);
      const id = await register(`all-${type}`, user, { schemaType: type, references });
      assert.deepEqual((await call('GET', `/schemas/ids/${id}`)).body.references, references);
      assert.deepEqual((await call('GET', `/subjects/it-${type}/versions/1/referencedby`)).body, [id]);
      await fails(call('DELETE', `/subjects/it-${type}`), 42206);
    }
  });

  it('is read-only, or takes ids as they come, where its mode says so', async () => {
    await call('PUT', '/mode/kept', { mode: 'READONLY' });
    await fails(call('POST', '/subjects/kept/versions', { schema: '"int"' }), 42205);
    await fails(call('GET', '/mode/users'), 40409);
    assert.deepEqual((await call('GET', '/mode')).body, { mode: 'READWRITE' });
    await fails(call('POST', '/subjects/users/versions', { schema: '"int"', id: 900 }), 42205);
    await call('PUT', '/mode/kept', { mode: 'IMPORT' });
    assert.equal(await register('kept', '"int"', { id: 900, version: 7 }), 900);
    await fails(call('POST', '/subjects/kept/versions', { schema: '"long"', id: 900, version: 8 }), 42205);
    assert.deepEqual((await call('DELETE', '/mode/kept')).body, { mode: 'IMPORT' });
    assert.deepEqual((await call('GET', '/subjects/kept/versions')).body, [7]);
    assert.ok((await register('later', '"bytes"')) > 900);
  });

  it('takes members in another order for the same schema, where told to normalise', async () => {
    const one = { schema: '{"type":"object","title":"A"}', schemaType: 'JSON' };
    const other = { schema: '{"title":"A","type":"object"}', schemaType: 'JSON' };
    await call('PUT', '/config/sorted', { compatibility: 'NONE', normalize: true });
    const id = await register('sorted', one.schema, one);
    assert.equal(await register('sorted', other.schema, other), id);
    assert.equal((await call('POST', '/subjects/sorted?normalize=true', other)).body.id, id);
  });

  it('shows the schema of a stream under its subject, and lets only what goes with it in', async () => {
    const schema = { type: 'object', properties: { card: { type: 'string' } }, required: ['card'] };
    const made = await api.post(
      '/streams',
      JSON.stringify({ name: 'payments', schema, compatibility: 'full' }),
    );
    assert.equal(made.status, 201);
    const latest = await call('GET', '/subjects/payments-value/versions/latest');
    assert.deepEqual(
      [latest.body.version, latest.body.schemaType, JSON.parse(latest.body.schema)],
      [1, 'JSON', schema],
    );
    assert.ok((await call('GET', '/subjects')).body.includes('payments-value'));
    assert.equal(
      (await call('GET', '/config/payments-value?defaultToGlobal=true')).body.compatibilityLevel,
      'FULL',
    );
    await fails(call('POST', '/subjects/payments-value/versions', { schema: '"string"' }), 409);
    const wider = { ...schema, properties: { ...schema.properties, note: { type: 'string' } } };
    await register('payments-value', JSON.stringify(wider), { schemaType: 'JSON' });
    await fails(call('DELETE', '/subjects/payments-value'), 42205);
    const record = await api.post('/streams/payments/records', '{"card":"x","note":1}');
    assert.equal(record.status, 200, 'what is registered changes nothing of what the stream takes');
    const value = Buffer.concat([Uint8Array.of(0, 0, 0, 0, latest.body.id), Buffer.from('{"card":"y"}')]);
    await streams.produce({
      topic: 'payments',
      partition: 0,
      batch: encodeBatch([{ value }], { timeMs: 1 }),
    });
    const { records } = (await api.get('/streams/payments/records?partition=0')).body;
    assert.deepEqual(records[1].value, { card: 'y' }, 'the frame of a serialiser is not the value');
  });
});
