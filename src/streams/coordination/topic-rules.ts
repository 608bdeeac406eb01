import { LIMITS, MillraceError } from '../../kernel/index.ts';
import { DEFAULT_TOPIC_CONFIG, type TopicConfig } from '../port.ts';
import { COMPRESSIONS } from '../record-batch/index.ts';

/** Throws STREAM_NAME_INVALID. Kafka's rule, so that every client can name it. */
export function checkTopicName(name: string): void {
  if (/^[A-Za-z0-9._-]+$/.test(name) && name.length <= LIMITS.nameLength && name !== '.' && name !== '..')
    return;
  throw new MillraceError(
    'STREAM_NAME_INVALID',
    `'${name}' cannot be a name. Use 1 to ${LIMITS.nameLength} letters, digits, '.', '_' and '-'.`,
  );
}

/** Throws PARTITION_COUNT_INVALID. */
export function checkPartitionCount(count: number, least = 1): void {
  if (Number.isInteger(count) && count >= least && count <= LIMITS.partitions) return;
  const message =
    least > 1
      ? `Partitions can only grow: ask for ${least} to ${LIMITS.partitions}, not ${count}.`
      : `${count} partitions are not possible. Ask for 1 to ${LIMITS.partitions}.`;
  throw new MillraceError('PARTITION_COUNT_INVALID', message);
}

const atLeast =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (value: unknown): boolean =>
    typeof value === 'number' && Number.isFinite(value) && value >= least && value <= most;
const orNull =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || check(value);

const CONFIG_RULES: Record<keyof TopicConfig, [(value: unknown) => boolean, string]> = {
  cleanup: [
    (value) => value === 'delete' || value === 'compact' || value === 'compact,delete',
    "'delete', 'compact' or 'compact,delete'",
  ],
  retentionMs: [orNull(atLeast(0)), 'milliseconds from 0 on, or null'],
  retentionBytes: [orNull(atLeast(0)), 'bytes from 0 on, or null'],
  segmentBytes: [atLeast(1024, 2 ** 31), '1,024 bytes to 2 GB'],
  segmentMs: [atLeast(1), 'milliseconds from 1 on'],
  maxBatchBytes: [atLeast(128, 256 * 1024 * 1024), '128 bytes to 256 MB'],
  timestampType: [(value) => value === 'create' || value === 'append', "'create' or 'append'"],
  deleteRetentionMs: [atLeast(0), 'milliseconds from 0 on'],
  minCompactionLagMs: [atLeast(0), 'milliseconds from 0 on'],
  compression: [
    (value) => value === 'producer' || COMPRESSIONS.some((one) => one === value),
    `'producer', ${COMPRESSIONS.map((one) => `'${one}'`).join(', ')}`,
  ],
};

/** `change` over `base`. Throws STREAM_CONFIG_INVALID with every problem. */
export function mergeTopicConfig(
  change: Partial<TopicConfig> = {},
  base: TopicConfig = DEFAULT_TOPIC_CONFIG,
): TopicConfig {
  const errors = Object.entries(change).flatMap(([name, value]) => {
    const rule = CONFIG_RULES[name as keyof TopicConfig];
    if (value === undefined || rule?.[0](value)) return [];
    return [{ path: `/${name}`, message: rule ? `must be ${rule[1]}` : 'is not known' }];
  });
  if (errors.length > 0) {
    const list = errors.map((error) => `${error.path.slice(1)} ${error.message}`).join('; ');
    throw new MillraceError('STREAM_CONFIG_INVALID', `The configuration is not valid: ${list}.`, { errors });
  }
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  return { ...base, ...given };
}
