import {
  COMPATIBILITY_MODES,
  type JsonSchema,
  LIMITS,
  type StateManifest,
  type StreamManifest,
} from '../../kernel/index.ts';
import type { OptionReader } from './reader.ts';

export const STREAM_OPTIONS = [
  'schema',
  'key',
  'partitions',
  'retention',
  'retentionBytes',
  'cleanup',
  'compatibility',
  'onInvalid',
  'maxRecord',
] as const;
export const STATE_OPTIONS = ['schema', 'ttl'] as const;

const DAY_MS = 86_400_000;
const LONGEST_MS = 100 * 365 * DAY_MS;
const TB = 1024 ** 4;
/** `card` and `customer.id` as JSON Pointer. */
const toPointer = (path: string): string =>
  path.startsWith('/')
    ? path
    : path
        .split('.')
        .map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`)
        .join('');

/** Whether `schema` says that there is nothing at `pointer`; undefined schema parts leave it open. */
function lacks(schema: JsonSchema | undefined, pointer: string): boolean {
  let at = schema;
  for (const raw of pointer.split('/').slice(1)) {
    if (typeof at !== 'object' || at.properties === undefined) return false;
    const properties = at.properties as { readonly [name: string]: JsonSchema };
    const part = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!Object.hasOwn(properties, part)) return true;
    at = properties[part];
  }
  return false;
}

function readKeyPath(options: OptionReader, schema: JsonSchema | undefined): string | undefined {
  const key = options.text('key');
  if (key === undefined) return undefined;
  const pointer = toPointer(key);
  if (key === '' || pointer.split('/').slice(1).includes('')) {
    options.problem('key', "must be a path such as 'card' or 'customer.id'.");
  } else if (lacks(schema, pointer)) options.problem('key', `is '${key}', which the schema does not have.`);
  return pointer;
}

function readRetentionMs(options: OptionReader, compacted: boolean): number | null {
  const given = options.raw('retention');
  if (given === 'forever' || given === null || (given === undefined && compacted)) return null;
  return options.durationMs('retention', { min: 1000, max: LONGEST_MS, preset: 7 * DAY_MS });
}

export function readStream(name: string, options: OptionReader): StreamManifest {
  const schema = options.schema('schema');
  const keyPath = readKeyPath(options, schema);
  const cleanup = options.oneOf('cleanup', ['delete', 'compact', 'compact,delete'], 'delete');
  const bytes = { min: 1, max: LIMITS.bodyBytes, preset: LIMITS.bodyBytes };
  return {
    name,
    partitions: options.integer('partitions', { min: 1, max: LIMITS.partitions, preset: 1 }),
    ...(keyPath === undefined ? {} : { keyPath }),
    ...(schema === undefined ? {} : { schema }),
    compatibility: options.oneOf('compatibility', COMPATIBILITY_MODES, 'backward'),
    onInvalid: options.oneOf('onInvalid', ['refuse', 'divert'], 'refuse'),
    retentionMs: readRetentionMs(options, cleanup === 'compact'),
    retentionBytes: options.has('retentionBytes')
      ? options.sizeBytes('retentionBytes', { min: 1024, max: 1024 * TB, preset: TB })
      : null,
    cleanup,
    maxRecordBytes: options.sizeBytes('maxRecord', bytes),
  };
}

export function readState(name: string, options: OptionReader): StateManifest {
  const schema = options.schema('schema');
  return {
    name,
    ...(schema === undefined ? {} : { schema }),
    ttlMs: options.has('ttl') ? options.durationMs('ttl', { min: 1, max: LONGEST_MS, preset: DAY_MS }) : null,
  };
}
