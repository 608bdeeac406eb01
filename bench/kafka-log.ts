import { Consumer, ProduceAcks, Producer } from '@platformatic/kafka';
import { kafkaLogStore } from '../src/adapters/kafka/index.ts';
import { systemClock } from '../src/kernel/index.ts';
import { encodeBatch, type LogStore, splitBatches } from '../src/streams/index.ts';
import { kafkaUnavailable, startKafka } from '../tests/support/kafka-cluster.ts';
import { scratchFolder } from './lib/calibration.ts';
import { batchMaker, openLog, stopLog } from './lib/embedded-log.ts';
import { bench, median, percentile, type Reading } from './lib/harness.ts';

const PARTITIONS = 4;
const CALLERS = 16;
const BATCH_RECORDS = 100;
const RECORD_BYTES = 1024;
const READ_BYTES = 1024 * 1024;
/** A broker that has just started runs its code interpreted: whoever came first would pay for it. */
const WARM_UP = 0.5;
const ROUNDS = 3;

/** One round of appending: BATCH_RECORDS at a time by CALLERS callers, each of which waits for its answer. */
interface Round {
  readonly perSecond: number;
  /** Time of this process's processors, for one record. */
  readonly cpuMicros: number;
  readonly timesMs: readonly number[];
}

type Append = (partition: number) => Promise<unknown>;

async function appendRound(records: number, append: Append): Promise<Round> {
  const timesMs: number[] = [];
  let left = records / BATCH_RECORDS;
  const caller = async (partition: number): Promise<void> => {
    while (left-- > 0) {
      const started = performance.now();
      await append(partition);
      timesMs.push(performance.now() - started);
    }
  };
  const before = process.cpuUsage();
  const perSecond = await rateOf(records, () =>
    Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index % PARTITIONS))),
  );
  const { user, system } = process.cpuUsage(before);
  return { perSecond, cpuMicros: (user + system) / records, timesMs };
}

async function rateOf(count: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return count / ((performance.now() - started) / 1000);
}

async function appenderTo(log: LogStore): Promise<Append> {
  await log.topics.create({ name: 'bench', partitions: PARTITIONS, config: { retentionMs: null } });
  const make = batchMaker(BATCH_RECORDS, RECORD_BYTES);
  return (partition) => log.append({ topic: 'bench', partition, batch: make(), trusted: true });
}

const readAll = (log: LogStore, records: number): Promise<number> =>
  rateOf(records, () =>
    Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => readPartition(log, partition))),
  );

async function readPartition(log: LogStore, partition: number): Promise<void> {
  const place = { topic: 'bench', partition, maxBytes: READ_BYTES, isolation: 'committed' } as const;
  for (let offset = 0; ; ) {
    const { batches } = await log.fetch({ ...place, offset });
    if (batches.length === 0) return;
    for (const { header } of splitBatches(batches)) offset = header.lastOffset + 1;
  }
}

/** Times of commits that wait for each other, and how many a second when as many are under way as there are callers. */
async function commitTimes(log: LogStore, commits: number): Promise<{ timesMs: number[]; rate: number }> {
  const member = await log.join('bench', ['bench']);
  const assignment = member.assignment!;
  let offset = 0;
  const commit = async (): Promise<void> => {
    const value = Buffer.from(`${++offset}`);
    await assignment.commit({
      appends: [{ topic: 'bench', partition: 0, batch: encodeBatch([{ value }], { timeMs: Date.now() }) }],
      offsets: [{ topic: 'bench', partition: 0, offset, done: [] }],
      state: [{ store: 's', partition: 0, key: Buffer.from('k'), value }],
    });
  };
  const timesMs: number[] = [];
  while (timesMs.length < commits) {
    const started = performance.now();
    await commit();
    timesMs.push(performance.now() - started);
  }
  let left = commits * 10;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await commit();
  };
  const rate = await rateOf(commits * 10, () => Promise.all(Array.from({ length: CALLERS }, caller)));
  await member.leave();
  return { timesMs, rate };
}

interface Peer extends AsyncDisposable {
  readonly append: Append;
  /** Reads all that it appended. */
  read(records: number): Promise<number>;
}

/** @platformatic/kafka, which takes and gives records, not batches. */
async function startPeer(brokers: readonly string[]): Promise<Peer> {
  const value = Buffer.alloc(RECORD_BYTES, 'x');
  const options = { clientId: 'bench', bootstrapBrokers: [...brokers] };
  const producer = new Producer({ ...options, autocreateTopics: true, idempotent: true });
  const send = (partition: number, count: number): Promise<unknown> => {
    const messages = Array.from({ length: count }, () => ({ topic: 'peer', value, partition }));
    return producer.send({ messages, acks: ProduceAcks.ALL });
  };
  await send(0, 1);
  return {
    append: (partition) => send(partition, BATCH_RECORDS),
    async read(records) {
      const consumer = new Consumer({ ...options, groupId: 'peer' });
      const rate = await rateOf(records, async () => {
        const stream = await consumer.consume({ topics: ['peer'], mode: 'earliest', autocommit: false });
        let seen = 0;
        for await (const _ of stream) if (++seen >= records) break;
        await stream.close();
      });
      await consumer.close(true);
      return rate;
    },
    async [Symbol.asyncDispose]() {
      await producer.close();
    },
  };
}

/** Both in turns, so that what the machine does meanwhile falls on both. */
async function sideBySide(records: number, ours: Append, theirs: Append) {
  const rounds: { ours: Round; theirs: Round }[] = [];
  for (const append of [ours, theirs]) await appendRound(records * WARM_UP, append);
  for (let round = 0; round < ROUNDS; round++) {
    const own = await appendRound(records, ours);
    rounds.push({ ours: own, theirs: await appendRound(records, theirs) });
  }
  return rounds;
}

function appendReadings(name: string, rounds: readonly Round[]): Reading[] {
  const times = rounds.flatMap(({ timesMs }) => timesMs);
  const of = (figure: (round: Round) => number): number => median(rounds.map(figure));
  return [
    { what: `${name}: appended`, value: of(({ perSecond }) => perSecond), unit: 'records/s' },
    {
      what: `${name}: processor time of the client`,
      value: of(({ cpuMicros }) => cpuMicros),
      unit: 'µs/record',
    },
    { what: `${name}: an append of ${BATCH_RECORDS}, p50`, value: percentile(times, 0.5), unit: 'ms' },
    { what: `${name}: an append of ${BATCH_RECORDS}, p99`, value: percentile(times, 0.99), unit: 'ms' },
  ];
}

await bench({
  name: 'kafka-log',
  question:
    'What does the log do in an Apache Kafka cluster, beside the embedded one and beside another client?',
  leavesOut:
    'Networks and replicas: the cluster is one broker on this machine, which shares its cores and does not sync before it answers, where the embedded log does. The other client makes batches of records and records of batches; the log hands batches through, as its port does, so who reads it still has them to decode. Both are idempotent producers with acks=all. Ratios are medians of rounds in turns, after a warm-up of the broker. Reading by the other client includes joining its group.',
  async run({ short, say }): Promise<readonly Reading[]> {
    const reason = await kafkaUnavailable();
    if (reason !== undefined) {
      say(`left out: ${reason}`);
      return [];
    }
    const records = short ? 20_000 : 200_000;
    const commits = short ? 20 : 300;
    const all = records * (WARM_UP + ROUNDS);
    using folder = scratchFolder();
    say('embedded');
    const embedded = await openLog(folder.path);
    const appended = await appendRound(all, await appenderTo(embedded));
    const embeddedRead = await readAll(embedded, all);
    const embeddedCommits = await commitTimes(embedded, commits);
    await stopLog(embedded);
    await using cluster = await startKafka({ heapMb: 1024, properties: { 'num.partitions': PARTITIONS } });
    say('Apache Kafka, by Millrace and by @platformatic/kafka in turns');
    const log = kafkaLogStore({ brokers: cluster.brokers, clock: systemClock() });
    await log.start?.();
    await using peer = await startPeer(cluster.brokers);
    const rounds = await sideBySide(records, await appenderTo(log), peer.append);
    const read = await readAll(log, all);
    const theirRead = await peer.read(all);
    const onKafka = await commitTimes(log, commits);
    await log.stop?.(AbortSignal.timeout(5_000));
    const ratio = (what: string, value: number, reach: Reading['reach']): Reading => ({
      ...{ what, value, unit: 'ratio' },
      ...(reach ? { reach } : {}),
    });
    const perSecond = (what: string, value: number): Reading => ({ what, value, unit: 'records/s' });
    const commitReadings = (name: string, { timesMs, rate }: typeof onKafka): Reading[] => [
      { what: `${name}: a commit, p50`, value: percentile(timesMs, 0.5), unit: 'ms' },
      { what: `${name}: a commit, p99`, value: percentile(timesMs, 0.99), unit: 'ms' },
      { what: `${name}: commits by ${CALLERS} callers`, value: rate, unit: 'commits/s' },
    ];
    return [
      perSecond('embedded: appended, synced', appended.perSecond),
      ...appendReadings(
        '@platformatic/kafka',
        rounds.map(({ theirs }) => theirs),
      ),
      ...appendReadings(
        'on Kafka',
        rounds.map(({ ours }) => ours),
      ),
      ratio(
        'appended, of the other client',
        median(rounds.map(({ ours, theirs }) => ours.perSecond / theirs.perSecond)),
        { atLeast: 1 },
      ),
      ratio(
        'processor time of a record, of the other client',
        median(rounds.map(({ ours, theirs }) => ours.cpuMicros / theirs.cpuMicros)),
        { atMost: 1 },
      ),
      perSecond('embedded: read', embeddedRead),
      perSecond('@platformatic/kafka: read', theirRead),
      perSecond('on Kafka: read', read),
      ratio('read, of the other client', read / theirRead, { atLeast: 1 }),
      ...commitReadings('embedded', embeddedCommits),
      ...commitReadings('on Kafka', onKafka),
    ];
  },
});
