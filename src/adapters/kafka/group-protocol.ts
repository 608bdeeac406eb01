import {
  ConsumerAssignment,
  ConsumerSubscription,
  compileReader,
  compileWriter,
  Reader,
  Writer,
} from '../../streams/kafka-protocol/index.ts';
import type { TopicPartition } from '../../streams/port.ts';

/*
 * What members tell each other through the coordinator: a version, then a ConsumerProtocolSubscription or
 * ConsumerProtocolAssignment of it, so that Kafka's own tools can read them.
 */
export const PROTOCOL_TYPE = 'consumer';
/** Of the assignor: groups of other clients do not take part in it by accident. */
export const PROTOCOL_NAME = 'millrace';

const VERSION = 1;

interface TopicNumbers {
  readonly topic: string;
  readonly partitions: readonly number[];
}

interface RawSubscription {
  readonly topics: readonly string[];
  readonly userData: Uint8Array | null;
  readonly ownedPartitions: readonly TopicNumbers[];
}

interface RawAssignment {
  readonly assignedPartitions: readonly TopicNumbers[];
  readonly userData: Uint8Array | null;
}

const subscriptionWriter = compileWriter<RawSubscription>(ConsumerSubscription, VERSION, false);
const assignmentWriter = compileWriter<RawAssignment>(ConsumerAssignment, VERSION, false);
const subscriptionReader = compileReader<RawSubscription>(ConsumerSubscription, VERSION, false);
/** Members from before cooperative rebalancing do not tell what they own. */
const firstSubscriptionReader = compileReader<RawSubscription>(ConsumerSubscription, 0, false);
const assignmentReader = compileReader<RawAssignment>(ConsumerAssignment, VERSION, false);

export interface Subscription {
  readonly topics: readonly string[];
  /** What the member holds at the moment. */
  readonly owned: readonly TopicPartition[];
}

export function writeSubscription({ topics, owned }: Subscription): Uint8Array {
  const writer = versioned();
  subscriptionWriter(writer, { topics, userData: null, ownedPartitions: byTopic(owned) });
  return writer.bytesWritten();
}

/** Of members of later versions too: what came later stands behind. Throws Malformed. */
export function readSubscription(bytes: Uint8Array): Subscription {
  const reader = new Reader(asBuffer(bytes));
  const read = reader.int16() < 1 ? firstSubscriptionReader : subscriptionReader;
  const { topics, ownedPartitions } = read(reader);
  return { topics, owned: places(ownedPartitions) };
}

export function writeAssignment(assigned: readonly TopicPartition[]): Uint8Array {
  const writer = versioned();
  assignmentWriter(writer, { assignedPartitions: byTopic(assigned), userData: null });
  return writer.bytesWritten();
}

export function readAssignment(bytes: Uint8Array): TopicPartition[] {
  if (bytes.length === 0) return [];
  const reader = new Reader(asBuffer(bytes));
  reader.int16();
  return places(assignmentReader(reader).assignedPartitions);
}

function versioned(): Writer {
  const writer = new Writer();
  writer.int16(VERSION);
  return writer;
}

const byTopic = (of: readonly TopicPartition[]): TopicNumbers[] =>
  [...Map.groupBy(of, ({ topic }) => topic)].map(([topic, found]) => ({
    topic,
    partitions: found.map(({ partition }) => partition),
  }));

const places = (topics: readonly TopicNumbers[]): TopicPartition[] =>
  topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
