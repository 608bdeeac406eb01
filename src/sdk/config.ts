import type { Duration, Size } from './schema.ts';

/** A port number; 0 picks a free one, `'off'` closes the door. */
export type Port = number | 'off';

/** An Apache Kafka cluster, version 4 or newer, as the log: `streams: kafka({ brokers: ['kafka1:9092'] })`. */
export interface KafkaStreams {
  /** `HOST:PORT` of some brokers; the others are found through them. */
  readonly brokers: readonly string[];
  /** Stands before the names of topics and groups in the cluster; others are not seen. Default none. */
  readonly prefix?: string;
  /** Replicas of new topics; default: the cluster's own. */
  readonly replicas?: number;
  /** How long a node may fall silent before its partitions go to the others; default `'10s'`. */
  readonly session?: Duration;
  /** TLS to the brokers; files are PEM. */
  readonly tls?: boolean | { readonly ca?: string; readonly certificate?: string; readonly key?: string };
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    readonly username: string;
    /** Better left to the variable `MILLRACE_STREAMS_PASSWORD`. */
    readonly password?: string;
  };
}

/** Settings of `millrace.config.ts` that were written as one. */
export interface ConfigPart {
  readonly settings: { readonly [key: string]: unknown };
}

/** The log in a Kafka cluster; what differs from the embedded one is told in docs/kafka-log.md. */
export function kafka(options: KafkaStreams): ConfigPart {
  const { brokers, prefix, replicas, session, tls = false, sasl } = options;
  const files = typeof tls === 'object' ? tls : {};
  const given = {
    ...{ streams: 'kafka', streamsBrokers: brokers, streamsPrefix: prefix, streamsReplicas: replicas },
    ...{ streamsSession: session, streamsTls: tls !== false, streamsCa: files.ca },
    ...{ streamsCertificate: files.certificate, streamsKey: files.key, streamsSasl: sasl?.mechanism },
    ...{ streamsUsername: sasl?.username, streamsPassword: sasl?.password },
  };
  const settings = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { settings };
}

/** `millrace.config.ts`. Flags beat `MILLRACE_*` variables, those beat this file, the file beats the defaults. */
export interface MillraceConfig {
  /** Folder that holds all data; default `.millrace`. */
  readonly data?: string;
  /** Where records are kept: `'embedded'` (the default) in the data folder, or `kafka({ brokers })`. */
  readonly streams?: 'embedded' | ConfigPart;
  /** Address of the edge port, which serves apps; default `127.0.0.1`. */
  readonly edgeHost?: string;
  /** Default 7400. */
  readonly edgePort?: Port;
  /** Address of the API port; default `127.0.0.1`. */
  readonly apiHost?: string;
  /** Default 7401. */
  readonly apiPort?: Port;
  /** Address of the Kafka port. Default `'127.0.0.1'`. */
  readonly kafkaHost?: string;
  /** Port that speaks the Kafka protocol. Default 9092. */
  readonly kafkaPort?: Port;
  /** `HOST:PORT` that Kafka clients are told to connect to; unless told, the address they came in by. */
  readonly kafkaAdvertised?: string;
  /** Makes a stream when a Kafka client asks for a topic that is not there. Default true. */
  readonly kafkaAutoCreate?: boolean;
  /** Partitions of topics that Kafka clients make without saying how many. Default 1. */
  readonly kafkaPartitions?: number;
  /** PEM file: authorities whose client certificates the Kafka port takes. */
  readonly kafkaClientCa?: string;
  /** Address of the inference port; default `127.0.0.1`. */
  readonly inferenceHost?: string;
  /** Port of the Open Inference Protocol over gRPC, such as 7404; default `'off'`. The API port has it over REST anyway. */
  readonly inferencePort?: Port;
  /** PEM file with the certificate chain; read again when it changes. */
  readonly tlsCertificate?: string;
  /** PEM file with the private key. */
  readonly tlsKey?: string;
  /** A proxy in front ends TLS, so that doors beyond loopback may speak plain text to it. */
  readonly tlsEndsInFront?: boolean;
  /** Largest request body; default 6 MB. */
  readonly bodyLimit?: Size;
  /** How long work in flight may take to finish when the platform stops; default `'10s'`. */
  readonly drain?: Duration;
  /** Invocations that may wait for one function; default 2,000. */
  readonly functionQueue?: number;
  /** Invocations that may wait for all functions together; default 20,000. */
  readonly functionQueueTotal?: number;
  /** Bytes of input that may wait for all functions together; default `'256mb'`. */
  readonly functionQueueBytes?: Size;
  /** How long an invocation may wait for an instance; default `'10s'`. */
  readonly functionQueueWait?: Duration;
  /** Instances of all functions together; default 200. */
  readonly functionInstances?: number;
  /** How long instances outlive the load that needed them; default `'60s'`. */
  readonly functionIdle?: Duration;
  /** How long an instance may take to load its code; default `'10s'`. */
  readonly functionStart?: Duration;
  /** Workers kept started before any function needs them; default 2. */
  readonly functionSpares?: number;
  /** How long results of asynchronous invocations are kept; default `'24h'`. */
  readonly invocationRetention?: Duration;
  /** Asynchronous invocations that may wait; default 100,000. */
  readonly invocationBacklog?: number;
  /** Asynchronous invocations that run at the same time; default 64. */
  readonly invocationWorkers?: number;
  /** Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed; default none. */
  readonly trustedProxies?: readonly string[];
  /** Memory for cached responses; default `'64mb'`. */
  readonly edgeCache?: Size;
  /** Memory for request bodies that have not arrived whole; default `'256mb'`. */
  readonly edgeBodies?: Size;
  /** How long a request body may take to arrive, unless its route streams it; default `'60s'`. */
  readonly edgeBodyTimeout?: Duration;
  /** How long a client may take nothing of its response before it is cut off; default `'30s'`. */
  readonly edgeStall?: Duration;
  /** Connections to the edge port; default 10,000. */
  readonly edgeConnections?: number;
  /** Memory for loaded models; those used longest ago make room. Default `'256mb'`. */
  readonly modelMemory?: Size;
  /** Largest ONNX file that is uploaded; default `'256mb'`. */
  readonly modelFile?: Size;
  /** Largest request with tensors; default `'64mb'`. */
  readonly modelRequest?: Size;
  /** Rows that may wait for one model; default 20,000. */
  readonly modelQueue?: number;
  /** Folder whose `node_modules` holds onnxruntime-node; default: the current folder, then the package's own. */
  readonly modelRuntime?: string;
  /** Threads for models that would hold the main thread; default 2. */
  readonly modelThreads?: number;
}

/** Gives `millrace.config.ts` its types: `export default defineConfig({ … })`. */
export function defineConfig(config: MillraceConfig): MillraceConfig {
  return config;
}
