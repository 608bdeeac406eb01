import { join } from 'node:path';
import { fsyncLatency, fsyncReadings, scratchFolder, sequentialWrite } from './lib/calibration.ts';
import { bench, type Reading } from './lib/harness.ts';
import { besideKafka, kcatUnavailable, startBroker, timeKcat, writeLines } from './lib/kafka.ts';
import { besideNats, type NatsPeer } from './lib/nats.ts';

/** JetStream with `sync_interval: always` syncs for every record. */
const NATS_SYNCED_COUNT = 5_000;

await bench({
  name: 'kafka-produce',
  question:
    'How many records a second does kcat write with acks=all, each on disk before it is acknowledged?',
  leavesOut:
    'networks, TLS, several producers; kcat, the mock broker in its process and the brokers share the cores of one machine; Apache Kafka acknowledges from memory, its default, and so does NATS JetStream, whose client is its own, in Go, with 10,000 records in flight',
  async run({ short, say }) {
    const missing = kcatUnavailable();
    if (missing) {
      say(missing);
      return [];
    }
    using scratch = scratchFolder();
    const fsync = await fsyncLatency(scratch.path);
    const sequential = await sequentialWrite(scratch.path, short ? 64 * 1024 ** 2 : undefined);
    const small = { bytes: 100, count: short ? 200_000 : 4_000_000 };
    const large = { bytes: 1000, count: short ? 30_000 : 600_000 };
    const files = [small, large].map(({ bytes, count }) => writeLines(scratch.path, count, bytes));
    const write = async (where: readonly string[], at: 0 | 1): Promise<number> => {
      const { count } = [small, large][at]!;
      const words = [...where, '-P', '-t', `bench-${at}`, '-X', 'acks=all', '-l', files[at]!];
      return count / (await timeKcat(words));
    };
    const both = async (address: string) => {
      const where = ['-b', address];
      // The first records make the topic and bring the code up to speed.
      await write(where, 1);
      return { small: await write(where, 0), large: await write(where, 1) };
    };
    say("librdkafka's mock broker, in kcat's own process");
    const mock = await write(['-b', 'mock', '-X', 'test.mock.num.brokers=1'], 0);
    say('millrace');
    const ours = await (async () => {
      await using broker = await startBroker(join(scratch.path, 'data'));
      return await both(broker.address);
    })();
    const kafka = short ? undefined : await besideKafka(say, both);
    const publish = (most: number) => async (peer: NatsPeer) => ({
      small: await peer.publish('small', small.bytes, Math.min(most, small.count)),
      large: await peer.publish('large', large.bytes, Math.min(most, large.count)),
    });
    const nats = await besideNats({ short, say }, 'default', publish(small.count / 4));
    const natsSynced = await besideNats({ short, say }, 'always', publish(NATS_SYNCED_COUNT));
    const megabytes = (rate: number): number => (rate * large.bytes) / 1e6;
    const peer = (what: string, value: number | undefined, unit: string): Reading[] =>
      value === undefined ? [] : [{ what: `peer: ${what}`, value, unit }];
    return [
      ...fsyncReadings(fsync),
      { what: 'calibration: sequential write', value: sequential / 1e6, unit: 'MB/s' },
      { what: "calibration: kcat to librdkafka's mock broker, 100 B", value: mock, unit: 'records/s' },
      {
        what: '100 B',
        value: ours.small,
        unit: 'records/s',
        reach: { atLeast: Math.min(750_000, 0.9 * mock) },
      },
      ...peer('Apache Kafka, 100 B', kafka?.small, 'records/s'),
      ...peer('NATS JetStream, 100 B', nats?.small, 'records/s'),
      ...peer('NATS JetStream that syncs before it acknowledges, 100 B', natsSynced?.small, 'records/s'),
      ...(kafka
        ? [
            {
              what: '100 B against Apache Kafka',
              value: ours.small / kafka.small,
              unit: 'ratio',
              reach: { atLeast: 1 },
            },
          ]
        : []),
      {
        what: '1 KB',
        value: megabytes(ours.large),
        unit: 'MB/s',
        reach: { atLeast: Math.min(200, (0.8 * 0.5 * sequential) / 1e6) },
      },
      ...peer('Apache Kafka, 1 KB', kafka && megabytes(kafka.large), 'MB/s'),
      ...peer('NATS JetStream, 1 KB', nats && megabytes(nats.large), 'MB/s'),
      ...peer(
        'NATS JetStream that syncs before it acknowledges, 1 KB',
        natsSynced && megabytes(natsSynced.large),
        'MB/s',
      ),
    ];
  },
});
