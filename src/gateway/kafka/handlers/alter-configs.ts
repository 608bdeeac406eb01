import { AlterConfigs } from '../../../streams/kafka-protocol/index.ts';
import { alterTopicConfig } from '../alter-config.ts';
import type { Broker, Handler } from '../handler.ts';
import { outcomeOf } from '../outcome.ts';
import { DEFAULTS, parseTopicConfig } from '../topic-configs.ts';

/** Sets all settings of topics: those that are not named go back to their defaults. */
export function alterConfigsHandler(broker: Broker): Handler<typeof AlterConfigs> {
  return {
    api: AlterConfigs,
    async handle({ resources, validateOnly }, context) {
      const responses = [];
      for (const { configs, ...resource } of resources) {
        const outcome = await outcomeOf(() =>
          alterTopicConfig(broker, resource, validateOnly, context, () => ({
            ...DEFAULTS,
            ...parseTopicConfig(configs),
          })),
        );
        responses.push({ ...resource, ...outcome });
      }
      return { responses };
    },
  };
}
