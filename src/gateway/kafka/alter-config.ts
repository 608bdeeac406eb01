import type { TopicConfig, TopicInfo } from '../../streams/index.ts';
import { KafkaError } from './errors.ts';
import type { Broker, RequestContext } from './handler.ts';
import { RESOURCES } from './resources.ts';

interface Resource {
  readonly resourceType: number;
  readonly resourceName: string;
}

/**
 * Changes the settings of a topic as `changeOf` says, or only looks whether it could. Throws KafkaError, MillraceError.
 * A stream that an app exports is changed in the app: the next deployment would undo it.
 */
export async function alterTopicConfig(
  { streams }: Broker,
  { resourceType, resourceName: name }: Resource,
  validateOnly: boolean,
  context: RequestContext,
  changeOf: (topic: TopicInfo) => Partial<TopicConfig>,
): Promise<void> {
  if (resourceType !== RESOURCES.topic) {
    const message = 'Only topics are configured here; the broker by the configuration of the platform.';
    throw new KafkaError('INVALID_REQUEST', message);
  }
  if (!context.permits('administer', `stream/${name}`)) throw new KafkaError('TOPIC_AUTHORIZATION_FAILED');
  const topic = streams.log.topics.find(name);
  if (!topic) throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic '${name}'.`);
  if (topic.internal)
    throw new KafkaError('TOPIC_AUTHORIZATION_FAILED', `Topic '${name}' is the platform's own.`);
  const { owner, detached } = streams.describe(name);
  if (owner !== undefined && !detached) {
    throw new KafkaError(
      'POLICY_VIOLATION',
      `Topic '${name}' belongs to the app '${owner}': change it there.`,
    );
  }
  const config = changeOf(topic);
  if (!validateOnly) await streams.log.topics.alter(name, { config });
}
