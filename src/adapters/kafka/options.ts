import type { ConnectionOptions as TlsOptions } from 'node:tls';

export interface SaslOptions {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  readonly username: string;
  readonly password: string;
}

/** How to reach a cluster and what to keep there. */
export interface KafkaOptions {
  /** `host:port` of some brokers; the others are found through them. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** TLS to the brokers; null: none. */
  readonly tls: Pick<TlsOptions, 'ca' | 'cert' | 'key' | 'servername'> | null;
  readonly sasl: SaslOptions | null;
  /** Stands before the names of topics, groups and transactional ids in the cluster; others are not seen. */
  readonly prefix: string;
  /** Of new topics; null: the cluster's default. */
  readonly replicas: number | null;
  /** A node that falls silent this long loses its partitions to the others. */
  readonly sessionTimeoutMs: number;
  /** How long an operation is tried again while leaders move or brokers are away. */
  readonly retryForMs: number;
  /** How old what is told of topics, bounds and groups may be. */
  readonly refreshEveryMs: number;
}

/** How long one answer is waited for: several tries fit into the time that an operation has. */
export const answerWithinMs = ({ retryForMs }: KafkaOptions): number => Math.max(1_000, retryForMs / 3);

/** How long a broker may wait for replicas: a little less, so that it can still say that it did in vain. */
export const replicasWithinMs = (options: KafkaOptions): number => Math.round(answerWithinMs(options) * 0.8);

export const DEFAULT_KAFKA_OPTIONS: Omit<KafkaOptions, 'brokers'> = {
  clientId: 'millrace',
  tls: null,
  sasl: null,
  prefix: '',
  replicas: null,
  sessionTimeoutMs: 10_000,
  retryForMs: 30_000,
  refreshEveryMs: 1_000,
};
