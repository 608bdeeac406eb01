import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type TestClient, testClient } from '../src/gateway/kafka/kafka.fixture.ts';
import { encodeBatch } from '../src/streams/index.ts';
import { Fetch, ListOffsets, Metadata, NO_UUID, Produce } from '../src/streams/kafka-protocol/index.ts';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench, median, percentile } from './lib/harness.ts';
import { startBroker } from './lib/kafka.ts';

const TOPIC = 'bench';
const RECORD_BYTES = 1000;
const RATE = 20_000;
const TICK_MS = 5;

await bench({
  name: 'kafka-latency',
  question:
    'How long does one record take to be acknowledged, and 20,000 a second of 1 KB from a Kafka producer to a Kafka consumer?',
  leavesOut:
    'networks, TLS, compression, what client libraries add; the client is one connection that writes and one that reads, in one process',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const before = await fsyncLatency(scratch.path);
    await using broker = await startBroker(join(scratch.path, 'data'));
    const [writer, reader] = [testClient(broker.address), testClient(broker.address)];
    await makeTopic(writer);
    say('one record at a time');
    await acks(writer, 200);
    const ack = await acks(writer, short ? 200 : 2000);
    say(`${RATE} records/s`);
    const seconds = short ? 2 : 20;
    const endToEnd = await flow(writer, reader, seconds);
    writer.close();
    reader.close();
    const after = await fsyncLatency(scratch.path);
    // The disk is shared: what it does before and after is what it does meanwhile, as far as anyone can tell.
    const fsync = { p50Ms: (before.p50Ms + after.p50Ms) / 2, p99Ms: Math.max(before.p99Ms, after.p99Ms) };
    return [
      ...fsyncReadings(fsync),
      {
        what: 'ack of one record, p50',
        value: median(ack),
        unit: 'ms',
        reach: { atMost: 1.5 * fsync.p50Ms },
      },
      { what: 'ack of one record, p99', value: percentile(ack, 0.99), unit: 'ms' },
      { what: 'end to end, p50', value: median(endToEnd), unit: 'ms' },
      {
        what: 'end to end, p99',
        value: percentile(endToEnd, 0.99),
        unit: 'ms',
        reach: { atMost: 2 * fsync.p99Ms + 10 },
      },
    ];
  },
});

async function makeTopic(client: TestClient): Promise<void> {
  await client.call(Metadata, 9, {
    topics: [{ topicId: NO_UUID, name: TOPIC }],
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  });
}

function batchOf(count: number): Uint8Array {
  const value = Buffer.alloc(RECORD_BYTES - 20, 120);
  return encodeBatch(
    Array.from({ length: count }, () => ({ key: null, value })),
    { timeMs: Date.now() },
  );
}

async function write(client: TestClient, batch: Uint8Array): Promise<number> {
  const { responses } = await client.call(Produce, 9, {
    ...{ acks: -1, timeoutMs: 30_000 },
    topicData: [{ name: TOPIC, topicId: NO_UUID, partitionData: [{ index: 0, records: batch }] }],
  });
  const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!;
  if (errorCode !== 0) throw new Error(`Error ${errorCode}`);
  return baseOffset;
}

/** How long each acknowledgement took, in ms. */
async function acks(client: TestClient, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const began = performance.now();
    await write(client, batchOf(1));
    times.push(performance.now() - began);
  }
  return times;
}

/** From the moment a batch was due to be sent until its last record was read, in ms, batch by batch. */
async function flow(writer: TestClient, reader: TestClient, seconds: number): Promise<number[]> {
  const perBatch = (RATE * TICK_MS) / 1000;
  const batches = (seconds * 1000) / TICK_MS;
  const began = performance.now() + 100;
  let from = await endOf(reader);
  const first = from;
  const writing = (async () => {
    const acknowledged: Promise<number>[] = [];
    for (let index = 0; index < batches; index++) {
      const waitMs = began + index * TICK_MS - performance.now();
      if (waitMs > 0.5) await delay(waitMs);
      acknowledged.push(write(writer, batchOf(perBatch)));
    }
    await Promise.all(acknowledged);
  })();
  const times: number[] = [];
  while (from < first + batches * perBatch) {
    const end = await readFrom(reader, from);
    const now = performance.now();
    for (let offset = from; offset < end; offset += perBatch) {
      times.push(now - began - ((offset - first) / perBatch) * TICK_MS);
    }
    from = end;
  }
  await writing;
  return times;
}

async function endOf(client: TestClient): Promise<number> {
  const { topics } = await client.call(ListOffsets, 7, {
    ...{ replicaId: -1, isolationLevel: 0, timeoutMs: 1000 },
    topics: [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  });
  return topics[0]!.partitions[0]!.offset;
}

/** Waits for records from an offset on; gives the offset behind the last. */
async function readFrom(client: TestClient, fetchOffset: number): Promise<number> {
  const { responses } = await client.call(Fetch, 11, {
    ...{ maxWaitMs: 500, minBytes: 1, maxBytes: 50_000_000, forgottenTopicsData: [] },
    topics: [
      {
        topic: TOPIC,
        topicId: NO_UUID,
        partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 10_000_000 }],
      },
    ],
  });
  const records = responses[0]?.partitions[0]?.records;
  if (!records || records.length === 0) return fetchOffset;
  const view = Buffer.from(records.buffer, records.byteOffset, records.length);
  let end = fetchOffset;
  for (let at = 0; at < view.length; at += 12 + view.readInt32BE(at + 8)) {
    end = Number(view.readBigInt64BE(at)) + view.readInt32BE(at + 23) + 1;
  }
  return end;
}
