import { after, before, describe } from 'node:test';
import { kafkaLogStore } from '../../src/adapters/kafka/index.ts';
import { type Clock, manualClock, systemClock } from '../../src/kernel/index.ts';
import { logStoreContract } from '../../src/streams/port.contract.ts';
import { type KafkaCluster, kafkaUnavailable, startKafka } from '../support/kafka-cluster.ts';

const skip = (await kafkaUnavailable()) ?? false;
/** The cluster's own time cannot be moved; what waits for it has to be short. */
const QUICK = {
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': 200,
  // Records of these tests are from 1970: retention would take them away.
  'log.initial.task.delay.ms': 3_600_000,
  'group.min.session.timeout.ms': 1_000,
};

for (const nodes of [1, 3]) {
  describe(`Apache Kafka, ${nodes} node(s)`, { skip }, () => {
    let cluster: KafkaCluster;
    let tests = 0;
    before(async () => {
      cluster = await startKafka({ nodes, properties: QUICK });
    });
    after(() => cluster?.stop());

    logStoreContract(`Kafka, ${nodes} node(s)`, async (t) => {
      const clock = manualClock();
      const options = { brokers: cluster.brokers, prefix: `t${++tests}.`, clock: withOwnTimers(clock) };
      let store = kafkaLogStore(options);
      await store.start?.();
      t.after(() => store.stop?.(AbortSignal.timeout(5_000)));
      return {
        store,
        clock,
        differs: 'kafka',
        async reopen() {
          await store.stop?.(AbortSignal.timeout(5_000));
          store = kafkaLogStore(options);
          await store.start?.();
          return store;
        },
      };
    });
  });
}

/** The test tells the time, the machine lets it pass. */
function withOwnTimers(clock: Clock): Clock {
  return { ...systemClock(), now: () => clock.now() };
}
