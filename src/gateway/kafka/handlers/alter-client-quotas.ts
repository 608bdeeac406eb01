import { AlterClientQuotas, type RequestOf } from '../../../streams/kafka-protocol/index.ts';
import { KafkaError } from '../errors.ts';
import type { Broker, Handler } from '../handler.ts';
import { outcomeOf } from '../outcome.ts';
import { parseEntity } from '../quota-entities.ts';
import { QUOTA_KEYS, type QuotaKey } from '../quotas.ts';

type Entry = RequestOf<typeof AlterClientQuotas>['entries'][number];

/** Bounds what clients may write and read a second. */
export function alterClientQuotasHandler({ quotas }: Broker): Handler<typeof AlterClientQuotas> {
  const alter = async ({ entity, ops }: Entry, validateOnly: boolean): Promise<void> => {
    const parsed = parseEntity(entity);
    const change = Object.fromEntries(
      ops.map(({ key, value, remove }) => [checkedKey(key), remove ? null : checkedRate(key, value)]),
    );
    if (!validateOnly) await quotas.alter(parsed, change);
  };

  return {
    api: AlterClientQuotas,
    async handle({ entries, validateOnly }, { permits }) {
      const isPermitted = permits('administer', 'platform/kafka');
      const answers = [];
      for (const entry of entries) {
        const outcome = await outcomeOf(() => {
          if (!isPermitted) throw new KafkaError('CLUSTER_AUTHORIZATION_FAILED');
          return alter(entry, validateOnly);
        });
        answers.push({ ...outcome, entity: entry.entity });
      }
      return { entries: answers };
    },
  };
}

function checkedKey(key: string): QuotaKey {
  if ((QUOTA_KEYS as readonly string[]).includes(key)) return key as QuotaKey;
  throw new KafkaError(
    'INVALID_REQUEST',
    `There is no quota '${key}' here. There are ${QUOTA_KEYS.join(', ')}.`,
  );
}

function checkedRate(key: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new KafkaError('INVALID_REQUEST', `${key} is bytes a second, more than 0.`);
}
