import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kafkaUnavailable, startKafka } from '../support/kafka-cluster.ts';

const skip = (await kafkaUnavailable()) ?? false;

describe("Apache Kafka's own cluster, which others are compared with", { skip }, () => {
  for (const nodes of [1, 3]) {
    it(`serves with ${nodes} node(s)`, async () => {
      await using cluster = await startKafka({ nodes });
      const bootstrap = ['--bootstrap-server', cluster.brokers.join(',')];
      await cluster.tool('org.apache.kafka.tools.TopicCommand', [
        ...bootstrap,
        ...['--create', '--topic', 'here', '--partitions', '3'],
      ]);
      const listed = await cluster.tool('org.apache.kafka.tools.TopicCommand', [...bootstrap, '--list']);
      assert.equal(listed.trim(), 'here');
    });
  }

  it('outlives one node of three', async () => {
    await using cluster = await startKafka({ nodes: 3 });
    await cluster.kill(0);
    const bootstrap = ['--bootstrap-server', cluster.brokers.join(',')];
    const create = ['--create', '--topic', 'later', '--replication-factor', '2'];
    await cluster.tool('org.apache.kafka.tools.TopicCommand', [...bootstrap, ...create]);
    await cluster.restart(0);
    const [restarted] = cluster.brokers;
    const list = ['--bootstrap-server', restarted!, '--list'];
    assert.equal((await cluster.tool('org.apache.kafka.tools.TopicCommand', list)).trim(), 'later');
  });
});
