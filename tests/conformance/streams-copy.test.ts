import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { createPlatform, loadConfig } from '../../src/main.ts';
import { encodeBatch, type LogStore } from '../../src/streams/index.ts';
import { kafkaUnavailable, startKafka } from '../support/kafka-cluster.ts';

const skip = (await kafkaUnavailable()) ?? false;
const PROGRAM = new URL('../../bin/millrace.js', import.meta.url).pathname;

describe('moving up: streams copied to Apache Kafka by the command line', { skip }, () => {
  it('arrive with settings, records and positions, once however often the command runs', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-copy-'));
    await using cluster = await startKafka();
    const flags = { data: join(folder, 'data'), 'edge-port': 'off', 'api-port': '0', 'kafka-port': '0' };
    const platform = createPlatform(await loadConfig({ flags, env: {}, folder }));
    await platform.start();
    try {
      const { streams } = platform;
      await streams.define({ name: 'payments', partitions: 3, keyPath: '/card', retentionMs: 86_400_000 });
      const lines = (from: number): string =>
        Array.from({ length: 3000 }, (_, index) => `{"card":"c${index % 97}","n":${from + index}}`).join(
          '\n',
        );
      await streams.publishLines('payments', Buffer.from(lines(0)));
      await transaction(streams.log);
      const { highWatermark } = streams.log.bounds({ topic: 'payments', partition: 1 });
      const place = { topic: 'payments', partition: 1, done: [] };
      await streams.log.groups.setOffsets('readers', [{ ...place, offset: highWatermark - 10 }]);

      const words = ['streams', 'copy', '--to', `kafka://${cluster.brokers[0]}`, '--json'];
      const copy = async () => {
        const run = promisify(execFile);
        const all = [PROGRAM, ...words, '--url', platform.addresses.api!];
        const { stdout } = await run(process.execPath, all, { timeout: 120_000 });
        return JSON.parse(stdout);
      };
      const first = await copy();
      assert.deepEqual([first.topics, first.partitions, first.records, first.groups], [2, 4, 3001, 1]);
      await streams.publishLines('payments', Buffer.from(lines(3000)));
      const second = await copy();
      assert.deepEqual([second.records, second.recordsBefore], [3000, 3001]);
      assert.equal((await copy()).records, 0);

      const tool = (name: string, ...more: string[]) =>
        cluster.tool(name, ['--bootstrap-server', cluster.brokers[0]!, ...more]);
      const topic = await tool('org.apache.kafka.tools.TopicCommand', '--describe', '--topic', 'payments');
      assert.match(topic, /PartitionCount: 3/);
      assert.match(topic, /retention\.ms=86400000/);
      const ends = await tool('org.apache.kafka.tools.GetOffsetShell', '--topic', 'payments');
      const here = [0, 1, 2].map(
        (partition) => streams.log.bounds({ topic: 'payments', partition }).highWatermark,
      );
      assert.deepEqual(
        ends.trim().split('\n').sort(),
        here.map((end, partition) => `payments:${partition}:${end}`),
      );
      const group = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand';
      const positions = await tool(group, '--describe', '--group', 'readers', '--offsets');
      assert.match(positions, new RegExp(`payments\\s+1\\s+${highWatermark - 10}\\s`));
      const read = [
        '--topic',
        'payments',
        '--from-beginning',
        '--max-messages',
        '6000',
        '--timeout-ms',
        '30000',
      ];
      const consumed = await tool('org.apache.kafka.tools.consumer.ConsoleConsumer', ...read);
      const numbers = consumed
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line).n as number);
      assert.deepEqual(
        numbers.sort((left, right) => left - right),
        Array.from({ length: 6000 }, (_, index) => index),
      );
    } finally {
      await platform.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** A stream with an aborted transaction and a committed one: of the two records one is to arrive. */
async function transaction(log: LogStore): Promise<void> {
  await log.topics.create({ name: 'ledger', partitions: 1 });
  for (const outcome of ['abort', 'commit'] as const) {
    const producer = await log.producers.init({ transactionalId: 't' });
    await log.producers.addPartitions('t', producer, [{ topic: 'ledger', partition: 0 }]);
    const options = { timeMs: 1, producer: { ...producer, sequence: 0 }, transactional: true };
    const batch = encodeBatch([{ value: Buffer.from(outcome) }], options);
    await log.append({ topic: 'ledger', partition: 0, batch });
    await log.producers.end('t', producer, outcome);
  }
}
