import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createWorkers, type InputProblem, isMillraceError, type JsonSchema } from '../../kernel/index.ts';
import { partitionOfKey } from '../record-batch/index.ts';
import { json, LOGS, recordsOf, startStreams as startOver, textOf, valuesOf } from '../streams.support.ts';
import { createStreams } from '../streams.ts';

const PAYMENT: JsonSchema = {
  type: 'object',
  required: ['card'],
  properties: { card: { type: 'string' }, amount: { type: 'number', minimum: 0 } },
  additionalProperties: false,
};

const lines = (...values: unknown[]): Buffer =>
  Buffer.from(values.map((value) => JSON.stringify(value)).join('\n'));

const refusedWith =
  (code: string, ...problems: string[]) =>
  (error: unknown) => {
    assert.ok(isMillraceError(error), String(error));
    assert.equal(error.code, code);
    const listed = error.errors.map(({ path, message }: InputProblem) => `${path} ${message}`);
    if (problems.length > 0) assert.deepEqual(listed, problems);
    return true;
  };

for (const [name, createLog] of Object.entries(LOGS)) {
  describe(`over ${name}`, () => {
    const startStreams = () => startOver(createLog);

    describe('publishing', () => {
      it('answers with the place of every record', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', partitions: 3, keyPath: '/k' });
        const result = await streams.publishLines('a', lines({ k: 'x' }, { k: 'y' }, { k: 'x' }, { k: 7 }));
        assert.equal(result.records, 4);
        const byPlace = new Map(
          (await recordsOf(streams, 'a')).map((record) => [`${record.partition}/${record.offset}`, record]),
        );
        for (const [index, key] of ['x', 'y', 'x', '7'].entries()) {
          const place = result.placeOf(index);
          assert.equal(place.partition, partitionOfKey(Buffer.from(key), 3));
          assert.equal(textOf(byPlace.get(`${place.partition}/${place.offset}`)!.key), key);
        }
        assert.throws(() => result.placeOf(4), RangeError);
      });

      it('passes NDJSON through byte for byte', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a' });
        await streams.publishLines('a', Buffer.from(' {"a" : 1.0}\r\n\n[1,\t2]\n"é"'));
        assert.deepEqual(await valuesOf(streams, 'a'), ['{"a" : 1.0}', '[1,\t2]', '"é"']);
      });

      it('keeps any bytes on a stream without schema and key path; lines are always JSON', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a' });
        const value = Uint8Array.of(0, 255, 10);
        const headers = [
          { key: 'type', value: Buffer.from('blob') },
          { key: 'none', value: null },
        ];
        await streams.publish('a', [{ value, key: 'k', headers, timeMs: 5 }]);
        const [record] = await recordsOf(streams, 'a');
        assert.deepEqual([[...record!.value!], textOf(record!.key), record!.timeMs], [[...value], 'k', 5]);
        assert.deepEqual(
          record!.headers.map(({ key, value }) => [key, textOf(value)]),
          [
            ['type', 'blob'],
            ['none', null],
          ],
        );
        await assert.rejects(streams.publishLines('a', Buffer.from('nope')), refusedWith('BAD_JSON'));
        await assert.rejects(streams.publishLines('a', Buffer.of(34, 255, 34)), refusedWith('BAD_ENCODING'));
      });

      it('takes nothing, gladly', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a' });
        assert.equal((await streams.publishLines('a', Buffer.from('\n\n'))).records, 0);
        assert.equal((await streams.publish('a', [])).records, 0);
      });

      it('spreads records without a key, those of one call together', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', partitions: 2 });
        for (let call = 0; call < 4; call++) await streams.publishLines('a', lines(1, 2, 3));
        assert.deepEqual(
          streams.describe('a').bounds.map(({ highWatermark }) => highWatermark),
          [6, 6],
        );
      });

      it('goes to the partition that is asked for', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', partitions: 2 });
        const result = await streams.publish('a', [json(1, { partition: 1, key: 'k' })]);
        assert.deepEqual(result.placeOf(0), { topic: 'a', partition: 1, offset: 0 });
        for (const partition of [2, -1, 0.5]) {
          await assert.rejects(
            streams.publish('a', [json(1, { partition })]),
            refusedWith('PARTITION_NOT_FOUND'),
          );
        }
      });

      it('splits a large call into batches, in order', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a' });
        const body = lines(...Array.from({ length: 5000 }, (_, index) => ({ index, pad: 'x'.repeat(600) })));
        const result = await streams.publishLines('a', body);
        assert.equal(result.placeOf(4999).offset, 4999);
        assert.deepEqual(
          (await valuesOf(streams, 'a')).map((value) => JSON.parse(value!).index),
          Array.from({ length: 5000 }, (_, index) => index),
        );
      });

      it('made again under the same producer, appends nothing and answers the same', async () => {
        const { streams, log } = await startStreams();
        await streams.define({ name: 'a', partitions: 3 });
        const producer = await log.producers.init({});
        const body = lines(...Array.from({ length: 3000 }, (_, index) => ({ index, pad: 'x'.repeat(500) })));
        const first = await streams.publishLines('a', body, { producer });
        await streams.publishLines('a', lines('in between'));
        const second = await streams.publishLines('a', body, { producer });
        for (const index of [0, 1500, 2999]) assert.deepEqual(second.placeOf(index), first.placeOf(index));
        assert.equal(
          streams.describe('a').bounds.reduce((sum, { highWatermark }) => sum + highWatermark, 0),
          3001,
        );
      });

      it('is not for the platform’s own streams', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'millrace.audit', internal: true });
        await assert.rejects(streams.publish('millrace.audit', [json(1)]), refusedWith('FORBIDDEN'));
        await assert.rejects(streams.encode('millrace.audit', [json(1)]), refusedWith('FORBIDDEN'));
      });

      it('encodes for a commit what it would have appended', async () => {
        const { streams, log } = await startStreams();
        await streams.define({ name: 'a', partitions: 2, keyPath: '/k' });
        const appends = await streams.encode('a', [json({ k: 1 }), json({ k: 1 })]);
        assert.equal(
          streams.describe('a').bounds.some(({ highWatermark }) => highWatermark > 0),
          false,
        );
        for (const append of appends) await log.append(append);
        assert.equal((await recordsOf(streams, 'a')).length, 2);
      });
    });

    describe('keys', () => {
      it('come from their path: text as it is, numbers and booleans as JSON writes them', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', keyPath: '/user/id' });
        const texts = ['"é\\n"', '12', '1.0', '1e2', '-0', 'true', '""'];
        await streams.publishLines(
          'a',
          Buffer.from(texts.map((text) => `{"user":{"id":${text}}}`).join('\n')),
        );
        const keys = (await recordsOf(streams, 'a')).map(({ key }) => textOf(key));
        assert.deepEqual(keys, ['é\n', '12', '1', '100', '0', 'true', '']);
      });

      it('are the same by value and by line, for any value', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', keyPath: '/k', partitions: 4 });
        await fc.assert(
          fc.asyncProperty(
            fc.oneof(
              fc.string({ unit: 'binary' }),
              fc.double({ noNaN: true, noDefaultInfinity: true }),
              fc.integer(),
              fc.boolean(),
            ),
            async (k) => {
              const byLine = await streams.publishLines('a', lines({ k }));
              const byValue = await streams.publish('a', [{ value: { json: { k } } }]);
              const { partition, offset } = byLine.placeOf(0);
              assert.equal(byValue.placeOf(0).partition, partition);
              const { records } = await streams.read({ topic: 'a', partition }, offset);
              assert.deepEqual(
                records.map(({ key }) => textOf(key)),
                [String(k === 0 ? 0 : k), String(k === 0 ? 0 : k)],
              );
            },
          ),
          { numRuns: 200 },
        );
      });

      it('must be there, and of a kind that can be one', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', keyPath: '/k' });
        await assert.rejects(
          streams.publishLines(
            'a',
            Buffer.from('{"k":1}\n{}\n{"k":null}\n{"k":{}}\n{"k":"\\ud800"}\n{"k":1e999}'),
          ),
          refusedWith(
            'RECORD_INVALID',
            '/1/k is missing; the key of the record is taken from here',
            '/2/k must be text, a number or a boolean; the key of the record is taken from here',
            '/3/k must be text, a number or a boolean; the key of the record is taken from here',
            '/4/k holds half of a surrogate pair, which no key can',
            '/5/k is a number beyond what can be told apart',
          ),
        );
        assert.equal(streams.describe('a').bounds[0]!.highWatermark, 0);
        await assert.rejects(
          streams.publish('a', [json({ k: 1 }, { key: '2' })]),
          refusedWith('RECORD_INVALID'),
        );
        await streams.publish('a', [json({ k: 1 }, { key: '1' })]);
      });

      it('are needed where the stream keeps the latest record of each', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', cleanup: 'compact' });
        await assert.rejects(streams.publish('a', [json(1)]), refusedWith('RECORD_INVALID'));
        await streams.publishLines('a', lines(1), { key: 'k' });
        assert.equal(textOf((await recordsOf(streams, 'a'))[0]!.key), 'k');
      });
    });

    describe('records that do not fit', () => {
      it('refuse the whole call with the problems of every one', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', schema: PAYMENT, keyPath: '/card' });
        await assert.rejects(
          streams.publishLines('a', lines({ card: 'x' }, { card: 1, amount: -1 }, { amount: 1, note: 'n' })),
          refusedWith(
            'RECORD_INVALID',
            '/1/card must be string',
            '/1/amount must be at least 0',
            '/2/card is missing',
            '/2/note is not a member that the schema knows',
            '/2/card is missing; the key of the record is taken from here',
          ),
        );
        assert.equal(streams.describe('a').bounds[0]!.highWatermark, 0);
      });

      it('are diverted where the stream says so, with why in their headers', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', schema: PAYMENT, onInvalid: 'divert', owner: 'shop' });
        const result = await streams.publish('a', [
          json({ card: 'x' }),
          json({ card: 1 }, { key: 'k' }),
          json({ card: 'y' }),
        ]);
        assert.deepEqual(result.diverted, [
          { index: 1, errors: [{ path: '/card', message: 'must be string' }] },
        ]);
        assert.deepEqual(result.placeOf(1), { topic: 'a.invalid', partition: 0, offset: 0 });
        assert.deepEqual(result.placeOf(2), { topic: 'a', partition: 0, offset: 1 });
        const [record] = await recordsOf(streams, 'a.invalid');
        assert.equal(textOf(record!.value), '{"card":1}');
        assert.equal(textOf(record!.key), 'k');
        assert.deepEqual(Object.fromEntries(record!.headers.map(({ key, value }) => [key, textOf(value)])), {
          'millrace-stream': 'a',
          'millrace-error': '/card must be string',
          'millrace-problems': '[{"path":"/card","message":"must be string"}]',
        });
        assert.equal(streams.describe('a.invalid').owner, 'shop');
      });

      it('are never diverted for broken JSON, which no reader could use', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', schema: PAYMENT, onInvalid: 'divert' });
        await assert.rejects(
          streams.publish('a', [json({ card: 'x' }), { value: Buffer.from('{"card"}') }]),
          refusedWith('BAD_JSON', "/1 expected ':' in record 1 at byte 8, found '}'"),
        );
        assert.equal(streams.find('a.invalid'), undefined);
      });

      it('or that are too large, or too many, are told the limit', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', maxRecordBytes: 100 });
        await assert.rejects(
          streams.publishLines('a', lines(1, 'x'.repeat(99))),
          refusedWith(
            'RECORD_TOO_LARGE',
            '/1 has 101 B; the stream takes 100 B. Store large payloads elsewhere and publish a reference, or raise maxRecordBytes',
          ),
        );
        await streams.publishLines('a', lines('x'.repeat(98)));
        const many = Array.from({ length: 100_001 }, () => json(1));
        await assert.rejects(streams.publish('a', many), refusedWith('PAYLOAD_TOO_LARGE'));
        await streams.define({ name: 'b' });
        await assert.rejects(
          streams.publish('b', [json(1, { key: 'k'.repeat(65_537) })]),
          refusedWith('RECORD_TOO_LARGE'),
        );
      });

      it('are found in a large call, which lets other work have its turn', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', schema: PAYMENT });
        const values = Array.from({ length: 20_000 }, (_, index) => ({
          card: `${index}`,
          amount: index === 19_999 ? -1 : 1,
        }));
        let turns = 0;
        let counting = true;
        const count = (): void => {
          turns++;
          if (counting) setImmediate(count);
        };
        setImmediate(count);
        await assert.rejects(
          streams.publishLines('a', lines(...values)),
          refusedWith('RECORD_INVALID', '/19999/amount must be at least 0'),
        );
        counting = false;
        assert.ok(turns >= 8, `${turns} turns`);
      });
    });
  });
}

describe('a large value', () => {
  it('is checked by a platform worker, with the same outcome', async (t) => {
    const { log, state, clock } = await startOver();
    const workers = createWorkers({ size: 1, queue: 10, idleMs: 1000, clock });
    t.after(() => workers.stop?.(AbortSignal.timeout(1000)));
    const streams = createStreams({ log, state, clock, workers });
    await streams.define({ name: 'a', schema: PAYMENT });
    await streams.publishLines('a', lines({ card: 'small' }));
    assert.equal(workers.threads, 0);
    const card = 'x'.repeat(300_000);
    await streams.publishLines('a', lines({ card: 'small' }, { card }));
    assert.equal(workers.threads, 1);
    await assert.rejects(
      streams.publish('a', [json({ card: 'small' }), json({ card, amount: -1 })]),
      refusedWith('RECORD_INVALID', '/1/amount must be at least 0'),
    );
    assert.equal(streams.describe('a').bounds[0]!.highWatermark, 3);
  });
});
