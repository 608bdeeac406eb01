import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Answer, type TestApi, testApi } from './api.fixture.ts';

const NDJSON = { 'content-type': 'application/x-ndjson' };

async function withStream(partitions = 1): Promise<TestApi> {
  const api = await testApi();
  await api.streams.define({ name: 'payments', partitions });
  return api;
}

const records = async (api: TestApi, query = ''): Promise<Answer['body']> =>
  (await api.get(`/streams/payments/records${query}`)).body.records;

describe('streams over HTTP', () => {
  it('creates, describes, lists, changes and deletes', async () => {
    await using api = await testApi();
    const created = await api.post(
      '/streams',
      '{"name":"payments","partitions":2,"key":"card","retention":"7d"}',
    );
    assert.equal(created.status, 201);
    assert.equal(created.headers.get('location'), '/streams/payments');
    assert.deepEqual([created.body.key, created.body.retentionMs], ['/card', 604_800_000]);
    const described = await api.get('/streams/payments');
    assert.deepEqual(described.body.offsets, [
      { partition: 0, start: 0, stable: 0, end: 0 },
      { partition: 1, start: 0, stable: 0, end: 0 },
    ]);
    assert.deepEqual(described.body.groups, []);
    assert.equal((await api.post('/streams', '{"name":"payments"}')).body.code, 'STREAM_EXISTS');
    const put = await api.fetch('/streams/payments', {
      method: 'PUT',
      body: '{"partitions":4,"repartition":true}',
    });
    assert.equal(((await put.json()) as { partitions: number }).partitions, 4);
    const listed = (await api.get('/streams')).body.streams;
    assert.deepEqual([listed[0].name, listed[0].records], ['payments', 0]);
    assert.equal((await api.fetch('/streams/payments', { method: 'DELETE' })).status, 204);
    assert.equal((await api.get('/streams/payments')).body.code, 'STREAM_NOT_FOUND');
  });

  it('names every problem of a definition with its path and the nearest field', async () => {
    await using api = await testApi();
    const answer = await api.post('/streams', '{"partitons":2,"retention":"soon","cleanup":"burn"}');
    assert.equal(answer.status, 422);
    assert.deepEqual(
      answer.body.errors.map((each: { path: string }) => each.path),
      ['/partitons', '/retention', '/cleanup', '/name'],
    );
    assert.match(answer.body.detail, /Did you mean partitions\?/);
    for (const body of ['[]', 'null', '"a"']) {
      assert.equal((await api.post('/streams', body)).status, 422, body);
    }
  });

  it('publishes one value and gives it back as it was written', async () => {
    await using api = await withStream();
    const value = '{"amount":12345678901234567890.10,"name":"Zoë","list":[1, 2]}';
    const answer = await api.post('/streams/payments/records?key=card-1', value);
    assert.deepEqual([answer.status, answer.body], [200, { records: 1, partition: 0, offset: 0 }]);
    const text = await (await api.fetch('/streams/payments/records')).text();
    assert.ok(text.includes(`"value":${value}}`), text);
    const [record] = await records(api);
    assert.equal(record.key, 'card-1');
    assert.match(record.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it('takes the key from the header, and bodies as curl -d sends them', async () => {
    await using api = await withStream();
    await api.post('/streams/payments/records', '1', { 'millrace-key': 'k' });
    await api.post('/streams/payments/records', '2', { 'content-type': 'application/x-www-form-urlencoded' });
    await api.post('/streams/payments/records', '3', {
      'content-type': 'application/vnd.thing+json; charset=utf-8',
    });
    assert.deepEqual(
      (await records(api)).map(({ key, value }: { key: string; value: number }) => [key, value]),
      [
        ['k', 1],
        [null, 2],
        [null, 3],
      ],
    );
  });

  it('publishes lines and tells the place of each in two arrays, as objects, or not at all', async () => {
    await using api = await withStream();
    await api.post('/streams/payments/records?key=b', '0');
    const lines = '{"a":1}\n\n{"a":2}\n{"a":3}';
    const path = '/streams/payments/records';
    assert.deepEqual((await api.post(path, lines, NDJSON)).body, {
      records: 3,
      partitions: [0, 0, 0],
      offsets: [1, 2, 3],
    });
    assert.deepEqual((await api.post(path, '4\n5', { ...NDJSON, prefer: 'return=representation' })).body, {
      records: 2,
      places: [
        { partition: 0, offset: 4 },
        { partition: 0, offset: 5 },
      ],
    });
    const minimal = await api.post(path, '6\n7', { ...NDJSON, prefer: 'return=minimal' });
    assert.deepEqual(minimal.body, { records: 2 });
  });

  it('spreads lines by the key inside them, and each is where the answer says', async () => {
    await using api = await testApi();
    await api.streams.define({ name: 'payments', partitions: 4, keyPath: '/card' });
    const cards = Array.from({ length: 50 }, (_, index) => `card-${index % 20}`);
    const lines = cards.map((card) => JSON.stringify({ card })).join('\n');
    const { partitions, offsets } = (await api.post('/streams/payments/records', lines, NDJSON)).body;
    assert.equal(new Set(partitions).size, 4);
    for (const [index, card] of cards.entries()) {
      const [record] = await records(api, `?partition=${partitions[index]}&from=${offsets[index]}&limit=1`);
      assert.deepEqual([record.key, record.value.card, record.offset], [card, card, offsets[index]]);
    }
  });

  it('reads a page from a position on and says where the next one begins', async () => {
    await using api = await withStream();
    await api.post('/streams/payments/records', '0\n1\n2\n3\n4', NDJSON);
    const page = (await api.get('/streams/payments/records?from=1&limit=2')).body;
    assert.deepEqual(
      [page.records.map((each: { value: number }) => each.value), page.nextOffset, page.end],
      [[1, 2], 3, 5],
    );
    assert.deepEqual((await api.get('/streams/payments/records?from=end')).body.records, []);
    assert.deepEqual((await api.get('/streams/payments/records?limit=0')).body.records, []);
  });

  it('reads thousands of records in one answer', async () => {
    await using api = await withStream();
    const lines = Array.from({ length: 5000 }, (_, index) => `{"index":${index}}`).join('\n');
    await api.post('/streams/payments/records', lines, NDJSON);
    const all = await records(api, '?limit=10000');
    assert.deepEqual(
      all.map((each: { value: { index: number } }) => each.value.index),
      Array.from({ length: 5000 }, (_, index) => index),
    );
  });

  it('shows bytes that are not JSON or not text as base64', async () => {
    await using api = await withStream();
    await api.streams.publish('payments', [
      {
        value: Buffer.from([0xff, 0x00]),
        key: Buffer.from([0xfe]),
        headers: [
          { key: 'a', value: Buffer.from('1') },
          { key: 'a', value: null },
          { key: 'b', value: Buffer.from([0xff]) },
        ],
      },
    ]);
    const [record] = await records(api);
    assert.deepEqual([record.value, record.valueBase64, record.keyBase64], [null, '/wA=', '/g==']);
    assert.deepEqual(record.headers, { a: ['1', null], b: { base64: '/w==' } });
  });

  it('answers bad input with the code that is documented for it', async () => {
    await using api = await withStream();
    const path = '/streams/payments/records';
    const cases: [string, string | Uint8Array, Record<string, string>, number, string][] = [
      [path, '{"a":', {}, 400, 'BAD_JSON'],
      [path, '', {}, 400, 'BAD_JSON'],
      [path, Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'BAD_ENCODING'],
      [path, '['.repeat(200) + ']'.repeat(200), {}, 400, 'BAD_JSON'],
      [path, '{}', { 'content-type': 'text/csv' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
      [`${path}?partition=-1`, '1', {}, 400, 'BAD_REQUEST'],
      [`${path}?acks=none`, '1', {}, 400, 'BAD_REQUEST'],
      ['/streams/nope/records', '1', {}, 404, 'STREAM_NOT_FOUND'],
      [path, '1', { 'idempotency-key': 'x'.repeat(256) }, 400, 'BAD_REQUEST'],
      ['/streams/strict/records', '{"a":"text"}', {}, 422, 'RECORD_INVALID'],
      ['/streams/strict/records', '{"a":1}\n{"a":"text"}', NDJSON, 422, 'RECORD_INVALID'],
      [path, '{"a":1}\n{"a":', NDJSON, 400, 'BAD_JSON'],
      ['/streams', '{"name":"no spaces"}', {}, 422, 'STREAM_NAME_INVALID'],
    ];
    await api.streams.define({
      name: 'strict',
      schema: { type: 'object', properties: { a: { type: 'number' } } },
    });
    for (const [url, body, headers, status, code] of cases) {
      const answer = await api.post(url, body, headers);
      assert.deepEqual([answer.status, answer.body.code], [status, code], `${url} ${body.slice(0, 20)}`);
    }
    for (const query of ['?limit=-1', '?limit=1e9', '?partition=x', '?isolation=none']) {
      assert.equal((await api.get(path + query)).body.code, 'BAD_REQUEST', query);
    }
    assert.equal((await api.get(`${path}?partition=7`)).body.code, 'PARTITION_NOT_FOUND');
    assert.deepEqual(await records(api), []);
  });
});

describe('an idempotency key', () => {
  it('makes a request take effect once and gives the same answer again', async () => {
    await using api = await withStream();
    const headers = { 'idempotency-key': 'order-1' };
    const first = await api.post('/streams/payments/records', '{"a":1}', headers);
    await api.post('/streams/payments/records', '{"between":true}');
    const again = await api.post('/streams/payments/records', '{"a":1}', headers);
    assert.deepEqual(again.body, first.body);
    assert.equal(first.headers.get('idempotency-replayed'), null);
    assert.equal(again.headers.get('idempotency-replayed'), 'true');
    assert.equal((await records(api)).length, 2);
  });

  it('with another body, key or stream is refused', async () => {
    await using api = await withStream();
    const headers = { 'idempotency-key': 'order-1' };
    await api.post('/streams/payments/records', '{"a":1}', headers);
    for (const [query, body] of [
      ['', '{"a":2}'],
      ['?key=k', '{"a":1}'],
    ]) {
      const refused = await api.post(`/streams/payments/records${query}`, body!, headers);
      assert.deepEqual([refused.status, refused.body.code], [422, 'IDEMPOTENCY_KEY_REUSED']);
    }
    assert.equal((await records(api)).length, 1);
  });

  it('makes concurrent duplicates wait for the first', async () => {
    await using api = await withStream();
    const headers = { 'idempotency-key': 'order-1' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => api.post('/streams/payments/records', '{"a":1}', headers)),
    );
    assert.deepEqual(new Set(answers.map((answer) => JSON.stringify(answer.body))).size, 1);
    assert.equal((await records(api)).length, 1);
  });

  it('finds the records again when the platform fell between the append and the answer', async () => {
    await using api = await withStream(3);
    const headers = { ...NDJSON, 'idempotency-key': 'order-1' };
    const lines = '{"a":1}\n{"a":2}';
    const { transact } = api.state;
    let writes = 0;
    api.state.transact = (operations) => {
      // The first write remembers the key, the second the answer.
      if (++writes === 2) throw new Error('the power went');
      return transact.call(api.state, operations);
    };
    assert.equal((await api.post('/streams/payments/records', lines, headers)).status, 500);
    const again = await api.post('/streams/payments/records', lines, headers);
    assert.equal(again.status, 200);
    const [partition] = again.body.partitions;
    assert.deepEqual(again.body, { records: 2, partitions: [partition, partition], offsets: [0, 1] });
    assert.equal((await records(api, `?partition=${partition}`)).length, 2);
  });

  it('may be used again after a request that was refused', async () => {
    await using api = await withStream();
    const headers = { 'idempotency-key': 'order-1' };
    assert.equal((await api.post('/streams/payments/records', '{"a":', headers)).status, 400);
    assert.equal((await api.post('/streams/payments/records', '{"a":1}', headers)).status, 200);
  });

  it('is forgotten after a day', async () => {
    await using api = await withStream();
    const headers = { 'idempotency-key': 'order-1' };
    await api.post('/streams/payments/records', '1', headers);
    api.clock.advance(86_400_001);
    assert.equal((await api.post('/streams/payments/records', '2', headers)).status, 200);
  });
});
