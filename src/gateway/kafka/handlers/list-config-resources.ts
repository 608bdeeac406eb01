import { ListConfigResources } from '../../../streams/kafka-protocol/index.ts';
import type { Broker, Handler } from '../handler.ts';
import { RESOURCES } from '../resources.ts';

/** What has a configuration: topics and the broker. Version 0 asks for metrics subscriptions, which there are none of. */
export function listConfigResourcesHandler({
  streams,
  cluster,
}: Broker): Handler<typeof ListConfigResources> {
  return {
    api: ListConfigResources,
    handle({ resourceTypes }, { version, permits }) {
      const asked = (type: number): boolean =>
        version > 0 && (resourceTypes.length === 0 || resourceTypes.includes(type));
      const topics = streams.log.topics
        .list()
        .filter(({ name, internal }) => !internal && permits('read', `stream/${name}`))
        .map(({ name }) => ({ resourceName: name, resourceType: RESOURCES.topic }));
      const brokers = [{ resourceName: String(cluster.nodeId), resourceType: RESOURCES.broker }];
      return {
        errorCode: 0,
        configResources: [
          ...(asked(RESOURCES.topic) ? topics : []),
          ...(asked(RESOURCES.broker) && permits('read', 'platform/kafka') ? brokers : []),
        ],
      };
    },
  };
}
