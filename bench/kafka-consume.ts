import { join } from 'node:path';
import { scratchFolder } from './lib/calibration.ts';
import { bench } from './lib/harness.ts';
import { besideKafka, kcatUnavailable, startBroker, timeKcat, writeLines } from './lib/kafka.ts';
import { besideNats } from './lib/nats.ts';

await bench({
  name: 'kafka-consume',
  question: 'How many records of 100 B a second does kcat read?',
  leavesOut:
    'networks, TLS, cold disks, several consumers; kcat writes what it reads to /dev/null and shares the cores with the broker. NATS JetStream is read by its own client in Go. The mock broker of librdkafka keeps 5 MB of a partition, which kcat has read before it is up to speed, so it cannot serve as a scale',
  async run({ short, say }) {
    const missing = kcatUnavailable();
    if (missing) {
      say(missing);
      return [];
    }
    using scratch = scratchFolder();
    const count = short ? 200_000 : 4_000_000;
    const file = writeLines(scratch.path, count, 100);
    const read = async (address: string): Promise<number> => {
      await timeKcat(['-b', address, '-P', '-t', 'bench', '-X', 'acks=all', '-l', file]);
      const words = ['-b', address, '-C', '-t', 'bench', '-o', 'beginning', '-e', '-q'];
      await timeKcat(words);
      return count / (await timeKcat(words));
    };
    say('millrace');
    const ours = await (async () => {
      await using broker = await startBroker(join(scratch.path, 'data'));
      return await read(broker.address);
    })();
    const kafka = short ? undefined : await besideKafka(say, read);
    const nats = await besideNats({ short, say }, 'default', async (peer) => {
      const written = count / 4;
      await peer.publish('bench', 100, written);
      await peer.consume('bench', written);
      return await peer.consume('bench', written);
    });
    const peer = (what: string, value: number | undefined) =>
      value === undefined ? [] : [{ what: `peer: ${what}, records read`, value, unit: 'records/s' }];
    return [
      { what: 'records read', value: ours, unit: 'records/s', reach: { atLeast: 1_000_000 } },
      ...peer('Apache Kafka', kafka),
      ...peer('NATS JetStream', nats),
    ];
  },
});
