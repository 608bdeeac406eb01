import type {
  CompatibilityMode,
  InputProblem,
  Json,
  JsonSchema,
  Service,
  StreamManifest,
} from '../kernel/index.ts';
import type {
  AppendInput,
  AppendResult,
  FetchResult,
  GroupInfo,
  LogStore,
  OffsetCommit,
  PartitionBounds,
  ProducerIdentity,
  TopicPartition,
} from './port.ts';
import type { Decompress } from './record-batch/index.ts';

/**
 * Streams as users know them: a topic of the log with a key path, a schema with versions, and rules for records that do
 * not fit. Everything that writes or reads records by value goes through here; bytes-for-bytes users take `log`.
 */
export interface Streams extends Service {
  readonly log: LogStore;
  /** The records of a compressed batch, unpacked without holding the main thread. Throws BATCH_INVALID. */
  readonly decompress: Decompress;

  /** Creates the stream, or evolves it: config, more partitions (keyed streams only with `repartition`), a new schema version under its mode. */
  define(definition: StreamDefinition): Promise<StreamDescription>;
  /** What `define` would do, one readable difference a line; throws what it would throw. */
  planDefine(definition: StreamDefinition): Promise<readonly string[]>;
  delete(name: string): Promise<void>;
  /** Marks a stream that `owner` no longer exports; its records stay, and another app may take it over. */
  detach(name: string, owner: string): Promise<void>;
  /** Throws STREAM_NOT_FOUND; the message names the nearest stream. */
  describe(name: string): StreamDescription;
  find(name: string): StreamDescription | undefined;
  list(options?: { internal?: boolean }): readonly StreamDescription[];
  groupsOf(name: string): readonly StreamGroup[];
  schemaVersions(name: string): Promise<readonly SchemaVersion[]>;

  /**
   * Checks, keys, partitions and appends; resolves when durable (unless acks is 'memory'). All or nothing per call for
   * what can be known before: one record that does not fit refuses the call with RECORD_INVALID and the problems of
   * every record (paths `/3/card`), or diverts it where the stream says so.
   */
  publish(name: string, records: readonly PublishRecord[], options?: PublishOptions): Promise<PublishResult>;
  /**
   * The fast path for NDJSON: one JSON value a line, empty lines are skipped. Values pass through as the bytes they are,
   * parsed only as far as the stream's schema and key path need.
   */
  publishLines(
    name: string,
    body: Uint8Array,
    options?: PublishOptions & { key?: string },
  ): Promise<PublishResult>;
  /** The same checks, giving the encoded batches back instead of appending: for commits that must be atomic. */
  encode(name: string, records: readonly PublishRecord[]): Promise<readonly AppendInput[]>;

  /**
   * Appends a batch as a Kafka producer made it, in the order of the calls. Batches of streams without schema, key path and
   * compaction pass unopened; of others every record is looked at. Throws what `append` of the log throws, FORBIDDEN for the
   * platform's own streams, and RECORD_INVALID with the problems by the index in the batch (`/3/card`) where records are refused;
   * where they are diverted, the others are appended at the offsets they would have had.
   */
  produce(input: AppendInput): Promise<AppendResult>;

  /** Decoded records from `offset` on. */
  read(partition: TopicPartition, offset: number, options?: ReadOptions): Promise<ReadResult>;
  /** 'start', 'end', an offset, or a time (ISO 8601, `10m` ago) to an offset of that partition. Throws BAD_REQUEST. */
  resolvePosition(partition: TopicPartition, from: string): Promise<number>;
  /** Follows all partitions (or those given) until the signal fires; holds at most `maxBytes` of undelivered records. */
  follow(name: string, options: FollowOptions): AsyncIterable<ReadRecord>;
}

export interface StreamDefinition extends Partial<Omit<StreamManifest, 'name'>> {
  readonly name: string;
  /** The app that exports it; left out for streams made by hand. */
  readonly owner?: string;
  readonly internal?: boolean;
  /** Allows more partitions on a keyed stream although keys move. */
  readonly repartition?: boolean;
}

export interface StreamDescription extends Required<Omit<StreamManifest, 'keyPath' | 'schema'>> {
  readonly keyPath?: string;
  readonly schema?: JsonSchema;
  readonly schemaVersion: number;
  readonly owner?: string;
  readonly internal: boolean;
  /** Its app no longer exports it; the records stay. */
  readonly detached: boolean;
  readonly createdMs: number;
  readonly bounds: readonly PartitionBounds[];
}

export interface StreamGroup extends GroupInfo {
  readonly offsets: readonly OffsetCommit[];
  /** Records behind the last stable offset, per partition of this stream. */
  readonly lag: readonly number[];
}

export interface SchemaVersion {
  readonly version: number;
  readonly schema: JsonSchema;
  readonly mode: CompatibilityMode;
  readonly createdMs: number;
}

export interface PublishRecord {
  /** JSON text as UTF-8 (or any bytes on a stream without schema and key path), or the value itself. */
  readonly value: Uint8Array | { readonly json: Json };
  readonly key?: string | Uint8Array;
  readonly headers?: readonly RecordHeader[];
  readonly timeMs?: number;
  readonly partition?: number;
}

export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface PublishOptions {
  readonly acks?: 'disk' | 'memory';
  /**
   * A producer made for this call alone: every batch carries it with sequence 0, and records without a key go to the
   * partition `producerId % partitions`. The same call made again, after a crash too, resolves to the places of the first.
   */
  readonly producer?: ProducerIdentity;
}

export interface PublishResult {
  readonly records: number;
  /** How many went to `<stream>.invalid`, with why. */
  readonly diverted: readonly { readonly index: number; readonly errors: readonly InputProblem[] }[];
  /** One entry per batch appended; record i of the call sits at partition and offset `placeOf(i)`. */
  placeOf(index: number): TopicPartition & { readonly offset: number };
}

export interface ReadRecord extends TopicPartition {
  readonly offset: number;
  readonly timeMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

export interface ReadOptions {
  readonly limit?: number;
  readonly maxBytes?: number;
  readonly isolation?: 'committed' | 'uncommitted';
}

export interface ReadResult
  extends Pick<FetchResult, 'highWatermark' | 'lastStableOffset' | 'logStartOffset'> {
  readonly records: readonly ReadRecord[];
  /** Where the next read goes on; past control batches and gaps of compaction too. */
  readonly nextOffset: number;
}

export interface FollowOptions extends ReadOptions {
  readonly from?: string;
  /** Offsets to go on from, by partition; partitions that are not in it start at `from`. */
  readonly positions?: ReadonlyMap<number, number>;
  readonly partitions?: readonly number[];
  readonly signal: AbortSignal;
}
