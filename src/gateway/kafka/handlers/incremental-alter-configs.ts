import type { TopicConfig, TopicInfo } from '../../../streams/index.ts';
import { IncrementalAlterConfigs, type RequestOf } from '../../../streams/kafka-protocol/index.ts';
import { alterTopicConfig } from '../alter-config.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { outcomeOf } from '../outcome.ts';
import { CONFIG_OPERATIONS, changeTopicConfig } from '../topic-configs.ts';

type Step = RequestOf<typeof IncrementalAlterConfigs>['resources'][number]['configs'][number];

/** Changes single settings of topics and leaves the others. */
export function incrementalAlterConfigsHandler(broker: Broker): Handler<typeof IncrementalAlterConfigs> {
  return {
    api: IncrementalAlterConfigs,
    async handle({ resources, validateOnly }, context) {
      const responses = [];
      for (const { configs, ...resource } of resources) {
        const outcome = await outcomeOf(() =>
          alterTopicConfig(broker, resource, validateOnly, context, (topic) => changesOf(topic, configs)),
        );
        responses.push({ ...resource, ...outcome });
      }
      return { responses };
    },
  };
}

function changesOf(topic: TopicInfo, steps: readonly Step[]): Partial<TopicConfig> {
  if (new Set(steps.map(({ name }) => name)).size !== steps.length) {
    throw new KafkaError('INVALID_REQUEST', 'A setting is named more than once.');
  }
  let change: Partial<TopicConfig> = {};
  for (const { name, configOperation, value } of steps) {
    const operation = CONFIG_OPERATIONS[configOperation];
    if (!operation) throw new KafkaError('INVALID_REQUEST', `There is no operation ${configOperation}.`);
    change = { ...change, ...changeTopicConfig(topic.config, name, operation, value) };
  }
  return change;
}
