/** The Kafka port over a log on disk, until it is killed. Says on standard output where it is. */
import { memoryStateStore } from '../../../src/adapters/memory/index.ts';
import { kafkaSection } from '../../../src/gateway/kafka/config.ts';
import { createKafka } from '../../../src/gateway/kafka/kafka.ts';
import { createTokens } from '../../../src/govern/index.ts';
import { createIds, resolveConfig, systemClock, systemRandom } from '../../../src/kernel/index.ts';
import { createStreams } from '../../../src/streams/index.ts';
import { openFolder } from './log.ts';

const log = await openFolder(process.argv[2]!);
const [clock, random] = [systemClock(), systemRandom()];
const state = memoryStateStore({ clock });
const { guard, scram } = createTokens({ state, clock, random, ids: createIds(clock, random) });
const streams = createStreams({ log, state, clock });
await streams.start?.();
const door = createKafka({
  ...{ host: '127.0.0.1', port: 0, guard, scram, clock, random, state, streams },
  config: resolveConfig([kafkaSection]).kafka,
});
await door.start();
process.stdout.write(`${door.address}\n`);
