import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { createWorkers, isMillraceError, manualClock, type Workers } from '../../kernel/index.ts';
import type { LogStore } from '../port.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchRecord,
  decodeBatch,
  decompressRecords,
  encodeBatch,
  packBatch,
  readBatchHeader,
} from '../record-batch/index.ts';
import type { Streams } from '../service.ts';
import { LOGS, recordsOf, startStreams, textOf, valuesOf } from '../streams.support.ts';
import { createStreams } from '../streams.ts';

const schema = {
  type: 'object',
  properties: { card: { type: 'string' }, amount: { type: 'number' } },
  required: ['card'],
} as const;
const place = { topic: 'a', partition: 0 };

const record = (value: unknown, key?: string): BatchRecord => ({
  value: Buffer.from(JSON.stringify(value)),
  ...(key === undefined ? {} : { key: Buffer.from(key) }),
});
const framed = (id: number, payload: string): BatchRecord => {
  const value = Buffer.alloc(5 + payload.length);
  value.writeInt32BE(id, 1);
  value.write(payload, 5);
  return { value };
};
const batchOf = (records: readonly BatchRecord[], options = {}): Uint8Array =>
  encodeBatch(records, { timeMs: 1, ...options });

async function refusal(done: Promise<unknown>): Promise<string[]> {
  const error = await done.then(
    () => assert.fail('it was taken'),
    (caught) => caught,
  );
  assert.ok(isMillraceError(error, 'RECORD_INVALID'), String(error));
  return error.errors.map(({ path, message }) => `${path} ${message}`);
}

/** Streams that hand what is large to workers, as the platform's do. */
async function withWorkers(log: LogStore): Promise<AsyncDisposable & { streams: Streams; workers: Workers }> {
  const clock = manualClock();
  const workers = createWorkers({ size: 1, queue: 100, idleMs: 1000, clock });
  const { memoryStateStore } = await import('../../adapters/memory/index.ts');
  const state = memoryStateStore({ clock });
  const streams = createStreams({ log, state, clock, workers });
  await streams.start?.();
  const stop = () => workers.stop!(AbortSignal.abort());
  return { streams, workers, [Symbol.asyncDispose]: async () => void (await stop()) };
}

for (const [name, createLog] of Object.entries(LOGS)) {
  describe(`batches of producers over ${name}`, () => {
    const start = () => startStreams(createLog);

    it('pass unopened where the stream asks nothing of its records', async () => {
      const { streams } = await start();
      await streams.define({ name: 'a' });
      const nonsense = batchOf([{ value: Uint8Array.of(0xff, 0) }, { value: null }]);
      const { baseOffset, lastOffset } = await streams.produce({ ...place, batch: nonsense });
      assert.deepEqual([baseOffset, lastOffset], [0, 1]);
      assert.deepEqual(await valuesOf(streams, 'a'), ['�\0', null]);
    });

    it('are refused as a whole for one record that does not fit, with the place of every problem', async () => {
      const { streams } = await start();
      await streams.define({ name: 'a', schema });
      const problems = await refusal(
        streams.produce({
          ...place,
          batch: batchOf([
            record({ card: 'x' }),
            record({ amount: 'much' }),
            { value: Buffer.from('{"card":') },
            { value: null },
            { value: Uint8Array.of(0x22, 0xff, 0x22) },
          ]),
        }),
      );
      assert.deepEqual(
        problems.map((each) => each.slice(0, 24)),
        [
          '/1/card is missing',
          '/1/amount must be number',
          '/2 is no JSON: expected a value'.slice(0, 24),
          '/3 has no value; only a stream'.slice(0, 24),
          '/4 is not valid UTF-8',
        ],
      );
      assert.deepEqual(await valuesOf(streams, 'a'), []);
    });

    it('may carry JSON behind the frame of a schema registry, and no Avro', async () => {
      const { streams } = await start();
      await streams.define({ name: 'a', schema });
      await streams.produce({ ...place, batch: batchOf([framed(7, '{"card":"x"}')]) });
      assert.equal((await recordsOf(streams, 'a'))[0]!.value![4], 7);
      const problems = await refusal(
        streams.produce({ ...place, batch: batchOf([framed(7, '{"card":1}'), framed(8, '\u0002x')]) }),
      );
      assert.equal(problems[0], '/0/card must be string');
      assert.match(problems[1]!, /^\/1 is no JSON behind the frame of its serialiser/);
    });

    it('must carry the key that the value names', async () => {
      const { streams } = await start();
      await streams.define({ name: 'a', keyPath: '/card' });
      await streams.produce({ ...place, batch: batchOf([record({ card: 7 }, '7')]) });
      const wrong = [record({ card: 'x' }), record({ card: 'x' }, 'y'), record({}, 'y')];
      assert.deepEqual(await refusal(streams.produce({ ...place, batch: batchOf(wrong) })), [
        '/0/card must be the key of the record, which has none; send the record with the key "x"',
        '/1/card must be the key of the record, which has another; send the record with the key "x"',
        '/2/card is missing; the key of the record is taken from here',
      ]);
    });

    it('need keys on a compacted stream, which takes tombstones', async () => {
      const { streams } = await start();
      await streams.define({ name: 'a', schema, cleanup: 'compact' });
      await streams.produce({ ...place, batch: batchOf([{ key: Buffer.from('k'), value: null }]) });
      const wrong = [{ value: null }, record({ card: 'x' })];
      const problems = await refusal(streams.produce({ ...place, batch: batchOf(wrong) }));
      assert.deepEqual(problems.length, 2);
      assert.match(problems[1]!, /^\/1 needs a key/);
    });

    it('are parted where records are diverted: what fits keeps its offsets', async () => {
      const { streams } = await start();
      await streams.define({ name: 'a', schema, onInvalid: 'divert' });
      const records = [record({}), record({ card: 'x' }), record({ card: 1 }, 'k'), record({ card: 'y' })];
      const result = await streams.produce({ ...place, batch: batchOf(records) });
      assert.deepEqual([result.baseOffset, result.lastOffset], [0, 3]);
      const kept = await recordsOf(streams, 'a');
      assert.deepEqual(
        kept.map(({ offset, value, timeMs }) => [offset, textOf(value), timeMs]),
        [
          [1, '{"card":"x"}', 1],
          [3, '{"card":"y"}', 1],
        ],
      );
      const diverted = await recordsOf(streams, 'a.invalid');
      assert.deepEqual(
        diverted.map(({ value, key, headers }) => [textOf(value), textOf(key), textOf(headers[1]!.value)]),
        [
          ['{}', null, '/card is missing'],
          ['{"card":1}', 'k', '/card must be string'],
        ],
      );
      await streams.produce({ ...place, batch: batchOf([record({ card: 'z' })]) });
      assert.equal((await recordsOf(streams, 'a')).at(-1)!.offset, 4);
    });

    it('leave their offsets unused where no record fits', async () => {
      const { streams, log } = await start();
      await streams.define({ name: 'a', schema, onInvalid: 'divert' });
      const { lastOffset } = await streams.produce({ ...place, batch: batchOf([record({}), record(1)]) });
      assert.equal(lastOffset, 1);
      assert.equal(log.bounds(place).highWatermark, 2);
      await streams.produce({ ...place, batch: batchOf([record({ card: 'z' })]) });
      assert.deepEqual(
        (await recordsOf(streams, 'a')).map(({ offset }) => offset),
        [2],
      );
    });

    it('that are sent again are recognised, and nothing is diverted twice', async () => {
      const { streams, log } = await start();
      await streams.define({ name: 'a', schema, onInvalid: 'divert' });
      const producer = await log.producers.init({});
      const send = (sequence: number, values: unknown[]) =>
        streams.produce({
          ...place,
          batch: batchOf(
            values.map((value) => record(value)),
            { producer: { ...producer, sequence } },
          ),
        });
      const [first] = await Promise.all([
        send(0, [{ card: 'a' }, {}]),
        send(2, [{}, {}]),
        send(4, [{ card: 'b' }, 1]),
      ]);
      for (const [sequence, values] of [
        [0, [{ card: 'a' }, {}]],
        [2, [{}, {}]],
      ] as const) {
        const again = await send(sequence, [...values]);
        assert.deepEqual([again.duplicate, again.baseOffset], [true, first.baseOffset + sequence]);
      }
      assert.deepEqual(await valuesOf(streams, 'a'), ['{"card":"a"}', '{"card":"b"}']);
      assert.equal((await valuesOf(streams, 'a.invalid')).length, 4);
    });

    it('are packed as the topic says, whatever way they come', async () => {
      const { streams, log } = await start();
      await streams.define({ name: 'a' });
      await streams.define({ name: 'b', schema, onInvalid: 'divert' });
      const producer = { producerId: 7, epoch: 0, sequence: 0 };
      const plain = batchOf([record({ card: '1' }), record({ n: 2 }), record({ card: '3' })], { producer });
      const stored = async (topic: string) => {
        const { batches } = await log.fetch({ topic, partition: 0, offset: 0, maxBytes: 1 });
        const records = await decompressRecords(batches);
        const { compression, recordCount, lastOffsetDelta, producerId } = readBatchHeader(batches);
        const values = decodeBatch(batches, 0, records).map(({ value }) => JSON.parse(textOf(value)!));
        return { compression, recordCount, lastOffsetDelta, producerId, values };
      };
      for (const compression of ['lz4', 'none'] as const) {
        for (const topic of ['a', 'b']) await log.topics.alter(topic, { config: { compression } });
        const batch = compression === 'none' ? packBatch(plain, 'zstd') : plain;
        const { baseOffset, lastOffset } = await streams.produce({ topic: 'a', partition: 0, batch });
        assert.deepEqual([baseOffset, lastOffset], [0, 2], 'the second is the first again');
      }
      const whole = { lastOffsetDelta: 2, producerId: 7 };
      const all = [{ card: '1' }, { n: 2 }, { card: '3' }];
      assert.deepEqual(await stored('a'), { compression: 'lz4', recordCount: 3, ...whole, values: all });
      await log.topics.alter('b', { config: { compression: 'zstd' } });
      await streams.produce({ topic: 'b', partition: 0, batch: plain });
      const fit = [{ card: '1' }, { card: '3' }];
      assert.deepEqual(await stored('b'), { compression: 'zstd', recordCount: 2, ...whole, values: fit });
    });

    it('are refused on the platform’s own streams', async () => {
      const { streams } = await start();
      await streams.define({ name: 'millrace.own', internal: true });
      const append = streams.produce({ topic: 'millrace.own', partition: 0, batch: batchOf([record(1)]) });
      await assert.rejects(append, (error) => isMillraceError(error, 'FORBIDDEN'));
    });
  });
}

describe('batches that workers check', () => {
  const large = (count: number, at: number) =>
    batchOf(
      Array.from({ length: count }, (_, index) => record({ card: `${at}-${index}`, note: 'x'.repeat(40) })),
    );

  it('keep the order of the calls, whoever checks them', async () => {
    const { log } = await startStreams();
    await using under = await withWorkers(log);
    const { streams } = under;
    await streams.define({ name: 'a', schema });
    const results = await Promise.all(
      [400, 1, 300, 2].map((count, at) => {
        const plain = large(count, at);
        return streams.produce({ ...place, batch: at === 1 ? packBatch(plain, 'zstd') : plain });
      }),
    );
    assert.deepEqual(
      results.map(({ baseOffset }) => baseOffset),
      [0, 400, 401, 701],
    );
    const firsts = (await recordsOf(streams, 'a')).filter(({ offset }) =>
      [0, 400, 401, 701].includes(offset),
    );
    assert.deepEqual(
      firsts.map(({ value }) => (JSON.parse(textOf(value)!) as { card: string }).card),
      ['0-0', '1-0', '2-0', '3-0'],
    );
  });

  it('are judged as nearby ones are, compressed or not, and what is broken is told', async () => {
    const { log } = await startStreams();
    await using under = await withWorkers(log);
    const { streams } = under;
    await streams.define({ name: 'a', schema, onInvalid: 'divert' });
    const records = Array.from({ length: 500 }, (_, index) => record({ card: index % 5 ? 'x' : index }));
    const plain = batchOf(records);
    for (const batch of [plain, packBatch(plain, 'gzip'), packBatch(plain, 'zstd')]) {
      const { baseOffset, lastOffset } = await streams.produce({ ...place, batch });
      assert.equal(lastOffset - baseOffset, 499);
    }
    assert.equal((await recordsOf(streams, 'a')).length, 1200);
    assert.equal((await recordsOf(streams, 'a.invalid')).length, 300);
    const torn = packBatch(plain, 'gzip');
    torn[BATCH_HEADER_BYTES + 20]! ^= 1;
    const invalid = (error: unknown) => isMillraceError(error, 'BATCH_INVALID');
    await assert.rejects(streams.produce({ ...place, batch: torn }), invalid);
    await streams.produce({ ...place, batch: plain });
  });

  it('that are large have their checksum checked though nobody opens them', async () => {
    const { log } = await startStreams();
    await using under = await withWorkers(log);
    const { streams, workers } = under;
    await streams.define({ name: 'a' });
    const batch = batchOf([{ value: new Uint8Array(3_000_000) }]);
    await streams.produce({ ...place, batch: new Uint8Array(batch) });
    assert.equal(workers.threads, 1);
    batch[1000]! ^= 1;
    await assert.rejects(streams.produce({ ...place, batch }), (error) =>
      isMillraceError(error, 'BATCH_INVALID'),
    );
  });
});

describe('a parted batch', () => {
  it('holds every record once, whatever fits', async () => {
    const { streams } = await startStreams();
    await streams.define({ name: 'a', schema: { type: 'integer' }, onInvalid: 'divert' });
    const values = fc.array(fc.oneof(fc.integer(), fc.string()), { minLength: 1, maxLength: 30 });
    let next = 0;
    await fc.assert(
      fc.asyncProperty(values, fc.constantFrom('none', 'gzip', 'zstd'), async (all, packed) => {
        const plain = batchOf(all.map((value) => record(value)));
        const batch = packed === 'none' ? plain : packBatch(plain, packed as 'gzip' | 'zstd');
        const { baseOffset, lastOffset } = await streams.produce({ ...place, batch });
        assert.deepEqual([baseOffset, lastOffset], [next, next + all.length - 1]);
        const { records } = await streams.read(place, next, { limit: 100 });
        const fits = all.flatMap((value, index) =>
          typeof value === 'number' ? [[index + next, value]] : [],
        );
        assert.deepEqual(
          records.map(({ offset, value }) => [offset, JSON.parse(textOf(value)!)]),
          fits,
        );
        next += all.length;
      }),
      { numRuns: 50 },
    );
  });

  it('is packed as it came', () => {
    const plain = batchOf([record(1)]);
    assert.equal(readBatchHeader(packBatch(plain, 'zstd')).compression, 'zstd');
    assert.deepEqual(
      Buffer.from(packBatch(plain, 'zstd').subarray(BATCH_HEADER_BYTES)),
      zstdCompressSync(plain.subarray(BATCH_HEADER_BYTES)),
    );
  });
});
