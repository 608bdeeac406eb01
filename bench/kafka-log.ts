import { Consumer, ProduceAcks, Producer } from '@platformatic/kafka';
import { kafkaLogStore } from '../src/adapters/kafka/index.ts';
import { systemClock } from '../src/kernel/index.ts';
import { encodeBatch, type LogStore, splitBatches } from '../src/streams/index.ts';
import { kafkaUnavailable, startKafka } from '../tests/support/kafka-cluster.ts';
import { scratchFolder } from './lib/calibration.ts';
import { batchMaker, openLog, stopLog } from './lib/embedded-log.ts';
import { bench, median, type Reading } from './lib/harness.ts';

const PARTITIONS = 4;
const CALLERS = 16;
const BATCH_RECORDS = 100;
const RECORD_BYTES = 1024;
const READ_BYTES = 1024 * 1024;

interface Figures {
  readonly appended: number;
  readonly read: number;
  readonly commitMs: number;
}

/** Records a second appended by 16 callers and read again, and the median time of a commit on its own. */
async function measure(log: LogStore, records: number, commits: number): Promise<Figures> {
  await log.topics.create({ name: 'bench', partitions: PARTITIONS, config: { retentionMs: null } });
  const make = batchMaker(BATCH_RECORDS, RECORD_BYTES);
  let left = records / BATCH_RECORDS;
  const caller = async (partition: number): Promise<void> => {
    while (left-- > 0) await log.append({ topic: 'bench', partition, batch: make(), trusted: true });
  };
  const appended = await rateOf(records, () =>
    Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index % PARTITIONS))),
  );
  const read = await rateOf(records, () =>
    Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => readAll(log, partition))),
  );
  return { appended, read, commitMs: await commitTime(log, commits) };
}

async function rateOf(records: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return records / ((performance.now() - started) / 1000);
}

async function readAll(log: LogStore, partition: number): Promise<void> {
  for (let offset = 0; ; ) {
    const request = {
      topic: 'bench',
      partition,
      offset,
      maxBytes: READ_BYTES,
      isolation: 'committed',
    } as const;
    const { batches } = await log.fetch(request);
    if (batches.length === 0) return;
    for (const { header } of splitBatches(batches)) offset = header.lastOffset + 1;
  }
}

async function commitTime(log: LogStore, commits: number): Promise<number> {
  const member = await log.join('bench', ['bench']);
  const assignment = member.assignment!;
  const times: number[] = [];
  for (let offset = 1; offset <= commits; offset++) {
    const batch = encodeBatch([{ value: Buffer.from(`${offset}`) }], { timeMs: Date.now() });
    const started = performance.now();
    await assignment.commit({
      appends: [{ topic: 'bench', partition: 0, batch }],
      offsets: [{ topic: 'bench', partition: 0, offset, done: [] }],
      state: [{ store: 's', partition: 0, key: Buffer.from('k'), value: Buffer.from(`${offset}`) }],
    });
    times.push(performance.now() - started);
  }
  await member.leave();
  return median(times);
}

/** The same records through @platformatic/kafka, which takes and gives records, not batches. */
async function peer(brokers: readonly string[], records: number): Promise<Omit<Figures, 'commitMs'>> {
  const value = Buffer.alloc(RECORD_BYTES, 'x');
  const options = { clientId: 'bench', bootstrapBrokers: [...brokers] };
  const producer = new Producer({ ...options, autocreateTopics: true });
  let left = records / BATCH_RECORDS;
  const caller = async (partition: number): Promise<void> => {
    while (left-- > 0) {
      const messages = Array.from({ length: BATCH_RECORDS }, () => ({ topic: 'peer', value, partition }));
      await producer.send({ messages, acks: ProduceAcks.ALL });
    }
  };
  await producer.send({ messages: [{ topic: 'peer', value, partition: 0 }], acks: ProduceAcks.ALL });
  const appended = await rateOf(records, () =>
    Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index % PARTITIONS))),
  );
  await producer.close();
  const consumer = new Consumer({ ...options, groupId: 'peer' });
  const read = await rateOf(records, async () => {
    const stream = await consumer.consume({ topics: ['peer'], mode: 'earliest', autocommit: false });
    let seen = 0;
    for await (const _ of stream) if (++seen >= records) break;
    await stream.close();
  });
  await consumer.close(true);
  return { appended, read };
}

await bench({
  name: 'kafka-log',
  question:
    'What does the log do in an Apache Kafka cluster, beside the embedded one and beside another client?',
  leavesOut:
    'Networks and replicas: the cluster is one broker on this machine, which shares its cores and does not sync before it answers, where the embedded log does. The other client makes batches of records and records of batches; the log hands batches through, as its port does, so who reads it still has them to decode. Reading by the other client includes joining its group.',
  async run({ short, say }): Promise<readonly Reading[]> {
    const reason = await kafkaUnavailable();
    if (reason !== undefined) {
      say(`left out: ${reason}`);
      return [];
    }
    const records = short ? 20_000 : 400_000;
    const commits = short ? 20 : 300;
    using folder = scratchFolder();
    say('embedded');
    const embeddedLog = await openLog(folder.path);
    const embedded = await measure(embeddedLog, records, commits);
    await stopLog(embeddedLog);
    await using cluster = await startKafka({ heapMb: 1024, properties: { 'num.partitions': PARTITIONS } });
    say('Apache Kafka');
    const log = kafkaLogStore({ brokers: cluster.brokers, clock: systemClock() });
    await log.start?.();
    const ours = await measure(log, records, commits);
    await log.stop?.(AbortSignal.timeout(5_000));
    say('@platformatic/kafka');
    const theirs = await peer(cluster.brokers, records);
    const perSecond = (what: string, value: number): Reading => ({ what, value, unit: 'records/s' });
    return [
      perSecond('embedded: appended, synced', embedded.appended),
      perSecond('@platformatic/kafka: appended', theirs.appended),
      perSecond('on Kafka: appended', ours.appended),
      {
        what: 'appended, of the other client',
        value: ours.appended / theirs.appended,
        unit: 'ratio',
        reach: { atLeast: 1 },
      },
      perSecond('embedded: read', embedded.read),
      perSecond('@platformatic/kafka: read', theirs.read),
      perSecond('on Kafka: read', ours.read),
      {
        what: 'read, of the other client',
        value: ours.read / theirs.read,
        unit: 'ratio',
        reach: { atLeast: 1 },
      },
      { what: 'embedded: a commit, p50', value: embedded.commitMs, unit: 'ms' },
      { what: 'on Kafka: a commit, p50', value: ours.commitMs, unit: 'ms' },
    ];
  },
});
