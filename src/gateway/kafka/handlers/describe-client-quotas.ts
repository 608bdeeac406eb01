import { DescribeClientQuotas, type RequestOf } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { entityParts, type QuotaPart } from '../quota-entities.ts';

type Component = RequestOf<typeof DescribeClientQuotas>['components'][number];

/** How a component matches (KIP-546). */
const EXACT = 0;
const DEFAULT = 1;
const SPECIFIED = 2;

/** Which quotas there are. */
export function describeClientQuotasHandler({ quotas }: Broker): Handler<typeof DescribeClientQuotas> {
  return {
    api: DescribeClientQuotas,
    handle({ components, strict }, { permits }) {
      if (!permits('administer', 'platform/kafka')) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
      const entries = quotas.list().flatMap(({ entity, values }) => {
        const parts = entityParts(entity);
        const fits =
          components.every((component) => matches(parts, component)) &&
          (!strict || parts.length === components.length);
        if (!fits) return [];
        return [{ entity: parts, values: Object.entries(values).map(([key, value]) => ({ key, value })) }];
      });
      return { errorCode: 0, errorMessage: null, entries };
    },
  };
}

function matches(parts: readonly QuotaPart[], { entityType, matchType, match }: Component): boolean {
  const part = parts.find((each) => each.entityType === entityType);
  if (!part) return false;
  if (matchType === EXACT) return part.entityName === match && match !== null;
  if (matchType === DEFAULT) return part.entityName === null;
  if (matchType === SPECIFIED) return true;
  throw new KafkaError('INVALID_REQUEST', `There is no way ${matchType} to match.`);
}
