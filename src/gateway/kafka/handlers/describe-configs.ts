import {
  DescribeConfigs,
  NO_UUID,
  type RequestOf,
  type ResponseOf,
} from '../../../streams/kafka-protocol/index.ts';
import { showBrokerConfig } from '../broker-configs.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { outcomeOfError } from '../outcome.ts';
import { RESOURCES } from '../resources.ts';
import { CONFIG_TYPES, type ShownConfig, showTopicConfig } from '../topic-configs.ts';

type Request = RequestOf<typeof DescribeConfigs>;
type Asked = Request['resources'][number];
type Answer = ResponseOf<typeof DescribeConfigs>['results'][number];

/** Where a value comes from (DescribeConfigsResponse.ConfigSource). */
const SOURCES = { topic: 1, staticBroker: 4, defaults: 5 } as const;

/** How topics and the broker are configured. */
export function describeConfigsHandler(broker: Broker): Handler<typeof DescribeConfigs> {
  const shown = ({ resourceType, resourceName }: Asked, context: RequestContext): readonly ShownConfig[] => {
    if (resourceType === RESOURCES.broker) {
      if (!context.permits('read', 'platform/kafka')) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
      if (resourceName === '' || resourceName === String(broker.cluster.nodeId))
        return showBrokerConfig(broker);
      throw new KafkaError('INVALID_REQUEST', `There is no broker '${resourceName}'.`);
    }
    if (resourceType !== RESOURCES.topic) {
      throw new KafkaError(
        'INVALID_REQUEST',
        `Resources of type ${resourceType} have no configuration here.`,
      );
    }
    const { topic } = findTopic(broker, resourceName, context);
    return showTopicConfig(topic.config);
  };

  const answer = (asked: Asked, request: Request, context: RequestContext): Answer => {
    const { resourceType, resourceName, configurationKeys } = asked;
    const place = { resourceType, resourceName };
    try {
      const configs = shown(asked, context)
        .filter(({ name }) => configurationKeys === null || configurationKeys.includes(name))
        .map((config) => configAnswer(config, resourceType === RESOURCES.topic, request));
      return { ...place, errorCode: 0, errorMessage: null, configs };
    } catch (error) {
      return { ...place, ...outcomeOfError(error), configs: [] };
    }
  };

  return {
    api: DescribeConfigs,
    handle: (request, context) => ({
      results: request.resources.map((asked) => answer(asked, request, context)),
    }),
  };
}

/** Throws KafkaError when it is not there or not to be read. */
function findTopic({ topics }: Broker, name: string, context: RequestContext) {
  const { topic, errorCode } = topics.find({ name, topicId: NO_UUID }, 'read', context);
  if (topic) return { topic };
  throw new KafkaError(errorCode === 29 ? 'TOPIC_AUTHORIZATION_FAILED' : 'UNKNOWN_TOPIC_OR_PARTITION');
}

function configAnswer(
  { name, value, readOnly, isDefault, type, documentation }: ShownConfig,
  ofTopic: boolean,
  { includeSynonyms, includeDocumentation }: Request,
): Answer['configs'][number] {
  const source = isDefault ? SOURCES.defaults : ofTopic ? SOURCES.topic : SOURCES.staticBroker;
  return {
    ...{ name, value, readOnly, isSensitive: false, configSource: source },
    synonyms: includeSynonyms ? [{ name, value, source }] : [],
    configType: CONFIG_TYPES[type],
    documentation: includeDocumentation ? documentation : null,
  };
}
