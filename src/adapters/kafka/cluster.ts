import { MillraceError } from '../../kernel/index.ts';
import {
  type AnswerOf,
  type Api,
  ApiVersions,
  type CallOf,
  FindCoordinator,
  Metadata,
} from '../../streams/kafka-protocol/index.ts';
import type { TopicPartition } from '../../streams/port.ts';
import { type BrokerAddress, Connection } from './connection.ts';
import { CODES, ConnectionLost, KafkaFailure, requireOk, unavailable } from './failure.ts';
import type { KafkaOptions } from './options.ts';
import { retrying } from './retry.ts';

/** A topic as the cluster names it, with the leader of each partition. */
export interface ClusterTopic {
  readonly name: string;
  readonly id: string;
  readonly leaders: readonly number[];
}

export type CoordinatorKind = 'group' | 'transaction';

/**
 * What waits for something has a connection of its own, because a broker answers one request of a connection after the
 * other. Beside these, every member of a group has one.
 */
export type Purpose = 'control' | 'produce' | 'fetch' | 'tail' | 'transactions' | `member ${string}`;

const METADATA = 12;
const NO_TOPIC = '0'.repeat(32);
/** The oldest version of what this adapter speaks that Kafka 4 has too: one encoding for each message. */
const LEAST_BROKER = { api: Metadata, version: METADATA } as const;

/** Brokers, leaders and coordinators, and connections to them, made when they are first needed. */
export class Cluster {
  readonly options: KafkaOptions;
  readonly #brokers = new Map<number, BrokerAddress>();
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #coordinators = new Map<string, number>();
  #topics = new Map<string, ClusterTopic>();
  #refreshing: Promise<void> | undefined;
  #refreshAgain: Promise<void> | undefined;
  #closed = false;
  #controllerId = -1;
  /** When a broker last did not answer: one that hangs is asked last, or nobody would learn that it does. */
  readonly #silentMs = new Map<number, number>();
  #bootstraps = 0;

  constructor(options: KafkaOptions) {
    this.options = options;
  }

  /** Finds the brokers. Throws UNAVAILABLE, UNAUTHENTICATED. */
  async connect(): Promise<void> {
    const { retryForMs } = this.options;
    await retrying(() => this.refresh(), { forMs: retryForMs, stopped: () => this.#closed }).catch(
      (error) => {
        throw error instanceof ConnectionLost ? unavailable(error) : error;
      },
    );
    const { apiKeys } = await this.callAny(ApiVersions, 3, {
      clientSoftwareName: 'millrace',
      clientSoftwareVersion: '0',
    });
    const known = apiKeys.find((one) => one.apiKey === LEAST_BROKER.api.key);
    if (!known || known.maxVersion < LEAST_BROKER.version) {
      throw new MillraceError(
        'UNAVAILABLE',
        'The Kafka cluster is too old. Millrace needs Apache Kafka 4 or newer.',
      );
    }
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections.values())
      connection.then((one) => one.close()).catch(() => undefined);
    this.#connections.clear();
  }

  get closed(): boolean {
    return this.#closed;
  }

  get topics(): ReadonlyMap<string, ClusterTopic> {
    return this.#topics;
  }

  get nodes(): number[] {
    return [...this.#brokers.keys()];
  }

  /** Reads brokers, topics and leaders anew; calls that come meanwhile share the next reading. */
  refresh(): Promise<void> {
    if (!this.#refreshing) {
      this.#refreshing = this.#readMetadata().finally(() => {
        this.#refreshing = undefined;
      });
      return this.#refreshing;
    }
    this.#refreshAgain ??= this.#refreshing
      .catch(() => undefined)
      .then(() => {
        this.#refreshAgain = undefined;
        return this.refresh();
      });
    return this.#refreshAgain;
  }

  /** Throws KafkaFailure UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE: the next reading may know better. */
  leaderOf({ topic, partition }: TopicPartition): number {
    const leader = this.#topics.get(topic)?.leaders[partition];
    if (leader === undefined)
      throw new KafkaFailure(CODES.UNKNOWN_TOPIC_OR_PARTITION, `name a leader of ${topic}`);
    if (leader < 0) throw new KafkaFailure(CODES.LEADER_NOT_AVAILABLE, `name a leader of ${topic}`);
    return leader;
  }

  /** One try. */
  async call<Of extends Api>(
    node: number,
    purpose: Purpose,
    of: Of,
    version: number,
    request: CallOf<Of>,
    withinMs?: number,
  ): Promise<AnswerOf<Of>> {
    try {
      return await (await this.#connection(node, purpose)).call(of, version, request, withinMs);
    } catch (error) {
      if (error instanceof ConnectionLost) this.#silentMs.set(node, performance.now());
      throw error;
    }
  }

  /** Of any broker: all know it. One try, at one that can be reached. */
  async callAny<Of extends Api>(
    of: Of,
    version: number,
    request: CallOf<Of>,
    withinMs?: number,
  ): Promise<AnswerOf<Of>> {
    const node = await this.#reachable();
    if (node !== undefined) return this.call(node, 'control', of, version, request, withinMs);
    return (await this.#bootstrap()).call(of, version, request, withinMs);
  }

  /** Changes of topics; brokers hand them on to the controller. */
  async callController<Of extends Api>(
    of: Of,
    version: number,
    request: CallOf<Of>,
    withinMs?: number,
  ): Promise<AnswerOf<Of>> {
    if (!this.#brokers.has(this.#controllerId)) return this.callAny(of, version, request, withinMs);
    return this.call(this.#controllerId, 'control', of, version, request, withinMs);
  }

  /** Forgets a coordinator that says it is none any more, so that the next try asks again. */
  async callCoordinator<Of extends Api>(
    kind: CoordinatorKind,
    key: string,
    purpose: Purpose,
    of: Of,
    version: number,
    request: CallOf<Of>,
    withinMs?: number,
  ): Promise<AnswerOf<Of>> {
    const node = await this.coordinatorOf(kind, key);
    try {
      return await this.call(node, purpose, of, version, request, withinMs);
    } catch (error) {
      this.forgetCoordinator(kind, key);
      throw error;
    }
  }

  async coordinatorOf(kind: CoordinatorKind, key: string): Promise<number> {
    const name = `${kind}/${key}`;
    const known = this.#coordinators.get(name);
    if (known !== undefined && this.#brokers.has(known)) return known;
    const answer = await this.callAny(FindCoordinator, 4, {
      keyType: kind === 'group' ? 0 : 1,
      coordinatorKeys: [key],
      key: '',
    });
    const { nodeId, errorCode, errorMessage, host, port } = answer.coordinators[0]!;
    requireOk(errorCode, `name the coordinator of ${key}`, errorMessage);
    this.#brokers.set(nodeId, { host, port });
    this.#coordinators.set(name, nodeId);
    return nodeId;
  }

  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind}/${key}`);
  }

  /** To whichever brokers there are some for that. */
  dropConnections(purpose: Purpose): void {
    for (const [name, connection] of this.#connections) {
      if (!name.endsWith(`/${purpose}`)) continue;
      this.#connections.delete(name);
      connection.then((one) => one.close()).catch(() => undefined);
    }
  }

  async #readMetadata(): Promise<void> {
    const request = { topics: null, allowAutoTopicCreation: false, includeTopicAuthorizedOperations: false };
    const { brokers, topics, controllerId } = await this.callAny(Metadata, METADATA, {
      ...request,
      includeClusterAuthorizedOperations: false,
    });
    this.#brokers.clear();
    for (const { nodeId, host, port } of brokers) this.#brokers.set(nodeId, { host, port });
    this.#controllerId = controllerId;
    const found = new Map<string, ClusterTopic>();
    for (const { name, topicId, partitions } of topics) {
      if (name === null || topicId === NO_TOPIC) continue;
      const leaders = new Array<number>(partitions.length).fill(-1);
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId;
      found.set(name, { name, id: topicId, leaders });
    }
    this.#topics = found;
  }

  /** A broker that is known and takes connections: first those that have answered all along. */
  async #reachable(): Promise<number | undefined> {
    const silent = (node: number): number => this.#silentMs.get(node) ?? 0;
    for (const node of this.nodes.sort((a, b) => silent(a) - silent(b) || a - b)) {
      try {
        await this.#connection(node, 'control');
        return node;
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        this.#silentMs.set(node, performance.now());
      }
    }
    return undefined;
  }

  /** One of those in the options, beginning with another one each time. */
  async #bootstrap(): Promise<Connection> {
    let failure: unknown;
    const { brokers } = this.options;
    const first = this.#bootstraps++ % brokers.length;
    for (const broker of [...brokers.slice(first), ...brokers.slice(0, first)]) {
      try {
        return await this.#open(`bootstrap/${broker}`, addressOf(broker));
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  #connection(node: number, purpose: Purpose): Promise<Connection> {
    const address = this.#brokers.get(node);
    if (!address)
      return Promise.reject(new ConnectionLost(`The cluster has no broker ${node} at the moment.`));
    return this.#open(`${node}/${purpose}`, address);
  }

  async #open(name: string, address: BrokerAddress): Promise<Connection> {
    if (this.#closed) throw new ConnectionLost('The log is being stopped.');
    const known = this.#connections.get(name);
    if (known) {
      const connection = await known;
      if (!connection.closed) return connection;
      if (this.#connections.get(name) !== known) return this.#open(name, address);
    }
    const opening = Connection.open(address, this.options);
    this.#connections.set(name, opening);
    try {
      const connection = await opening;
      if (this.#closed) connection.close();
      return connection;
    } catch (error) {
      if (this.#connections.get(name) === opening) this.#connections.delete(name);
      throw error;
    }
  }
}

/** `host:port`, an IPv6 address in brackets. */
export function addressOf(broker: string): BrokerAddress {
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(broker) ?? [];
  if (host === undefined) {
    throw new MillraceError(
      'CONFIG_INVALID',
      `'${broker}' is no broker. Write it as host:port, such as kafka1:9092.`,
    );
  }
  return { host, port: Number(port) };
}
