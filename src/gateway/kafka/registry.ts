import {
  ApiVersions,
  Produce,
  type ResponseOf,
  type VersionRange,
} from '../../streams/kafka-protocol/index.ts';
import type { Handler } from './handler.ts';

/** The APIs that the door serves, by key. */
export interface HandlerRegistry {
  find(apiKey: number): Handler | undefined;
  /** What ApiVersions tells, by key. */
  readonly advertised: readonly { readonly apiKey: number; readonly versions: VersionRange }[];
}

export const versionsOf = (handler: Handler): VersionRange => handler.versions ?? handler.api.versions;

/** Puts handlers together with ApiVersions itself, whose answer is what they are. */
export function createHandlerRegistry(handlers: readonly Handler[]): HandlerRegistry {
  const byKey = new Map<number, Handler>();
  const advertised: { apiKey: number; versions: VersionRange }[] = [];
  for (const handler of [apiVersionsHandler(advertised), ...handlers]) {
    const { key, name } = handler.api;
    if (byKey.has(key)) throw new TypeError(`Two handlers serve ${name}.`);
    byKey.set(key, handler);
    advertised.push({ apiKey: key, versions: advertisedVersions(handler) });
  }
  advertised.sort((left, right) => left.apiKey - right.apiKey);
  return { find: (apiKey) => byKey.get(apiKey), advertised };
}

/**
 * librdkafka before 2.11 takes a broker that does not list the first versions of Produce for one that cannot compress
 * (KAFKA-18659); Apache Kafka lists them too without serving them.
 */
function advertisedVersions(handler: Handler): VersionRange {
  const versions = versionsOf(handler);
  return handler.api.key === Produce.key ? { ...versions, from: 0 } : versions;
}

/**
 * What clients look for before they use it (KIP-584): the newer consumer groups (KIP-848), and transactions that raise the
 * epoch with each end and take partitions in by themselves (KIP-890).
 */
const FEATURES = { 'group.version': 1, 'transaction.version': 2 };

function apiVersionsHandler(advertised: HandlerRegistry['advertised']): Handler {
  return {
    api: ApiVersions,
    handle: (): ResponseOf<typeof ApiVersions> => ({
      errorCode: 0,
      apiKeys: advertised.map(({ apiKey, versions }) => ({
        apiKey,
        minVersion: versions.from,
        maxVersion: versions.to,
      })),
      supportedFeatures: Object.entries(FEATURES).map(([name, maxVersion]) => ({
        name,
        minVersion: 0,
        maxVersion,
      })),
      finalizedFeaturesEpoch: 0,
      finalizedFeatures: Object.entries(FEATURES).map(([name, level]) => ({
        ...{ name, minVersionLevel: level, maxVersionLevel: level },
      })),
    }),
  };
}
