import type { RequestContext } from '../handler.ts';

/** Bits of `authorizedOperations` for groups: read, delete and describe (AclOperation of Apache Kafka, by code). */
const [READ, DELETE, DESCRIBE] = [1 << 3, 1 << 6, 1 << 8];

/** What the principal may do with a group. */
export function groupOperations(group: string, { permits }: RequestContext): number {
  const resource = `group/${group}`;
  return (
    (permits('read', resource) ? READ | DESCRIBE : 0) |
    (permits('administer', resource) ? DELETE | DESCRIBE : 0)
  );
}
