import {
  COMPATIBILITY_MODES,
  type CompatibilityMode,
  formatBytes,
  formatDuration,
  type InputProblem,
  type JsonSchema,
  LIMITS,
  MillraceError,
} from '../../kernel/index.ts';
import { parseKeyPath } from '../json/key-path.ts';
import { DEFAULT_TOPIC_CONFIG, type TopicConfig, type TopicInfo } from '../port.ts';
import { canonicalJson } from '../schema/canonical.ts';
import type { StreamDefinition } from '../service.ts';

/** Everything that a definition settles. */
export interface StreamSettings {
  readonly partitions: number;
  readonly keyPath: string | undefined;
  readonly schema: JsonSchema | undefined;
  readonly compatibility: CompatibilityMode;
  readonly onInvalid: 'refuse' | 'divert';
  readonly retentionMs: number | null;
  readonly retentionBytes: number | null;
  readonly cleanup: TopicConfig['cleanup'];
  readonly maxRecordBytes: number;
}

export const DEFAULT_STREAM_SETTINGS: StreamSettings = {
  partitions: 1,
  keyPath: undefined,
  schema: undefined,
  compatibility: 'backward',
  onInvalid: 'refuse',
  retentionMs: DEFAULT_TOPIC_CONFIG.retentionMs,
  retentionBytes: DEFAULT_TOPIC_CONFIG.retentionBytes,
  cleanup: DEFAULT_TOPIC_CONFIG.cleanup,
  maxRecordBytes: LIMITS.bodyBytes,
};

const CHOICES = {
  compatibility: COMPATIBILITY_MODES,
  onInvalid: ['refuse', 'divert'],
  cleanup: ['delete', 'compact', 'compact,delete'],
} as const;

/**
 * What a definition comes to. What it leaves out stays as it is; but an app's definition is the whole of it, so a key
 * path or schema that it leaves out is gone.
 */
export function resolveSettings(
  definition: StreamDefinition,
  current: StreamSettings | undefined,
): StreamSettings {
  const base = current ?? DEFAULT_STREAM_SETTINGS;
  const whole = definition.owner !== undefined;
  const settings = {
    partitions: definition.partitions ?? base.partitions,
    keyPath: definition.keyPath ?? (whole ? undefined : base.keyPath),
    schema: definition.schema ?? (whole ? undefined : base.schema),
    compatibility: definition.compatibility ?? base.compatibility,
    onInvalid: definition.onInvalid ?? base.onInvalid,
    retentionMs: definition.retentionMs === undefined ? base.retentionMs : definition.retentionMs,
    retentionBytes: definition.retentionBytes === undefined ? base.retentionBytes : definition.retentionBytes,
    cleanup: definition.cleanup ?? base.cleanup,
    maxRecordBytes: definition.maxRecordBytes ?? base.maxRecordBytes,
  };
  checkSettings(settings);
  return settings;
}

function checkSettings(settings: StreamSettings): void {
  const { partitions } = settings;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > LIMITS.partitions) {
    const message = `A stream has 1 to ${LIMITS.partitions} partitions, not ${partitions}.`;
    throw new MillraceError('PARTITION_COUNT_INVALID', message, {
      errors: [{ path: '/partitions', message }],
    });
  }
  if (settings.keyPath !== undefined) parseKeyPath(settings.keyPath);
  const problems: InputProblem[] = [];
  for (const [name, allowed] of Object.entries(CHOICES)) {
    const value = settings[name as keyof typeof CHOICES];
    if (!(allowed as readonly string[]).includes(value)) {
      problems.push({ path: `/${name}`, message: `must be one of ${allowed.join(', ')}` });
    }
  }
  for (const name of ['retentionMs', 'retentionBytes'] as const) {
    const value = settings[name];
    if (value !== null && !(Number.isSafeInteger(value) && value > 0)) {
      problems.push({ path: `/${name}`, message: 'must be a whole number above 0, or null for no bound' });
    }
  }
  const { maxRecordBytes } = settings;
  if (!Number.isInteger(maxRecordBytes) || maxRecordBytes < 1 || maxRecordBytes > LIMITS.bodyBytes) {
    problems.push({
      path: '/maxRecordBytes',
      message: `must be 1 to ${LIMITS.bodyBytes} (${formatBytes(LIMITS.bodyBytes)})`,
    });
  }
  if (problems.length === 0) return;
  const first = problems[0]!;
  const message = `The stream cannot be configured so: ${first.path.slice(1)} ${first.message}.`;
  throw new MillraceError('STREAM_CONFIG_INVALID', message, { errors: problems });
}

export function topicConfig(settings: StreamSettings): Partial<TopicConfig> {
  const { retentionMs, retentionBytes, cleanup } = settings;
  return { retentionMs, retentionBytes, cleanup };
}

/** The part of the settings that the log itself knows of; the rest is the default of a plain stream. */
export function settingsOfTopic(
  topic: TopicInfo,
  rest: StreamSettings = DEFAULT_STREAM_SETTINGS,
): StreamSettings {
  const { retentionMs, retentionBytes, cleanup } = topic.config;
  return { ...rest, partitions: topic.partitions, retentionMs, retentionBytes, cleanup };
}

export function sameSchema(left: JsonSchema | undefined, right: JsonSchema | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return canonicalJson(left) === canonicalJson(right);
}

function shown(name: keyof StreamSettings, value: unknown): string {
  if (value === undefined) return 'none';
  if (value === null) return 'without a bound';
  if (name === 'retentionMs') return formatDuration(value as number);
  if (name === 'retentionBytes' || name === 'maxRecordBytes') return formatBytes(value as number);
  return String(value);
}

const NAMES: Readonly<Record<Exclude<keyof StreamSettings, 'schema'>, string>> = {
  partitions: 'partitions',
  keyPath: 'key',
  compatibility: 'compatibility',
  onInvalid: 'records that do not fit',
  retentionMs: 'retention',
  retentionBytes: 'retention size',
  cleanup: 'cleanup',
  maxRecordBytes: 'largest record',
};

/** One readable difference a line, such as `partitions 4 → 8`; the schema apart. */
export function differences(current: StreamSettings, next: StreamSettings): string[] {
  return (Object.keys(NAMES) as (keyof typeof NAMES)[])
    .filter((name) => current[name] !== next[name])
    .map((name) => `${NAMES[name]} ${shown(name, current[name])} → ${shown(name, next[name])}`);
}
