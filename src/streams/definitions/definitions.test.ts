import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError, type JsonSchema } from '../../kernel/index.ts';
import { json, LOGS, startStreams as startOver } from '../streams.support.ts';

const closed = (properties: Record<string, JsonSchema>): JsonSchema =>
  ({ type: 'object', properties, additionalProperties: false }) as JsonSchema;
const FIRST = closed({ card: { type: 'string' } });
const SECOND = closed({ card: { type: 'string' }, amount: { type: 'number' } });

const refused = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(isMillraceError(error), String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

for (const [name, createLog] of Object.entries(LOGS)) {
  describe(`over ${name}`, () => {
    const startStreams = () => startOver(createLog);

    describe('a stream', () => {
      it('has defaults, and tells what it is', async () => {
        const { streams, clock } = await startStreams();
        assert.deepEqual(await streams.define({ name: 'alerts' }), {
          name: 'alerts',
          partitions: 1,
          compatibility: 'backward',
          onInvalid: 'refuse',
          retentionMs: 7 * 86_400_000,
          retentionBytes: null,
          cleanup: 'delete',
          maxRecordBytes: 6 * 1024 * 1024,
          schemaVersion: 0,
          internal: false,
          detached: false,
          createdMs: clock.now(),
          bounds: [{ logStartOffset: 0, lastStableOffset: 0, highWatermark: 0 }],
        });
      });

      it('is found by its name only; the nearest name is suggested', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'payments' });
        assert.equal(streams.find('payment'), undefined);
        assert.throws(
          () => streams.describe('Paymets'),
          refused('STREAM_NOT_FOUND', /Did you mean 'payments'/),
        );
        assert.throws(() => streams.describe('zzz'), refused('STREAM_NOT_FOUND', /Create it/));
        await assert.rejects(streams.publish('payment', [json(1)]), refused('STREAM_NOT_FOUND', /payments/));
      });

      it('takes the names that Kafka takes; those of the platform are its own', async () => {
        const { streams } = await startStreams();
        for (const name of ['', '.', '..', 'a b', 'ä', 'a/b', 'x'.repeat(250), 'millrace.audit']) {
          await assert.rejects(
            streams.define({ name }),
            refused('STREAM_NAME_INVALID', /cannot name a stream/),
            name,
          );
        }
        await assert.rejects(
          streams.define({ name: 'x'.repeat(245), onInvalid: 'divert' }),
          refused('STREAM_NAME_INVALID', /at most 249/),
        );
        await streams.define({ name: 'x'.repeat(249) });
        await streams.define({ name: 'millrace.audit', internal: true });
        assert.deepEqual(
          streams.list().map(({ name }) => name),
          ['x'.repeat(249)],
        );
        assert.equal(streams.list({ internal: true }).length, 2);
      });

      it('refuses what cannot be, naming every place', async () => {
        const { streams } = await startStreams();
        for (const partitions of [0, 1.5, 10_001, Number.NaN]) {
          await assert.rejects(
            streams.define({ name: 'a', partitions }),
            refused('PARTITION_COUNT_INVALID', /1 to 10000/),
          );
        }
        await assert.rejects(
          streams.define({ name: 'a', keyPath: 'card' }),
          refused('STREAM_CONFIG_INVALID', /JSON Pointer/),
        );
        await assert.rejects(
          streams.define({ name: 'a', cleanup: 'shred' as never, retentionMs: -1, maxRecordBytes: 1e9 }),
          (error) =>
            isMillraceError(error, 'STREAM_CONFIG_INVALID') &&
            error.errors.map(({ path }) => path).join() === '/cleanup,/retentionMs,/maxRecordBytes',
        );
        await assert.rejects(
          streams.define({ name: 'a', schema: { type: 'strin' } }),
          refused('SCHEMA_INVALID', /type/),
        );
        assert.equal(streams.find('a'), undefined);
      });
    });

    describe('a definition that changes', () => {
      it('keeps what it leaves out, and is planned as readable lines', async () => {
        const { streams } = await startStreams();
        assert.deepEqual(await streams.planDefine({ name: 'a', partitions: 2, keyPath: '/k' }), [
          'create with 2 partitions',
          'key /k',
        ]);
        assert.equal(streams.find('a'), undefined);
        await streams.define({ name: 'a', partitions: 2, retentionMs: 3_600_000 });
        const change = { name: 'a', partitions: 4, retentionMs: null } as const;
        assert.deepEqual(await streams.planDefine(change), [
          'partitions 2 → 4',
          'retention 1h → without a bound',
        ]);
        const description = await streams.define(change);
        assert.equal(description.partitions, 4);
        assert.equal(description.bounds.length, 4);
        assert.deepEqual(await streams.planDefine(change), []);
        assert.equal((await streams.define({ name: 'a' })).retentionMs, null);
      });

      it('never takes partitions away, and moves keys only when told so', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', partitions: 3, keyPath: '/k' });
        await assert.rejects(
          streams.define({ name: 'a', partitions: 2 }),
          refused('PARTITION_COUNT_INVALID', /only grow/),
        );
        await assert.rejects(
          streams.define({ name: 'a', partitions: 4 }),
          refused('PARTITION_COUNT_INVALID', /repartition/),
        );
        await assert.rejects(
          streams.define({ name: 'a', keyPath: '/other' }),
          refused('STREAM_CONFIG_INVALID', /repartition/),
        );
        assert.equal((await streams.define({ name: 'a', partitions: 4, repartition: true })).partitions, 4);
      });

      it('survives a restart', async () => {
        const { streams, restart } = await startStreams();
        await streams.define({
          name: 'a',
          keyPath: '/card',
          schema: FIRST,
          owner: 'shop',
          onInvalid: 'divert',
        });
        assert.deepEqual((await restart()).describe('a'), streams.describe('a'));
      });

      it('is forgotten when its topic is gone or was made again through another door', async () => {
        const { streams, log, restart } = await startStreams();
        await streams.define({ name: 'a', schema: FIRST });
        await log.topics.delete('a');
        assert.equal(streams.find('a'), undefined);
        await log.topics.create({ name: 'a', partitions: 2 });
        assert.equal(streams.describe('a').schema, undefined);
        const again = await restart();
        assert.equal(again.describe('a').partitions, 2);
        assert.deepEqual(await again.schemaVersions('a'), []);
      });

      it('adopts a topic made directly in the log', async () => {
        const { streams, log } = await startStreams();
        await log.topics.create({ name: 'raw', partitions: 2 });
        assert.equal(streams.describe('raw').schemaVersion, 0);
        const adopted = await streams.define({ name: 'raw', keyPath: '/k', schema: FIRST });
        assert.equal(adopted.keyPath, '/k');
        assert.equal(adopted.schemaVersion, 1);
      });
    });

    describe('schema versions', () => {
      it('grow with every change, and not without one', async () => {
        const { streams, clock } = await startStreams();
        await streams.define({ name: 'a', schema: FIRST });
        const createdMs = clock.now();
        clock.advance(1000);
        // The same schema with its members in another order is the same schema.
        await streams.define({
          name: 'a',
          schema: { additionalProperties: false, properties: { card: { type: 'string' } }, type: 'object' },
        });
        assert.equal(streams.describe('a').schemaVersion, 1);
        assert.deepEqual(await streams.planDefine({ name: 'a', schema: SECOND }), ['schema version 2']);
        await streams.define({ name: 'a', schema: SECOND });
        assert.deepEqual(await streams.schemaVersions('a'), [
          { version: 1, schema: FIRST, mode: 'backward', createdMs },
          { version: 2, schema: SECOND, mode: 'backward', createdMs: createdMs + 1000 },
        ]);
      });

      it('follow the compatibility mode', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', schema: SECOND });
        await assert.rejects(
          streams.define({ name: 'a', schema: FIRST }),
          refused('SCHEMA_INCOMPATIBLE', /\/amount .*no longer allowed/),
        );
        assert.equal(streams.describe('a').schemaVersion, 1);
        assert.equal(
          (await streams.define({ name: 'a', schema: FIRST, compatibility: 'none' })).schemaVersion,
          2,
        );
      });

      it('go with the stream', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', schema: FIRST });
        await streams.delete('a');
        assert.equal(streams.find('a'), undefined);
        await assert.rejects(streams.delete('a'), refused('STREAM_NOT_FOUND', /'a'/));
        await streams.define({ name: 'a' });
        assert.deepEqual(await streams.schemaVersions('a'), []);
      });
    });

    describe('ownership', () => {
      it('keeps a stream to the app that exports it', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', owner: 'shop' });
        await assert.rejects(
          streams.define({ name: 'a', owner: 'bank' }),
          refused('NAME_TAKEN', /'shop'.*another name/),
        );
        await assert.rejects(
          streams.define({ name: 'a', partitions: 9 }),
          refused('NAME_TAKEN', /Change it in that app/),
        );
        assert.equal((await streams.define({ name: 'a', owner: 'shop', partitions: 2 })).partitions, 2);
      });

      it('takes an app’s definition as the whole: a schema left out is gone', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', owner: 'shop', schema: FIRST });
        assert.deepEqual(await streams.planDefine({ name: 'a', owner: 'shop' }), ['schema removed']);
        assert.equal((await streams.define({ name: 'a', owner: 'shop' })).schema, undefined);
      });

      it('ends when the app drops the stream: it is detached, its records stay', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', owner: 'shop' });
        await streams.publish('a', [json(1)]);
        await streams.detach('a', 'bank');
        assert.equal(streams.describe('a').detached, false);
        await streams.detach('a', 'shop');
        assert.equal(streams.describe('a').detached, true);
        assert.equal(streams.describe('a').bounds[0]?.highWatermark, 1);
        assert.deepEqual(await streams.planDefine({ name: 'a', owner: 'bank' }), [
          'owner shop → bank',
          'attached again',
        ]);
        assert.equal((await streams.define({ name: 'a', owner: 'bank' })).detached, false);
      });
    });
  });
}
