import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type TestClient, testClient } from '../src/gateway/kafka/kafka.fixture.ts';
import { encodeBatch } from '../src/streams/index.ts';
import { ApiVersions, CreateTopics, Fetch, NO_UUID, Produce } from '../src/streams/kafka-protocol/index.ts';
import { scratchFolder } from './lib/calibration.ts';
import { bench, percentile } from './lib/harness.ts';
import { startBroker } from './lib/kafka.ts';

const PARTITIONS = 1000;
const CONNECTIONS = 200;
const PER_CONNECTION = PARTITIONS / (CONNECTIONS / 2);
const TOPIC = 'bench';

await bench({
  name: 'kafka-connections',
  question: 'What do 1,000 partitions and 200 connections that write and wait for records cost the broker?',
  leavesOut:
    'networks, TLS; 100 connections write 10 records of 100 B a second each to their 10 partitions, 100 wait for them. Stalls are seen from outside, as the time a question takes that costs nothing to answer, and hold what this process stalls itself',
  async run({ short, say }) {
    using scratch = scratchFolder();
    await using broker = await startBroker(join(scratch.path, 'data'));
    const clients = Array.from({ length: CONNECTIONS }, () => testClient(broker.address));
    const topic = {
      name: TOPIC,
      numPartitions: PARTITIONS,
      replicationFactor: 1,
      assignments: [],
      configs: [],
    };
    await clients[0]!.call(CreateTopics, 5, { topics: [topic], validateOnly: false });
    const stop = { now: false };
    say(`${PARTITIONS} partitions, ${CONNECTIONS} connections`);
    const work = clients.map((client, index) => {
      const from = (index % (CONNECTIONS / 2)) * PER_CONNECTION;
      return index < CONNECTIONS / 2 ? writeTo(client, from, stop) : readFrom(client, from, stop);
    });
    const probe = testClient(broker.address);
    await delay(short ? 500 : 3000);
    const times = await probing(probe, short ? 2000 : 20_000);
    const residentBytes = broker.residentBytes();
    stop.now = true;
    const read = (await Promise.all(work)).reduce((sum, count) => sum + count, 0);
    for (const client of [...clients, probe]) client.close();
    if (read === 0) throw new Error('Nothing was read.');
    return [
      { what: 'memory of the broker', value: residentBytes / 1024 ** 2, unit: 'MB', reach: { atMost: 400 } },
      { what: 'answer to a question that costs nothing, p99', value: percentile(times, 0.99), unit: 'ms' },
      { what: 'longest stall', value: Math.max(...times), unit: 'ms', reach: { atMost: 50 } },
    ];
  },
});

interface Stop {
  readonly now: boolean;
}

function partitionsFrom(first: number): number[] {
  return Array.from({ length: PER_CONNECTION }, (_, index) => first + index);
}

/** A record to one partition after another, ten a second; gives 0. */
async function writeTo(client: TestClient, first: number, stop: Stop): Promise<number> {
  const value = Buffer.alloc(80, 120);
  for (let turn = 0; !stop.now; turn++) {
    const batch = encodeBatch([{ key: null, value }], { timeMs: Date.now() });
    const index = first + (turn % PER_CONNECTION);
    await client.call(Produce, 9, {
      ...{ acks: -1, timeoutMs: 30_000 },
      topicData: [{ name: TOPIC, topicId: NO_UUID, partitionData: [{ index, records: batch }] }],
    });
    await delay(100);
  }
  return 0;
}

/** Reads in an incremental session; gives how many answers had records. */
async function readFrom(client: TestClient, first: number, stop: Stop): Promise<number> {
  const offsets = new Map(partitionsFrom(first).map((partition) => [partition, 0]));
  let [sessionId, sessionEpoch, seen] = [0, 0, 0];
  let changed = [...offsets.keys()];
  while (!stop.now) {
    const answer = await client.call(Fetch, 11, {
      ...{ maxWaitMs: 500, minBytes: 1, sessionId, sessionEpoch, forgottenTopicsData: [] },
      topics: [
        {
          topic: TOPIC,
          topicId: NO_UUID,
          partitions: changed.map((partition) => ({
            partition,
            fetchOffset: offsets.get(partition)!,
            partitionMaxBytes: 1_048_576,
          })),
        },
      ],
    });
    sessionId = answer.sessionId;
    sessionEpoch++;
    changed = [];
    for (const { partitionIndex, records, highWatermark } of answer.responses[0]?.partitions ?? []) {
      if (!records || records.length === 0) continue;
      seen++;
      changed.push(partitionIndex);
      offsets.set(partitionIndex, highWatermark);
    }
  }
  return seen;
}

/** How long each of many questions took, one after another, in ms. */
async function probing(client: TestClient, durationMs: number): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + durationMs;
  while (performance.now() < end) {
    const began = performance.now();
    await client.call(ApiVersions, 0, { clientSoftwareName: '', clientSoftwareVersion: '' });
    times.push(performance.now() - began);
    await delay(5);
  }
  return times;
}
