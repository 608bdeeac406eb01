import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import { memoryDisk } from '../../adapters/memory/index.ts';
import { seededRandom } from '../../kernel/index.ts';
import { createEmbeddedLog, decodeBatches, encodeBatch, type LogTuning } from '../../streams/index.ts';
import { Fetch, NO_UUID, Produce } from '../../streams/kafka-protocol/index.ts';
import { type TestClient, testKafka } from './kafka.fixture.ts';
import { MemoryPool } from './memory-pool.ts';
import { RequestMemory } from './request-memory.ts';

const KIBIBYTE = 1024;

describe('memory of large frames', () => {
  it('is used again once it was given back, by what fits it', () => {
    const pool = new MemoryPool();
    const first = pool.take(100 * KIBIBYTE);
    assert.equal(first.length, 100 * KIBIBYTE);
    assert.ok(first.buffer.byteLength <= first.length * 1.25);
    assert.notEqual(pool.take(100 * KIBIBYTE).buffer, first.buffer);
    pool.give(first);
    assert.notEqual(pool.take(200 * KIBIBYTE).buffer, first.buffer);
    assert.equal(pool.take(99 * KIBIBYTE).buffer, first.buffer);
    assert.notEqual(pool.take(99 * KIBIBYTE).buffer, first.buffer);
  });

  it('is let go when nobody needs it for a while, and never taken from others', () => {
    const pool = new MemoryPool();
    const [first, foreign] = [pool.take(64 * KIBIBYTE), Buffer.alloc(64 * KIBIBYTE)];
    pool.give(first);
    pool.give(foreign);
    pool.trim();
    assert.equal(pool.take(64 * KIBIBYTE).buffer, first.buffer);
    assert.notEqual(pool.take(64 * KIBIBYTE).buffer, foreign.buffer);
    pool.give(first);
    pool.trim();
    pool.trim();
    assert.notEqual(pool.take(64 * KIBIBYTE).buffer, first.buffer);
  });

  it('is kept until the request is answered and all who held it are done', () => {
    const pool = new MemoryPool();
    const isFree = (frame: Buffer): boolean => pool.take(frame.length).buffer === frame.buffer;
    const frame = pool.take(64 * KIBIBYTE);
    const request = new RequestMemory(pool, frame);
    const [one, other] = [request.hold()!, request.hold()!];
    one();
    request.answered();
    assert.ok(!isFree(frame));
    other();
    assert.ok(isFree(frame));
    new RequestMemory(pool, frame).answered();
    assert.ok(!isFree(frame), 'nobody said that no view of it is left');
    assert.equal(new RequestMemory(pool, Buffer.alloc(10)).hold(), undefined);
  });
});

const TOPIC = 'reused';
const PARTITIONS = 3;
/** So small that batches leave memory all the time, and theirs is used again. */
const TUNING: Partial<LogTuning> = {
  cacheBytes: 256 * KIBIBYTE,
  flushBytes: 128 * KIBIBYTE,
  groupBytes: 512 * KIBIBYTE,
  walFileBytes: 1024 * KIBIBYTE,
  checkpointBytes: 2048 * KIBIBYTE,
};

/** Sends one request with a batch for each of some partitions: records whose every byte is the one they are told. */
async function send(client: TestClient, fill: number, sizes: readonly number[]): Promise<void> {
  const partitionData = sizes.map((size, index) => ({
    index,
    records: encodeBatch([{ key: null, value: Buffer.alloc(size, fill) }], { timeMs: 1000 }),
  }));
  const { responses } = await client.call(Produce, 9, {
    ...{ acks: -1, timeoutMs: 1000 },
    topicData: [{ name: TOPIC, topicId: NO_UUID, partitionData }],
  });
  for (const { errorCode } of responses[0]!.partitionResponses) assert.equal(errorCode, 0);
}

/** Reads a partition from an offset on; checks each record and gives the offset behind the last. */
async function readOn(client: TestClient, partition: number, fetchOffset: number): Promise<number> {
  const { responses } = await client.call(Fetch, 11, {
    ...{ maxWaitMs: 0, minBytes: 1, maxBytes: 10_000_000, forgottenTopicsData: [] },
    topics: [
      {
        topic: TOPIC,
        topicId: NO_UUID,
        partitions: [{ partition, fetchOffset, partitionMaxBytes: 400_000 }],
      },
    ],
  });
  const { errorCode, records } = responses[0]!.partitions[0]!;
  assert.equal(errorCode, 0);
  let next = fetchOffset;
  for (const { offset, value } of decodeBatches(records ?? new Uint8Array(0))) {
    assert.ok(Buffer.from(value!).equals(Buffer.alloc(value!.length, value![0])), `${partition}/${offset}`);
    next = offset + 1;
  }
  return next;
}

describe('records whose memory is used again', () => {
  it('are read as they were written, from memory and from segments, while others are written', async () => {
    await using kafka = await testKafka({
      makeLog: (parts) => createEmbeddedLog({ ...parts, disk: memoryDisk(), tuning: TUNING }),
    });
    await kafka.streams.log.topics.create({ name: TOPIC, partitions: PARTITIONS });
    const random = seededRandom(7);
    let writing = true;
    const write = async (client: TestClient, rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        const burst = Array.from({ length: 1 + random.integer(6) }, () => {
          const sizes = Array.from(
            { length: 1 + random.integer(PARTITIONS) },
            () => 1 + random.integer(150_000),
          );
          return send(client, random.integer(256), sizes);
        });
        await Promise.all(burst);
      }
    };
    const follow = async (client: TestClient, partition: number): Promise<void> => {
      let from = 0;
      for (let last = false; !last; ) {
        last = !writing;
        for (let next = await readOn(client, partition, from); next > from; ) {
          from = next;
          next = await readOn(client, partition, from);
        }
      }
      assert.equal(from, kafka.streams.log.bounds({ topic: TOPIC, partition }).highWatermark);
      for (let again = 0; again < from; ) again = await readOn(client, partition, again);
    };
    const readers = Array.from({ length: PARTITIONS }, (_, index) => follow(kafka.client(), index));
    await Promise.all([write(kafka.client(), 12), write(kafka.client(), 12)]);
    writing = false;
    await Promise.all(readers);
  });
});
