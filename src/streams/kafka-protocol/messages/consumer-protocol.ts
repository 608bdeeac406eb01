/**
 * What consumers of the classic protocol put into the opaque bytes of JoinGroup (metadata) and SyncGroup (assignment):
 * an int16 version, then one of these. No version is flexible. See `../codec/fields.ts` for how to read the tables.
 */
import { array, bytes, int32, string } from '../codec/fields.ts';

export const CONSUMER_PROTOCOL_VERSIONS = { from: 0, to: 3 } as const;

export const ConsumerSubscription = {
  topics: array(string),
  userData: bytes.nullable().or(null),
  ownedPartitions: array({ topic: string, partitions: array(int32) }).from(1),
  generationId: int32.from(2).or(-1),
  rackId: string.from(3).nullable().or(null),
};

export const ConsumerAssignment = {
  assignedPartitions: array({ topic: string, partitions: array(int32) }),
  userData: bytes.nullable().or(null),
};
