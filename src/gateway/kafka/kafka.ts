import { createAcls } from '../../govern/index.ts';
import type { Random, SectionValues, StateStore } from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import type { kafkaSection } from './config.ts';
import { createKafkaDoor, type KafkaDoor, type KafkaDoorOptions } from './door.ts';
import type { Cluster } from './handler.ts';
import { createHandlers } from './handlers/index.ts';
import { Quotas } from './quotas.ts';
import { createHandlerRegistry } from './registry.ts';
import { Topics } from './topics.ts';

export interface KafkaOptions extends Omit<KafkaDoorOptions, 'registry' | 'acls' | 'quotas'> {
  readonly streams: Streams;
  readonly state: StateStore;
  readonly random: Random;
  readonly config: SectionValues<typeof kafkaSection>;
}

const TABLE = 'gateway.kafka';

/** The Kafka port with everything behind it. */
export function createKafka(options: KafkaOptions): KafkaDoor {
  const { streams, state, clock, random, config, scram } = options;
  const acls = createAcls({ state });
  const quotas = new Quotas({ state, clock });
  const cluster = { id: '', nodeId: 0 };
  const topics = new Topics(streams.log);
  const broker = { streams, clock, random, config, cluster, topics, acls, scram, quotas };
  const registry = createHandlerRegistry(createHandlers(broker));
  const door = createKafkaDoor({ ...options, acls, quotas, registry });
  return {
    name: door.name,
    get address() {
      return door.address;
    },
    async start() {
      cluster.id = await clusterId(state, random);
      await acls.start();
      await quotas.start();
      await door.start();
    },
    refuse: () => door.refuse(),
    stop: (deadline) => door.stop(deadline),
  };
}

/** Made with the data and kept with it: clients tell clusters apart by it. 22 characters, as Apache Kafka's. */
async function clusterId(state: StateStore, random: Random): Promise<Cluster['id']> {
  const stored = await state.get(TABLE, 'cluster');
  if (stored) return stored.value as string;
  const id = Buffer.from(random.bytes(16)).toString('base64url');
  await state.transact([{ kind: 'put', table: TABLE, key: 'cluster', value: id, expect: 0 }]);
  return id;
}
