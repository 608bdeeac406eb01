import { DEFAULT_TOPIC_CONFIG, type TopicConfig } from '../../streams/index.ts';
import { KafkaError } from './errors.ts';

/** Codes of types in DescribeConfigs (KIP-569). */
export const CONFIG_TYPES = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 } as const;
export type ConfigType = keyof typeof CONFIG_TYPES;

/** One of Apache Kafka's settings of topics, and the stream's own that it stands for. */
interface TopicSetting {
  readonly type: ConfigType;
  readonly documentation: string;
  /** Text of the value that the topic has. */
  show(config: TopicConfig): string;
  /** Throws KafkaError INVALID_CONFIG. */
  parse(text: string): Partial<TopicConfig>;
}

function invalid(name: string, text: string, expected: string): KafkaError {
  return new KafkaError('INVALID_CONFIG', `${name} cannot be ${JSON.stringify(text)}. Give ${expected}.`);
}

type NumberKey = 'segmentBytes' | 'segmentMs' | 'maxBatchBytes' | 'deleteRetentionMs' | 'minCompactionLagMs';

function number(name: string, text: string, least: number): number {
  const value = Number(text);
  if (/^-?\d+$/.test(text.trim()) && value >= least) return Math.min(value, Number.MAX_SAFE_INTEGER);
  throw invalid(name, text, `a whole number from ${least} on`);
}

const whole = (name: string, key: NumberKey, type: ConfigType, documentation: string): TopicSetting => ({
  type,
  documentation,
  show: (config) => String(config[key]),
  parse: (text) => ({ [key]: number(name, text, 0) }),
});

/** -1 is Kafka's word for no bound. */
const bounded = (
  name: string,
  key: 'retentionMs' | 'retentionBytes',
  documentation: string,
): TopicSetting => ({
  type: 'long',
  documentation,
  show: (config) => String(config[key] ?? -1),
  parse(text) {
    const value = number(name, text, -1);
    return { [key]: value === -1 ? null : value };
  },
});

function parseCleanup(text: string): Partial<TopicConfig> {
  const policies = new Set(text.split(',').map((policy) => policy.trim()));
  const known = ['compact', 'delete'].filter((policy) => policies.has(policy));
  if (known.length === 0 || known.length !== policies.size) {
    throw invalid('cleanup.policy', text, 'delete, compact or both');
  }
  return { cleanup: known.join(',') as TopicConfig['cleanup'] };
}

function parseTimestampType(text: string): Partial<TopicConfig> {
  if (text === 'CreateTime') return { timestampType: 'create' };
  if (text === 'LogAppendTime') return { timestampType: 'append' };
  throw invalid('message.timestamp.type', text, 'CreateTime or LogAppendTime');
}

function parseCompression(text: string): Partial<TopicConfig> {
  const known = COMPRESSION_TYPES.find((name) => name === text);
  if (!known) throw invalid('compression.type', text, `one of ${COMPRESSION_TYPES.join(', ')}`);
  return { compression: known === 'uncompressed' ? 'none' : known };
}

const COMPRESSION_TYPES = ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

/** Settings that act here. */
const SETTINGS: { readonly [name: string]: TopicSetting } = {
  'cleanup.policy': {
    type: 'list',
    documentation: 'What happens to old records: delete, compact, or both.',
    show: ({ cleanup }) => cleanup,
    parse: parseCleanup,
  },
  'retention.ms': bounded('retention.ms', 'retentionMs', 'How long records stay; -1 keeps them.'),
  'retention.bytes': bounded('retention.bytes', 'retentionBytes', 'Bytes a partition keeps; -1: no bound.'),
  'segment.bytes': whole('segment.bytes', 'segmentBytes', 'int', 'Size at which a segment is closed.'),
  'segment.ms': whole('segment.ms', 'segmentMs', 'long', 'Age at which a segment is closed.'),
  'max.message.bytes': whole('max.message.bytes', 'maxBatchBytes', 'int', 'Largest record batch.'),
  'message.timestamp.type': {
    type: 'string',
    documentation: "Whose time records carry: the producer's (CreateTime) or the log's (LogAppendTime).",
    show: ({ timestampType }) => (timestampType === 'append' ? 'LogAppendTime' : 'CreateTime'),
    parse: parseTimestampType,
  },
  'compression.type': {
    type: 'string',
    documentation: 'How batches are packed: as producers packed them (producer), or all in one way.',
    show: ({ compression }) => (compression === 'none' ? 'uncompressed' : compression),
    parse: parseCompression,
  },
  'delete.retention.ms': whole(
    'delete.retention.ms',
    'deleteRetentionMs',
    'long',
    'How long a compacted topic keeps tombstones.',
  ),
  'min.compaction.lag.ms': whole(
    'min.compaction.lag.ms',
    'minCompactionLagMs',
    'long',
    'How long a record stays before compaction may take it.',
  ),
};

/** Settings with one value, which is how things are here. Clients that ask for something else are refused. */
const FIXED: { readonly [name: string]: readonly [type: ConfigType, value: string] } = {
  'remote.storage.enable': ['boolean', 'false'],
};

/**
 * Settings about replicas, files and caches that tools set as a matter of course. They are taken, shown with the value
 * that is in force here, and change nothing: there is one replica, and every acknowledged record is on disk.
 */
const WITHOUT_EFFECT: { readonly [name: string]: readonly [type: ConfigType, value: string] } = {
  'file.delete.delay.ms': ['long', '0'],
  'flush.messages': ['long', '1'],
  'flush.ms': ['long', '0'],
  'follower.replication.throttled.replicas': ['list', ''],
  'index.interval.bytes': ['int', '4096'],
  'leader.replication.throttled.replicas': ['list', ''],
  'local.retention.bytes': ['long', '-2'],
  'local.retention.ms': ['long', '-2'],
  'max.compaction.lag.ms': ['long', '9223372036854775807'],
  'message.timestamp.after.max.ms': ['long', '9223372036854775807'],
  'message.timestamp.before.max.ms': ['long', '9223372036854775807'],
  'min.cleanable.dirty.ratio': ['double', '0.5'],
  'min.insync.replicas': ['int', '1'],
  preallocate: ['boolean', 'false'],
  'segment.index.bytes': ['int', '10485760'],
  'segment.jitter.ms': ['long', '0'],
  'unclean.leader.election.enable': ['boolean', 'false'],
};

/** One setting of a topic as it is told. */
export interface ShownConfig {
  readonly name: string;
  readonly value: string;
  readonly type: ConfigType;
  readonly readOnly: boolean;
  readonly isDefault: boolean;
  readonly documentation: string;
}

/** Every setting of a topic, by name in order. */
export function showTopicConfig(config: TopicConfig): readonly ShownConfig[] {
  const own = Object.entries(SETTINGS).map(([name, { type, documentation, show }]) => {
    const value = show(config);
    return {
      name,
      value,
      type,
      readOnly: false,
      isDefault: value === show(DEFAULT_TOPIC_CONFIG),
      documentation,
    };
  });
  const others = Object.entries({ ...FIXED, ...WITHOUT_EFFECT }).map(([name, [type, value]]) => ({
    ...{ name, value, type, readOnly: true, isDefault: true },
    documentation: 'Has this one value here.',
  }));
  return [...own, ...others].sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** The stream's own settings for Kafka's; null asks for the default. Throws KafkaError INVALID_CONFIG. */
export function parseTopicConfig(
  configs: readonly { readonly name: string; readonly value: string | null }[],
): Partial<TopicConfig> {
  return Object.assign(
    {},
    ...configs.map(({ name, value }) => parseOne(name, value)),
  ) as Partial<TopicConfig>;
}

function parseOne(name: string, value: string | null): Partial<TopicConfig> {
  const setting = Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined;
  if (setting) return setting.parse(value ?? setting.show(DEFAULT_TOPIC_CONFIG));
  const fixed = Object.hasOwn(FIXED, name) ? FIXED[name] : undefined;
  if (fixed) {
    if (value === null || value === fixed[1]) return {};
    throw invalid(name, value, `${fixed[1]}, the only value there is here`);
  }
  if (Object.hasOwn(WITHOUT_EFFECT, name)) return {};
  throw new KafkaError('INVALID_CONFIG', `There is no setting ${JSON.stringify(name)} of a topic.`);
}

/** What a topic's settings are by default, as a change that brings them back. */
export const DEFAULTS: Partial<TopicConfig> = DEFAULT_TOPIC_CONFIG;

export type ConfigOperation = 'set' | 'delete' | 'append' | 'subtract';
/** Codes of IncrementalAlterConfigs (KIP-339). */
export const CONFIG_OPERATIONS: readonly ConfigOperation[] = ['set', 'delete', 'append', 'subtract'];

/** One step of an incremental change to a topic that is configured so. Throws KafkaError INVALID_CONFIG. */
export function changeTopicConfig(
  config: TopicConfig,
  name: string,
  operation: ConfigOperation,
  value: string | null,
): Partial<TopicConfig> {
  if (operation === 'delete') return parseOne(name, null);
  if (operation === 'set') return parseOne(name, value ?? '');
  const setting = Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined;
  if (setting?.type !== 'list') throw new KafkaError('INVALID_CONFIG', `${name} is no list: set it instead.`);
  const current = setting
    .show(config)
    .split(',')
    .filter((each) => each !== '');
  const named = (value ?? '').split(',').map((each) => each.trim());
  const next =
    operation === 'append'
      ? [...new Set([...current, ...named])]
      : current.filter((each) => !named.includes(each));
  return setting.parse(next.join(','));
}
