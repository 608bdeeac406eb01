import type { TopicConfig } from '../../streams/port.ts';

/** Kafka refuses smaller segments (KIP-1030). */
const LEAST_SEGMENT_BYTES = 1024 * 1024;
const MOST_INT32 = 2_147_483_647;

const orMinusOne = (value: number | null): string => String(value ?? -1);
const orNull = (value: string): number | null => (Number(value) < 0 ? null : Number(value));

/** A field of the port's configuration as Kafka's topic configuration names and writes it, and how it is read back. */
const FIELDS: {
  readonly [Field in keyof TopicConfig]: {
    readonly key: string;
    readonly write: (value: TopicConfig[Field]) => string;
    readonly read: (value: string) => TopicConfig[Field];
  };
} = {
  cleanup: {
    key: 'cleanup.policy',
    write: (value) => value,
    read: (value) => {
      const policies = value.split(',').map((one) => one.trim());
      if (policies.includes('compact')) return policies.includes('delete') ? 'compact,delete' : 'compact';
      return 'delete';
    },
  },
  retentionMs: { key: 'retention.ms', write: orMinusOne, read: orNull },
  retentionBytes: { key: 'retention.bytes', write: orMinusOne, read: orNull },
  segmentBytes: {
    key: 'segment.bytes',
    write: (value) => String(Math.min(Math.max(value, LEAST_SEGMENT_BYTES), MOST_INT32)),
    read: Number,
  },
  segmentMs: { key: 'segment.ms', write: String, read: Number },
  maxBatchBytes: { key: 'max.message.bytes', write: String, read: Number },
  timestampType: {
    key: 'message.timestamp.type',
    write: (value) => (value === 'append' ? 'LogAppendTime' : 'CreateTime'),
    read: (value) => (value === 'LogAppendTime' ? 'append' : 'create'),
  },
  deleteRetentionMs: { key: 'delete.retention.ms', write: String, read: Number },
  minCompactionLagMs: { key: 'min.compaction.lag.ms', write: String, read: Number },
  compression: {
    key: 'compression.type',
    write: (value) => (value === 'none' ? 'uncompressed' : value),
    read: (value) => (value === 'uncompressed' ? 'none' : (value as TopicConfig['compression'])),
  },
};

export const CONFIG_KEYS: readonly string[] = Object.values(FIELDS).map(({ key }) => key);

export interface ConfigEntry {
  readonly name: string;
  readonly value: string | null;
}

function written<Field extends keyof TopicConfig>(config: Partial<TopicConfig>, field: Field): ConfigEntry[] {
  const value = config[field];
  if (value === undefined) return [];
  const { key, write } = FIELDS[field];
  return [{ name: key, value: write(value as TopicConfig[Field]) }];
}

export function toKafkaConfig(config: Partial<TopicConfig>): ConfigEntry[] {
  return (Object.keys(FIELDS) as (keyof TopicConfig)[]).flatMap((field) => written(config, field));
}

/** Records may carry any time, as they may embedded: replayed traffic has the times it was recorded at. */
export const ANY_TIME: ConfigEntry = { name: 'message.timestamp.after.max.ms', value: '9223372036854775807' };

function readField<Field extends keyof TopicConfig>(
  found: ReadonlyMap<string, string>,
  field: Field,
): [Field, TopicConfig[Field]] {
  const { key, read } = FIELDS[field];
  return [field, read(found.get(key) ?? '0')];
}

export function fromKafkaConfig(entries: readonly ConfigEntry[]): TopicConfig {
  const found = new Map(
    entries.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const])),
  );
  const fields = (Object.keys(FIELDS) as (keyof TopicConfig)[]).map((field) => readField(found, field));
  return Object.fromEntries(fields) as unknown as TopicConfig;
}
