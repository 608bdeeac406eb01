import { Reader, Writer } from '../../streams/kafka-protocol/index.ts';
import type { TopicPartition } from '../../streams/port.ts';

/*
 * What members tell each other through the coordinator: ConsumerProtocolSubscription version 1 and
 * ConsumerProtocolAssignment version 1 (common/message of kafka-clients), so that Kafka's own tools can read them.
 */
export const PROTOCOL_TYPE = 'consumer';
/** Of the assignor: groups of other clients do not take part in it by accident. */
export const PROTOCOL_NAME = 'millrace';

export interface Subscription {
  readonly topics: readonly string[];
  /** What the member holds at the moment. */
  readonly owned: readonly TopicPartition[];
}

export function writeSubscription({ topics, owned }: Subscription): Uint8Array {
  const writer = new Writer();
  writer.int16(1);
  writer.array(topics, false, (w, topic) => w.string(topic, false));
  writer.nullableBytes(null, false);
  writePlaces(writer, owned);
  return writer.bytesWritten();
}

/** Of members of other versions too: what came later stands behind. Throws Malformed. */
export function readSubscription(bytes: Uint8Array): Subscription {
  const reader = new Reader(asBuffer(bytes));
  const version = reader.int16();
  const topics = reader.array(false, (r) => r.string(false));
  reader.nullableBytes(false);
  return { topics, owned: version >= 1 ? readPlaces(reader) : [] };
}

export function writeAssignment(places: readonly TopicPartition[]): Uint8Array {
  const writer = new Writer();
  writer.int16(1);
  writePlaces(writer, places);
  writer.nullableBytes(null, false);
  return writer.bytesWritten();
}

export function readAssignment(bytes: Uint8Array): TopicPartition[] {
  if (bytes.length === 0) return [];
  const reader = new Reader(asBuffer(bytes));
  reader.int16();
  return readPlaces(reader);
}

function writePlaces(writer: Writer, places: readonly TopicPartition[]): void {
  const topics = [...Map.groupBy(places, ({ topic }) => topic)];
  writer.array(topics, false, (w, [topic, of]) => {
    w.string(topic, false);
    w.array(of, false, (inner, { partition }) => inner.int32(partition));
  });
}

function readPlaces(reader: Reader): TopicPartition[] {
  const topics = reader.array(false, (r) => {
    const topic = r.string(false);
    return r.array(false, (inner) => ({ topic, partition: inner.int32() }));
  });
  return topics.flat();
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
