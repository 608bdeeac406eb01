import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type TestClient, testClient } from '../src/gateway/kafka/kafka.fixture.ts';
import { encodeBatch } from '../src/streams/index.ts';
import { Fetch, ListOffsets, Metadata, NO_UUID, Produce } from '../src/streams/kafka-protocol/index.ts';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench, median, percentile, type Reading } from './lib/harness.ts';
import { besideKafka, startBroker } from './lib/kafka.ts';
import { besideNats } from './lib/nats.ts';

const TOPIC = 'bench';
const RECORD_BYTES = 1000;
const RATE = 20_000;
const TICK_MS = 5;
/** More than a broker gives at once. */
const ANSWER_BYTES = 12_000_000;

/** Both sides compile what they run often meanwhile. */
const WARM_UP_SECONDS = 2;

/** How many records one at a time, and how many seconds of a stream of them. */
const scaleOf = (short: boolean): [count: number, seconds: number] => (short ? [200, 2] : [2000, 20]);

await bench({
  name: 'kafka-latency',
  question:
    'How long does one record take to be acknowledged, and 20,000 a second of 1 KB from a Kafka producer to a Kafka consumer?',
  leavesOut:
    'networks, TLS, compression, what client libraries add; the client is one connection that writes and one that reads, in one process; Apache Kafka and NATS JetStream acknowledge from memory, their default; NATS JetStream has its own client in Go, and cannot sync for each of 20,000 records a second, so end to end it is measured with its default alone',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const before = await fsyncLatency(scratch.path);
    const ours = await (async () => {
      await using broker = await startBroker(join(scratch.path, 'data'));
      return await measure(broker.address, short, say);
    })();
    const after = await fsyncLatency(scratch.path);
    // The disk is shared: what it does before and after is what it does meanwhile, as far as anyone can tell.
    const fsync = { p50Ms: (before.p50Ms + after.p50Ms) / 2, p99Ms: Math.max(before.p99Ms, after.p99Ms) };
    const kafka = short ? undefined : await besideKafka(say, (address) => measure(address, short, say));
    const [count, seconds] = scaleOf(short);
    const nats = await besideNats({ short, say }, 'default', async (peer) => ({
      ack: await peer.acks('acks', RECORD_BYTES, count),
      endToEnd: await peer.flow('flow', RECORD_BYTES, RATE, seconds),
    }));
    const natsSynced = await besideNats({ short, say }, 'always', (peer) =>
      peer.acks('acks', RECORD_BYTES, count),
    );
    return [
      ...fsyncReadings(fsync),
      {
        what: 'ack of one record, p50',
        value: median(ours.ack),
        unit: 'ms',
        reach: { atMost: 1.5 * fsync.p50Ms },
      },
      { what: 'ack of one record, p99', value: percentile(ours.ack, 0.99), unit: 'ms' },
      { what: 'end to end, p50', value: median(ours.endToEnd), unit: 'ms' },
      {
        what: 'end to end, p99',
        value: percentile(ours.endToEnd, 0.99),
        unit: 'ms',
        reach: { atMost: 2 * fsync.p99Ms + 10 },
      },
      ...peer('Apache Kafka, ack of one record', kafka?.ack),
      ...peer('Apache Kafka, end to end', kafka?.endToEnd),
      ...peer('NATS JetStream, ack of one record', nats?.ack),
      ...peer('NATS JetStream that syncs before it acknowledges, ack of one record', natsSynced),
      ...peer('NATS JetStream, end to end', nats?.endToEnd),
    ];
  },
});

async function measure(address: string, short: boolean, say: (line: string) => void) {
  const [count, seconds] = scaleOf(short);
  // One answer at a time is looked at, so that one piece of memory does for all: the client's own collector should not be measured.
  const memory = Buffer.allocUnsafeSlow(ANSWER_BYTES);
  const [writer, reader] = [
    testClient(address),
    testClient(address, 'reader', (bytes) => memory.subarray(0, bytes)),
  ];
  await makeTopic(writer);
  say('one record at a time');
  await acks(writer, 200);
  const ack = await acks(writer, count);
  say(`${RATE} records/s`);
  await flow(writer, reader, WARM_UP_SECONDS);
  const endToEnd = await flow(writer, reader, seconds);
  writer.close();
  reader.close();
  return { ack, endToEnd };
}

function peer(what: string, timesMs: readonly number[] | undefined): Reading[] {
  if (timesMs === undefined) return [];
  return [
    { what: `peer: ${what}, p50`, value: median(timesMs), unit: 'ms' },
    { what: `peer: ${what}, p99`, value: percentile(timesMs, 0.99), unit: 'ms' },
  ];
}

async function makeTopic(client: TestClient): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { topics } = await client.call(Metadata, 9, {
      topics: [{ topicId: NO_UUID, name: TOPIC }],
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    });
    const [topic] = topics;
    if (topic?.errorCode === 0 && topic.partitions[0]?.errorCode === 0) return;
    // Apache Kafka answers before it has made the topic.
    await delay(100);
  }
  throw new Error(`There is no topic '${TOPIC}' after 10 seconds.`);
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
  const batch = batchOf(1);
  for (let index = 0; index < count; index++) {
    const began = performance.now();
    await write(client, batch);
    times.push(performance.now() - began);
  }
  return times;
}

/** From the moment a batch was due to be sent until its last record was read, in ms, batch by batch. */
async function flow(writer: TestClient, reader: TestClient, seconds: number): Promise<number[]> {
  const perBatch = (RATE * TICK_MS) / 1000;
  const batch = batchOf(perBatch);
  const batches = (seconds * 1000) / TICK_MS;
  const began = performance.now() + 100;
  let from = await endOf(reader);
  const first = from;
  const writing = (async () => {
    const acknowledged: Promise<number>[] = [];
    for (let index = 0; index < batches; index++) {
      const waitMs = began + index * TICK_MS - performance.now();
      if (waitMs > 0.5) await delay(waitMs);
      acknowledged.push(write(writer, batch));
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
