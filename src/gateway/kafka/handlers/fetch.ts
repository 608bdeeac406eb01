import { Fetch, NO_UUID, type RequestOf, type ResponseOf } from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS } from '../errors.ts';
import {
  type FetchSession,
  FetchSessions,
  type SessionPartition,
  type WantedPartition,
} from '../fetch-sessions.ts';
import type { Broker, Handler } from '../handler.ts';
import { createPoll, type PartitionRead } from '../poll.ts';

type Request = RequestOf<typeof Fetch>;
type Response = ResponseOf<typeof Fetch>;
type TopicAnswer = Response['responses'][number];
type PartitionAnswer = TopicAnswer['partitions'][number];

/** The version from which topics are named by their ids (KIP-516). */
const TOPIC_IDS_FROM_VERSION = 13;
/** The largest answer, Apache Kafka's default of `fetch.max.bytes`. */
const MOST_BYTES = 57_671_680;
const FINAL_EPOCH = -1;
const FIRST_EPOCH = 0;

/** Reads records: with or without a session, at once or when enough has come. */
export function fetchHandler(broker: Broker): Handler<typeof Fetch> {
  const sessions = new FetchSessions(broker);
  const poll = createPoll(broker);

  /** What to read, and the session it belongs to; or the error of the whole request. */
  const begin = (request: Request, version: number) => {
    const { sessionId, sessionEpoch } = request;
    const usesTopicIds = version >= TOPIC_IDS_FROM_VERSION;
    const asked = wantedOf(request);
    if (sessionEpoch === FINAL_EPOCH || sessionEpoch === FIRST_EPOCH) {
      if (sessionId !== 0) sessions.close(sessionId);
      const session = sessionEpoch === FINAL_EPOCH ? undefined : sessions.open(asked.length, usesTopicIds);
      for (const wanted of asked) session?.want(wanted);
      const fresh = asked.map((wanted) => ({ wanted, told: { highWatermark: -1, logStartOffset: -1 } }));
      return { session, partitions: session?.partitions() ?? fresh, whole: true };
    }
    const session = sessions.use(sessionId, sessionEpoch, usesTopicIds);
    if (typeof session === 'string') return KAFKA_ERRORS[session];
    for (const wanted of asked) session.want(wanted);
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) session.forget({ topic, topicId, partition });
    }
    return { session, partitions: session.partitions(), whole: false };
  };

  return {
    api: Fetch,
    async handle(request, context) {
      const begun = begin(request, context.version);
      if (typeof begun === 'number') return { errorCode: begun, responses: [] };
      const { session, partitions, whole } = begun;
      const reads = await poll(
        partitions.map(({ wanted }) => wanted),
        {
          isolation: request.isolationLevel === 1 ? 'committed' : 'uncommitted',
          maxBytes: Math.min(request.maxBytes, MOST_BYTES, context.mostResponseBytes),
          minBytes: request.minBytes,
          maxWaitMs: request.maxWaitMs,
        },
        context,
      );
      const told = partitions.flatMap((partition, index) =>
        tell(partition, reads[index]!, session) || whole ? [{ partition, read: reads[index]! }] : [],
      );
      const bytes = told.reduce((sum, { read }) => sum + read.batches.length, 0);
      return {
        throttleTimeMs: context.throttle('consumer_byte_rate', bytes),
        errorCode: 0,
        sessionId: session?.id ?? 0,
        responses: byTopic(told.map(({ partition, read }) => [partition.wanted, read])),
      };
    },
  };
}

function wantedOf({ topics }: Request): WantedPartition[] {
  return topics.flatMap(({ topic, topicId, partitions }) =>
    partitions.map(({ partition, fetchOffset, partitionMaxBytes, currentLeaderEpoch }) => ({
      ...{ topic, topicId, partition, fetchOffset, currentLeaderEpoch },
      maxBytes: partitionMaxBytes,
    })),
  );
}

/** Whether a partition has something that its client does not know; remembers that it knows it now. */
function tell(partition: SessionPartition, read: PartitionRead, session: FetchSession | undefined): boolean {
  const { told } = partition;
  const { highWatermark, logStartOffset } = read;
  const isNew =
    read.errorCode !== 0 ||
    read.batches.length > 0 ||
    highWatermark !== told.highWatermark ||
    logStartOffset !== told.logStartOffset;
  told.highWatermark = highWatermark;
  told.logStartOffset = logStartOffset;
  if (read.batches.length > 0) session?.toTheEnd(partition);
  return isNew;
}

function byTopic(reads: readonly (readonly [WantedPartition, PartitionRead])[]): TopicAnswer[] {
  const answers = new Map<string, TopicAnswer & { readonly partitions: PartitionAnswer[] }>();
  for (const [{ topic, topicId, partition }, read] of reads) {
    const key = topicId === NO_UUID ? topic : topicId;
    let answer = answers.get(key);
    if (!answer) answers.set(key, (answer = { topic, topicId, partitions: [] }));
    answer.partitions.push({
      partitionIndex: partition,
      errorCode: read.errorCode,
      highWatermark: read.highWatermark,
      lastStableOffset: read.lastStableOffset,
      logStartOffset: read.logStartOffset,
      abortedTransactions: read.aborted,
      records: read.batches,
    });
  }
  return [...answers.values()];
}
