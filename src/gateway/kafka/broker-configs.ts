import { DEFAULT_TOPIC_CONFIG, type TopicConfig } from '../../streams/index.ts';
import type { Broker } from './handler.ts';
import { type ShownConfig, showTopicConfig } from './topic-configs.ts';

/** Apache Kafka's names for the defaults of topics, where the broker calls them otherwise. */
const OF_TOPICS: { readonly [topicConfig: string]: string } = {
  'cleanup.policy': 'log.cleanup.policy',
  'retention.ms': 'log.retention.ms',
  'retention.bytes': 'log.retention.bytes',
  'segment.bytes': 'log.segment.bytes',
  'segment.ms': 'log.roll.ms',
  'max.message.bytes': 'message.max.bytes',
  'message.timestamp.type': 'log.message.timestamp.type',
  'delete.retention.ms': 'log.cleaner.delete.retention.ms',
  'min.compaction.lag.ms': 'log.cleaner.min.compaction.lag.ms',
  'compression.type': 'compression.type',
  'min.insync.replicas': 'min.insync.replicas',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
};

/** How the broker is configured; it is changed by the platform's own configuration and a restart. */
export function showBrokerConfig({ cluster, config }: Broker): readonly ShownConfig[] {
  const own: readonly (readonly [string, ShownConfig['type'], string])[] = [
    ['auto.create.topics.enable', 'boolean', String(config.kafkaAutoCreate)],
    ['broker.id', 'int', String(cluster.nodeId)],
    ['default.replication.factor', 'int', '1'],
    ['delete.topic.enable', 'boolean', 'true'],
    ['group.consumer.migration.policy', 'string', 'bidirectional'],
    ['node.id', 'int', String(cluster.nodeId)],
    ['num.partitions', 'int', String(config.kafkaPartitions)],
    ['offsets.topic.replication.factor', 'int', '1'],
    ['transaction.state.log.replication.factor', 'int', '1'],
  ];
  const settings = own.map(([name, type, value]) => ({
    ...{ name, type, value, readOnly: true, isDefault: false },
    documentation: 'Set by the configuration of the platform.',
  }));
  const defaults = showTopicConfig(DEFAULT_TOPIC_CONFIG as TopicConfig).flatMap((shown) => {
    const name = OF_TOPICS[shown.name];
    return name === undefined ? [] : [{ ...shown, name, readOnly: true }];
  });
  return [...settings, ...defaults].sort((left, right) => (left.name < right.name ? -1 : 1));
}
