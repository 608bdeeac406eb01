import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { memoryLogStore, memoryStateStore } from '../../adapters/memory/index.ts';
import { createTokens } from '../../govern/index.ts';
import {
  type Clock,
  createIds,
  type Guard,
  type ManualClock,
  manualClock,
  type Random,
  resolveConfig,
  seededRandom,
} from '../../kernel/index.ts';
import {
  type BatchOptions,
  createStreams,
  decodeBatches,
  encodeBatch,
  type LogStore,
  type Streams,
} from '../../streams/index.ts';
import {
  type AnswerOf,
  type Api,
  type CallOf,
  NO_UUID,
  Produce,
  Reader,
  readResponse,
  writeRequest,
} from '../../streams/kafka-protocol/index.ts';
import { Chunks } from './chunks.ts';
import { kafkaSection } from './config.ts';
import { createKafka, type KafkaOptions } from './kafka.ts';
import { Quotas } from './quotas.ts';

/** A client of the Kafka protocol driven by hand, over a real socket. */
export interface TestClient {
  readonly socket: Socket;
  /** Sends one request and resolves to its answer; several may be under way. */
  call<Of extends Api>(of: Of, version: number, message: CallOf<Of>): Promise<AnswerOf<Of>>;
  /** Sends one request that is not answered. */
  send<Of extends Api>(of: Of, version: number, message: CallOf<Of>): void;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
  close(): void;
}

interface Waiting {
  readonly api: Api;
  readonly version: number;
  readonly correlationId: number;
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

/**
 * Connects to `HOST:PORT`. Answers must come in the order of the requests, or the test fails. `allocate` gives memory for
 * answers that arrive in pieces.
 */
export function testClient(
  address: string,
  clientId = 'test',
  allocate?: (bytes: number) => Buffer,
): TestClient {
  const [host, port] = [
    address.slice(0, address.lastIndexOf(':')),
    address.slice(address.lastIndexOf(':') + 1),
  ];
  const socket = connect(Number(port), host);
  const waiting: Waiting[] = [];
  const arrived = new Chunks(allocate);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let correlationId = 0;
  let size: number | undefined;

  const onFrame = (frame: Buffer): void => {
    const next = waiting.shift();
    if (!next) throw new Error('An answer that nobody asked for.');
    const reader = new Reader(frame);
    const answers = reader.int32();
    if (answers !== next.correlationId) {
      next.reject(new Error(`Answer ${answers} where ${next.correlationId} was due.`));
    } else next.resolve(readResponse(reader, next.api, next.version));
  };

  /** Large parts are not copied: what measures with this client should not spend its time on garbage. */
  const write = (chunks: readonly Uint8Array[]): void => {
    socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    socket.uncork();
  };

  socket.setNoDelay(true);
  socket.on('data', (chunk) => {
    arrived.push(chunk as Buffer);
    for (;;) {
      if (size === undefined && arrived.sizeBytes >= 4) size = arrived.takeInt32();
      if (size === undefined || arrived.sizeBytes < size) return;
      onFrame(arrived.take(size));
      size = undefined;
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    for (const each of waiting.splice(0)) each.reject(new Error('The connection has ended.'));
    end();
  });

  return {
    socket,
    ended,
    call(api, version, message) {
      const header = { correlationId: correlationId++, clientId };
      const answer = new Promise<unknown>((resolve, reject) => {
        // Nobody is told of an end twice: what is asked after it would wait for ever.
        if (socket.closed) reject(new Error('The connection has ended.'));
        waiting.push({ api, version, correlationId: header.correlationId, resolve, reject });
      });
      write(writeRequest(api, version, header, message));
      return answer as Promise<AnswerOf<typeof api>>;
    },
    send(api, version, message) {
      const header = { correlationId: correlationId++, clientId };
      write(writeRequest(api, version, header, message));
    },
    close: () => socket.destroy(),
  };
}

interface TestOptions extends Partial<KafkaOptions> {
  readonly makeLog?: (parts: { readonly clock: Clock; readonly random: Random }) => LogStore;
}

export interface TestKafka extends AsyncDisposable {
  readonly address: string;
  readonly streams: Streams;
  readonly clock: ManualClock;
  /** A new client, closed at the end. */
  client(clientId?: string): TestClient;
}

/** The whole Kafka port on a free port, over a log in memory unless another is made. */
export async function testKafka({
  makeLog = memoryLogStore,
  ...options
}: TestOptions = {}): Promise<TestKafka> {
  const clock = manualClock();
  const random = seededRandom(1);
  const log = makeLog({ clock, random });
  const state = memoryStateStore({ clock });
  const streams = createStreams({ log, state, clock });
  for (const service of [state, log, streams]) await service.start?.();
  const door = createKafka({
    ...{ host: '127.0.0.1', port: 0, clock, random, state, streams },
    ...tokensInMemory(clock),
    guard: OPEN_GUARD,
    config: resolveConfig([kafkaSection]).kafka,
    ...options,
  });
  await door.start();
  const clients: TestClient[] = [];
  return {
    address: door.address,
    streams,
    clock,
    client(clientId) {
      const client = testClient(door.address, clientId);
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      const services = [door, streams, log, state];
      for (const service of services) service.refuse?.();
      for (const service of services) await service.stop?.(AbortSignal.timeout(1000));
    },
  };
}

/** Tokens, passwords and quotas over a store of their own. */
export function tokensInMemory(clock: Clock = manualClock()) {
  const random = seededRandom(2);
  const state = memoryStateStore({ clock });
  const made = createTokens({ state, clock, ids: createIds(clock, random), random });
  return { ...made, quotas: new Quotas({ state, clock }) };
}

export const OPEN_GUARD: Guard = {
  identify: async () => ({ id: 'local', kind: 'local' }),
  permit: () => undefined,
};

/** A batch of records with these values, as a producer sends it. */
export const batchOf = (values: readonly string[], options: Partial<BatchOptions> = {}): Buffer =>
  Buffer.from(
    encodeBatch(
      values.map((value) => ({ key: null, value: Buffer.from(value) })),
      { timeMs: 1000, ...options },
    ),
  );

/** Sends one batch to partition 0 and gives the answer for it. */
export async function produce(
  client: TestClient,
  topic: string,
  batch: Uint8Array | null,
  options: ProduceOptions = {},
) {
  const { version = 9, acks = -1, transactionalId = null, partition = 0, topicId = NO_UUID } = options;
  const { responses } = await client.call(Produce, version, {
    ...{ acks, timeoutMs: 1000, transactionalId },
    topicData: [{ name: topic, topicId, partitionData: [{ index: partition, records: batch }] }],
  });
  return responses[0]!.partitionResponses[0]!;
}

export interface ProduceOptions {
  readonly version?: number;
  readonly acks?: number;
  readonly transactionalId?: string | null;
  readonly partition?: number;
  readonly topicId?: string;
}

/** The values of all records in what a fetch gave. */
export const valuesOf = (records: Uint8Array | null): string[] =>
  decodeBatches(records ?? new Uint8Array(0)).map(({ value }) => Buffer.from(value ?? []).toString());
