import { createHash } from 'node:crypto';

/** Topics of the adapter's own begin with it; the store does not show them. */
const OWN = 'millrace.log.';
const PLAIN = /^[A-Za-z0-9_-]+$/;
const LONGEST_PART = 80;
const DIGEST_DIGITS = 12;

/** How the store's names stand in the cluster. */
export interface Names {
  /** What Kafka does not know of topics: when they were made, whether they are internal. */
  readonly facts: string;
  /** Positions whose done offsets do not fit the metadata of a committed offset. */
  readonly positions: string;
  inCluster(name: string): string;
  /** undefined: not this store's to show. */
  fromCluster(name: string): string | undefined;
  isOwn(name: string): boolean;
  changelog(group: string, store: string): string;
  /** What the names of all changelogs of a group begin with. */
  changelogsOf(group: string): string;
  transactionalId(group: string, topic: string, partition: number): string;
}

export function createNames(prefix: string): Names {
  const own = `${prefix}${OWN}`;
  return {
    facts: `${own}topics`,
    positions: `${own}positions`,
    inCluster: (name) => prefix + name,
    fromCluster(name) {
      if (!name.startsWith(prefix) || name.startsWith(own)) return undefined;
      const bare = name.slice(prefix.length);
      return bare.startsWith('__') || bare === '' ? undefined : bare;
    },
    isOwn: (name) => name.startsWith(own),
    changelog: (group, store) => `${own}state.${readable(group)}.${readable(store)}`,
    changelogsOf: (group) => `${own}state.${readable(group)}.`,
    transactionalId: (group, topic, partition) => `${prefix}millrace/${group}/${topic}/${partition}`,
  };
}

/** Names without dots stand as they are; of others a digest keeps apart what reads alike. */
function readable(name: string): string {
  if (PLAIN.test(name) && name.length <= LONGEST_PART) return name;
  const shown = name.replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, LONGEST_PART - DIGEST_DIGITS - 1);
  return `${shown}_${createHash('sha256').update(name).digest('hex').slice(0, DIGEST_DIGITS)}`;
}
