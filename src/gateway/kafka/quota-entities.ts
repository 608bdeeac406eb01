import { KafkaError } from './errors.ts';
import type { QuotaEntity } from './quotas.ts';

/** A part of whom a quota is for, as the protocol writes it. null: the default. */
export interface QuotaPart {
  readonly entityType: string;
  readonly entityName: string | null;
}

export function entityParts({ user, clientId }: QuotaEntity): readonly QuotaPart[] {
  return [
    ...(user === undefined ? [] : [{ entityType: 'user', entityName: user }]),
    ...(clientId === undefined ? [] : [{ entityType: 'client-id', entityName: clientId }]),
  ];
}

/** Throws KafkaError INVALID_REQUEST. */
export function parseEntity(parts: readonly QuotaPart[]): QuotaEntity {
  const types = parts.map(({ entityType }) => entityType);
  const known = types.every((type) => type === 'user' || type === 'client-id');
  if (parts.length === 0 || !known || new Set(types).size !== types.length) {
    throw new KafkaError('INVALID_REQUEST', 'Quotas are for a user, a client-id, or one of each.');
  }
  const named = (type: string) => parts.find(({ entityType }) => entityType === type);
  const user = named('user');
  const client = named('client-id');
  return { ...(user ? { user: user.entityName } : {}), ...(client ? { clientId: client.entityName } : {}) };
}
