import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testApi } from './api.fixture.ts';

const EVENT = {
  specversion: '1.0',
  id: 'e1',
  source: '/shop',
  type: 'order.made',
  time: '2026-01-01T00:00:00Z',
};
const path = '/streams/orders/records';

async function withOrders() {
  const api = await testApi();
  await api.streams.define({ name: 'orders' });
  return api;
}

describe('CloudEvents', () => {
  it('in structured mode come back as value and headers', async () => {
    await using api = await withOrders();
    const body = JSON.stringify({ ...EVENT, partitionkey: 'customer-7', data: { total: 5 } });
    const answer = await api.post(path, body, {
      'content-type': 'application/cloudevents+json; charset=utf-8',
    });
    assert.deepEqual(answer.body, { records: 1, partition: 0, offset: 0 });
    const [record] = (await api.get(path)).body.records;
    assert.deepEqual([record.key, record.value], ['customer-7', { total: 5 }]);
    assert.deepEqual(record.headers, {
      ce_specversion: '1.0',
      ce_id: 'e1',
      ce_source: '/shop',
      ce_type: 'order.made',
      ce_time: '2026-01-01T00:00:00Z',
      ce_partitionkey: 'customer-7',
      'content-type': 'application/json',
    });
  });

  it('in binary mode keep the body and decode the attributes', async () => {
    await using api = await withOrders();
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': 'e1',
      'ce-source': '/shop',
      'ce-type': 'order.made',
      'ce-subject': 'caf%C3%A9%20%22au%22',
    };
    await api.post(path, '{"total":5}', headers);
    await api.post(path, new Uint8Array([0xff, 0xd8]), { ...headers, 'content-type': 'image/jpeg' });
    const [json, image] = (await api.get(path)).body.records;
    assert.deepEqual([json.value, json.headers.ce_subject], [{ total: 5 }, 'café "au"']);
    assert.deepEqual([image.valueBase64, image.headers['content-type']], ['/9g=', 'image/jpeg']);
  });

  it('in batches come with the place of each', async () => {
    await using api = await withOrders();
    const batch = [
      { ...EVENT, data: 1 },
      { ...EVENT, id: 'e2', datacontenttype: 'text/plain', data: 'hello' },
      { ...EVENT, id: 'e3', data_base64: '/9g=' },
    ];
    const type = { 'content-type': 'application/cloudevents-batch+json' };
    const answer = await api.post(path, JSON.stringify(batch), type);
    assert.deepEqual(answer.body, { records: 3, partitions: [0, 0, 0], offsets: [0, 1, 2] });
    const { records } = (await api.get(path)).body;
    assert.equal(records[0].value, 1);
    assert.equal(Buffer.from(records[1].valueBase64, 'base64').toString(), 'hello');
    assert.equal(records[2].valueBase64, '/9g=');
    assert.equal((await api.post(path, '[]', type)).body.records, 0);
  });

  it('that are not whole are refused with the path of every problem', async () => {
    await using api = await withOrders();
    const structured = { 'content-type': 'application/cloudevents+json' };
    const batched = { 'content-type': 'application/cloudevents-batch+json' };
    const cases: [string, Record<string, string>, string[]][] = [
      ['{"specversion":"1.0"}', structured, ['/id', '/source', '/type']],
      [JSON.stringify({ ...EVENT, specversion: '0.3' }), structured, ['/specversion']],
      [JSON.stringify({ ...EVENT, Bad_Name: 1 }), structured, ['/Bad_Name']],
      [JSON.stringify({ ...EVENT, thing: {} }), structured, ['/thing']],
      [JSON.stringify({ ...EVENT, data: 1, data_base64: 'AA==' }), structured, ['']],
      [JSON.stringify({ ...EVENT, data_base64: '?' }), structured, ['/data_base64']],
      [JSON.stringify([EVENT, { ...EVENT, id: '' }, 3]), batched, ['/1/id', '/2']],
      ['{}', { 'ce-specversion': '1.0', 'ce-id': 'a' }, ['/source', '/type']],
    ];
    for (const [body, headers, paths] of cases) {
      const answer = await api.post(path, body, headers);
      assert.deepEqual([answer.status, answer.body.code], [422, 'INVALID_INPUT'], body);
      assert.deepEqual(
        answer.body.errors.map((each: { path: string }) => each.path),
        paths,
      );
    }
    assert.equal((await api.post(path, '{', structured)).body.code, 'BAD_JSON');
    assert.equal((await api.post(path, '{}', batched)).body.code, 'INVALID_INPUT');
    assert.deepEqual((await api.get(path)).body.records, []);
  });
});
