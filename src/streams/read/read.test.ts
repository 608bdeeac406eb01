import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isMillraceError } from '../../kernel/index.ts';
import type { LogStore } from '../port.ts';
import { writeInt16, writeInt32 } from '../record-batch/bytes.ts';
import { writeCrc } from '../record-batch/header.ts';
import { BATCH_HEADER_BYTES, encodeBatch } from '../record-batch/index.ts';
import type { ReadRecord } from '../service.ts';
import { json, LOGS, startStreams as startOver, textOf } from '../streams.support.ts';

const place = { topic: 'a', partition: 0 };

async function transaction(log: LogStore, outcome: 'commit' | 'abort', values: string[]) {
  const producer = await log.producers.init({ transactionalId: 't' });
  await log.producers.addPartitions('t', producer, [place]);
  const records = values.map((value) => ({ value: Buffer.from(value) }));
  await log.append({
    ...place,
    batch: encodeBatch(records, { timeMs: 1, producer: { ...producer, sequence: 0 }, transactional: true }),
  });
  await log.producers.end('t', producer, outcome);
}

for (const [name, createLog] of Object.entries(LOGS)) {
  describe(`over ${name}`, () => {
    const startStreams = () => startOver(createLog);

    describe('reading', () => {
      it('goes on from where it stopped, at most as many as asked', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a' });
        await streams.publishLines('a', Buffer.from('1\n2\n3\n4\n5'));
        const first = await streams.read(place, 1, { limit: 2 });
        assert.deepEqual(
          first.records.map(({ value }) => textOf(value)),
          ['2', '3'],
        );
        assert.equal(first.nextOffset, 3);
        const second = await streams.read(place, first.nextOffset);
        assert.deepEqual(
          second.records.map(({ offset }) => offset),
          [3, 4],
        );
        assert.deepEqual(await streams.read(place, second.nextOffset), {
          records: [],
          nextOffset: 5,
          highWatermark: 5,
          lastStableOffset: 5,
          logStartOffset: 0,
        });
        await assert.rejects(streams.read(place, 6), (error) =>
          isMillraceError(error, 'OFFSET_OUT_OF_RANGE'),
        );
        await assert.rejects(streams.read({ topic: 'a', partition: 1 }, 0), (error) =>
          isMillraceError(error, 'PARTITION_NOT_FOUND'),
        );
      });

      it('leaves out markers and aborted transactions, unless told otherwise', async () => {
        const { streams, log } = await startStreams();
        await streams.define({ name: 'a' });
        await transaction(log, 'abort', ['lost']);
        await transaction(log, 'commit', ['kept']);
        await transaction(log, 'abort', ['lost', 'too']);
        await streams.publishLines('a', Buffer.from('1'));
        const values = async (isolation: 'committed' | 'uncommitted') =>
          (await streams.read(place, 0, { isolation })).records.map(({ value }) => textOf(value));
        assert.deepEqual(await values('uncommitted'), ['lost', 'kept', 'lost', 'too', '1']);
        assert.deepEqual(await values('committed'), ['kept', '1']);
        // A read that finds nothing but an aborted transaction goes on to what follows it.
        assert.deepEqual(
          (await streams.read(place, 4, { maxBytes: 1 })).records.map(({ value }) => textOf(value)),
          ['1'],
        );
      });

      it('unpacks what producers have compressed', async () => {
        const { streams, log } = await startStreams();
        await streams.define({ name: 'a' });
        const plain = encodeBatch([{ value: Buffer.from('x'.repeat(500)) }, { value: Buffer.from('y') }], {
          timeMs: 7,
        });
        const packed = gzipSync(plain.subarray(BATCH_HEADER_BYTES));
        const batch = Buffer.concat([plain.subarray(0, BATCH_HEADER_BYTES), packed]);
        writeInt32(batch, 8, batch.length - 12);
        writeInt16(batch, 21, 1);
        writeCrc(batch, 0);
        await log.append({ ...place, batch });
        const { records } = await streams.read(place, 1);
        assert.deepEqual(
          records.map(({ value, offset, timeMs }) => [textOf(value), offset, timeMs]),
          [['y', 1, 7]],
        );
      });
    });

    describe('a position', () => {
      it('is start, end, an offset, a time or an age', async () => {
        const { streams, clock, log } = await startStreams();
        await streams.define({ name: 'a' });
        for (let minute = 0; minute < 3; minute++) {
          await streams.publishLines('a', Buffer.from(`${minute}`));
          clock.advance(60_000);
        }
        await log.deleteRecords(place, 1);
        const at = (from: string): Promise<number> => streams.resolvePosition(place, from);
        assert.deepEqual(await Promise.all(['start', 'end', '2', '1000'].map(at)), [1, 3, 2, 1000]);
        assert.deepEqual(
          await Promise.all(
            [
              '90s',
              '1m ago',
              '10m',
              '2026-01-01T00:02:00Z',
              '2026-01-01T01:02:00+01:00',
              '2026-01-01',
              '2027-01-01',
            ].map(at),
          ),
          [2, 2, 1, 2, 2, 1, 3],
        );
        for (const from of ['', 'yesterday', '-1', '1.5', '2026-13-40']) {
          await assert.rejects(
            at(from),
            (error) => isMillraceError(error, 'BAD_REQUEST') && /Write start, end/.test(error.message),
            from,
          );
        }
      });
    });

    describe('following', () => {
      it('hands out what is there and what comes, over all partitions, until the signal', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', partitions: 3, keyPath: '/k' });
        await streams.publish(
          'a',
          [1, 2, 3, 4].map((k) => json({ k })),
        );
        const controller = new AbortController();
        const seen: number[] = [];
        for await (const record of streams.follow('a', { from: 'start', signal: controller.signal })) {
          seen.push(JSON.parse(textOf(record.value)!).k);
          if (seen.length === 4)
            void streams.publish(
              'a',
              [5, 6].map((k) => json({ k })),
            );
          if (seen.length === 6) controller.abort();
        }
        assert.deepEqual(seen.toSorted(), [1, 2, 3, 4, 5, 6]);
      });

      it('begins at the end unless told, or at positions, in the partitions asked for', async () => {
        const { streams } = await startStreams();
        await streams.define({ name: 'a', partitions: 2 });
        const put = (value: string, partition: number) => streams.publish('a', [json(value, { partition })]);
        for (const partition of [0, 0, 1, 1]) await put('old', partition);
        const controller = new AbortController();
        const { signal } = controller;
        const positions = new Map([[0, 1]]);
        const followed = streams.follow('a', { positions, signal })[Symbol.asyncIterator]();
        const first = (await followed.next()).value as ReadRecord;
        assert.deepEqual([first.partition, first.offset], [0, 1]);
        const next = followed.next();
        await put('new', 1);
        assert.equal(textOf(((await next).value as ReadRecord).value), '"new"');
        const last = followed.next();
        controller.abort();
        assert.equal((await last).done, true);
      });

      it('reads no further than it is asked', async () => {
        const { streams, log } = await startStreams();
        await streams.define({ name: 'a' });
        for (let call = 0; call < 20; call++)
          await streams.publishLines('a', Buffer.from(`"${'x'.repeat(1000)}"`));
        let fetches = 0;
        const { fetch } = log;
        log.fetch = (request) => {
          fetches++;
          return fetch.call(log, request);
        };
        const controller = new AbortController();
        const followed = streams.follow('a', { from: 'start', maxBytes: 2500, signal: controller.signal });
        for await (const { offset } of followed) {
          assert.ok(fetches <= offset + 1, `${fetches} fetches at offset ${offset}`);
          if (offset === 10) break;
        }
        assert.ok(fetches <= 6);
        controller.abort();
      });
    });

    describe('the groups of a stream', () => {
      it('are told with their lag, done records aside', async () => {
        const { streams, log } = await startStreams();
        await streams.define({ name: 'a', partitions: 2 });
        await streams.define({ name: 'b' });
        for (const partition of [0, 0, 0, 1, 1]) await streams.publish('a', [json(1, { partition })]);
        await log.groups.setOffsets('readers', [{ topic: 'a', partition: 0, offset: 1, done: [2] }]);
        await log.groups.setOffsets('others', [{ topic: 'b', partition: 0, offset: 0, done: [] }]);
        const groups = streams.groupsOf('a');
        assert.deepEqual(
          groups.map(({ group, lag, state }) => ({ group, lag, state })),
          [{ group: 'readers', lag: [1, 2], state: 'empty' }],
        );
      });
    });
  });
}
