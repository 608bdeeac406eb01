import { Buffer } from 'node:buffer';
import type { TopicPartition } from '../port.ts';
import { compileReader, compileWriter } from './codec/compile.ts';
import type { Message, Shape, Writable } from './codec/fields.ts';
import { Malformed, Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import {
  CONSUMER_PROTOCOL_VERSIONS,
  ConsumerAssignment,
  ConsumerSubscription,
} from './messages/consumer-protocol.ts';

/**
 * What consumers put into the opaque bytes of the classic protocol, for those who look at a group from outside: an int16
 * version, then the message. Fields that a later version appends are left unread.
 */
function readerOf<Of extends Shape>(shape: Of): (bytes: Uint8Array) => Message<Of> | undefined {
  const { to } = CONSUMER_PROTOCOL_VERSIONS;
  const readers = Array.from({ length: to + 1 }, (_, version) =>
    compileReader<Message<Of>>(shape, version, false),
  );
  return (bytes) => {
    try {
      const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      const version = reader.int16();
      return version < 0 ? undefined : readers[Math.min(version, to)]!(reader);
    } catch (error) {
      if (error instanceof Malformed) return undefined;
      throw error;
    }
  };
}

const readSubscriptionMessage = readerOf(ConsumerSubscription);
const readAssignmentMessage = readerOf(ConsumerAssignment);

/** undefined for bytes of another protocol. */
export function readSubscription(metadata: Uint8Array): readonly string[] | undefined {
  return readSubscriptionMessage(metadata)?.topics;
}

/** What the member says it holds; nothing for those that do not tell. */
export function readOwned(metadata: Uint8Array): readonly TopicPartition[] {
  return placesOf(readSubscriptionMessage(metadata)?.ownedPartitions ?? []);
}

export function readAssignment(assignment: Uint8Array): readonly TopicPartition[] {
  return placesOf(readAssignmentMessage(assignment)?.assignedPartitions ?? []);
}

function placesOf(
  topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
): TopicPartition[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
}

/** The first in which members tell what they hold. */
const SUBSCRIPTION_VERSION = 1;

const writeSubscriptionMessage = compileWriter<Writable<typeof ConsumerSubscription>>(
  ConsumerSubscription,
  SUBSCRIPTION_VERSION,
  false,
);
const writeAssignmentMessage = compileWriter<Writable<typeof ConsumerAssignment>>(
  ConsumerAssignment,
  0,
  false,
);

/** For members that the platform keeps itself: tools of Kafka show them as consumers. */
export function writeSubscription(
  topics: readonly string[],
  owned: readonly TopicPartition[] = [],
): Uint8Array {
  const writer = new Writer();
  writer.int16(SUBSCRIPTION_VERSION);
  writeSubscriptionMessage(writer, { topics, ownedPartitions: byTopic(owned) });
  return writer.bytesWritten();
}

export function writeAssignment(partitions: readonly TopicPartition[]): Uint8Array {
  const writer = new Writer();
  writer.int16(0);
  writeAssignmentMessage(writer, { assignedPartitions: byTopic(partitions) });
  return writer.bytesWritten();
}

export function byTopic(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  const found = new Map<string, number[]>();
  for (const { topic, partition } of partitions) {
    const known = found.get(topic);
    if (known) known.push(partition);
    else found.set(topic, [partition]);
  }
  return [...found].map(([topic, numbers]) => ({ topic, partitions: numbers.sort((a, b) => a - b) }));
}
