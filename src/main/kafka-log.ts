import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Clock, type Config, MillraceError, siblingModule } from '../kernel/index.ts';
import type { LogStore, streamsSection } from '../streams/index.ts';

type StreamsConfig = Config<[typeof streamsSection]>['streams'];

/** What needs the same state on all nodes is refused while each keeps a state store of its own. */
export const OWN_STATE =
  'The log is in a Kafka cluster that several nodes may share, but what the platform itself knows of streams and schemas is kept on each node, so this would be known to one of them only. Export the stream from an app and deploy that on every node, or make a plain topic with the tools of the cluster.';

/** The log in the cluster of the configuration. The adapter is loaded here, when it is configured. Throws CONFIG_INVALID. */
export function openKafkaLog(config: StreamsConfig, clock: Clock): LogStore {
  const { streamsBrokers: brokers, streamsPrefix, streamsReplicas, streamsSession } = config;
  if (brokers.length === 0) {
    throw new MillraceError(
      'CONFIG_INVALID',
      'Streams in a Kafka cluster need its brokers. Give some with --streams-brokers HOST:PORT, or kafka({ brokers }).',
    );
  }
  const address = siblingModule(import.meta.url, '../adapters/kafka/index');
  const load = createRequire(import.meta.url);
  const { kafkaLogStore } = load(address.pathname) as typeof import('../adapters/kafka/index.ts');
  return kafkaLogStore({
    ...{ brokers, clock, replicas: streamsReplicas, sessionTimeoutMs: streamsSession },
    ...{ prefix: streamsPrefix ?? '', tls: tlsOf(config), sasl: saslOf(config) },
  });
}

function tlsOf({ streamsTls, streamsCa, streamsCertificate, streamsKey }: StreamsConfig) {
  if (!streamsTls) return null;
  return { ...fileOf('ca', streamsCa), ...fileOf('cert', streamsCertificate), ...fileOf('key', streamsKey) };
}

function fileOf<Name extends string>(name: Name, path: string | null): { [Key in Name]?: Buffer } {
  if (path === null) return {};
  try {
    return { [name]: readFileSync(path) } as { [Key in Name]: Buffer };
  } catch (error) {
    const message = `The file ${path} for TLS to the brokers cannot be read: ${(error as Error).message}. Check its path.`;
    throw new MillraceError('CONFIG_INVALID', message, { cause: error });
  }
}

function saslOf({
  streamsSasl: mechanism,
  streamsUsername: username,
  streamsPassword: password,
}: StreamsConfig) {
  if (mechanism === 'off') return null;
  if (username !== null && password !== null) return { mechanism, username, password };
  throw new MillraceError(
    'CONFIG_INVALID',
    'SASL to the brokers needs a user and a password. Give --streams-username, and MILLRACE_STREAMS_PASSWORD in the environment.',
  );
}

/** Parts of the configuration file that stand for several settings, taken apart. */
export function flattened(file: { readonly [key: string]: unknown }): { readonly [key: string]: unknown } {
  const { streams } = file;
  if (typeof streams !== 'object' || streams === null || !('settings' in streams)) return file;
  const { streams: _streams, ...rest } = file;
  return { ...(streams.settings as { readonly [key: string]: unknown }), ...rest };
}
