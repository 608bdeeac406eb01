import { MillraceError } from '../../../kernel/index.ts';
import {
  type AppendResult,
  BATCH_HEADER_BYTES,
  batchSizeAt,
  type TopicInfo,
} from '../../../streams/index.ts';
import { Produce, type RequestOf, type ResponseOf } from '../../../streams/kafka-protocol/index.ts';
import { KAFKA_ERRORS, KafkaError, type KafkaErrorName, kafkaErrorCode } from '../errors.ts';
import type { Broker, Handler, RequestContext } from '../handler.ts';
import { IMPLICIT_FROM, joinTransaction } from '../transactions/index.ts';

type Request = RequestOf<typeof Produce>;
type TopicData = Request['topicData'][number];
type PartitionData = TopicData['partitionData'][number];
type PartitionAnswer = ResponseOf<typeof Produce>['responses'][number]['partitionResponses'][number];

const MAGIC_AT = 16;
const ATTRIBUTES_AT = 22;
const ZSTD = 4;
const TRANSACTIONAL = 16;
const CONTROL = 32;
/** The version from which clients understand zstd (KIP-110). */
const ZSTD_FROM_VERSION = 7;

/**
 * Appends batches as they are. `acks` all and 1 are answered when the records are on disk: with one broker and a sync
 * for every group of appends there is nothing in between. `acks` 0 is not answered; what is refused then ends the
 * connection, which is the only way to tell.
 */
export function produceHandler({ streams, topics }: Broker): Handler<typeof Produce> {
  const append = (topic: TopicInfo, data: PartitionData, request: Request, context: RequestContext) => {
    const { index, records } = data;
    const wrong = whatIsWrong(records, request.transactionalId, context.version);
    if (wrong) return Promise.reject(new KafkaError(wrong[0], wrong[1]));
    const acks = request.acks === 0 ? 'memory' : 'disk';
    const release = context.hold();
    const input = { topic: topic.name, partition: index, batch: records!, acks } as const;
    return streams.produce(release ? { ...input, release } : input);
  };

  const produce = async (data: TopicData, request: Request, context: RequestContext) => {
    const { topic, errorCode } = topics.find(data, 'write', context);
    const partitionResponses = await Promise.all(
      data.partitionData.map((partition) =>
        topic
          ? append(topic, partition, request, context).then(
              (result) => appended(partition.index, result),
              (error: unknown) => refused(partition.index, error),
            )
          : { ...FAILED, index: partition.index, errorCode },
      ),
    );
    return { name: data.name, topicId: data.topicId, partitionResponses };
  };

  const join = (
    transactionalId: string,
    { topicData }: Request,
    context: RequestContext,
  ): Promise<number> => {
    const sent = topicData.flatMap((data) => {
      const { topic } = topics.find(data, 'write', context);
      if (!topic) return [];
      return data.partitionData.map(({ index, records }) => ({
        topic: topic.name,
        partition: index,
        records,
      }));
    });
    return joinTransaction(streams.log, transactionalId, sent);
  };

  return {
    api: Produce,
    async handle(request, context) {
      if (!isAcks(request.acks)) return refusedWhole(request, KAFKA_ERRORS.INVALID_REQUIRED_ACKS);
      if (
        request.transactionalId !== null &&
        !context.permits('write', `transaction/${request.transactionalId}`)
      ) {
        return refusedWhole(request, KAFKA_ERRORS.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
      }
      if (request.transactionalId !== null && context.version >= IMPLICIT_FROM) {
        const refusal = await join(request.transactionalId, request, context);
        if (refusal !== 0) return refusedWhole(request, refusal);
      }
      const answers = request.topicData.map((data) => produce(data, request, context));
      const throttleTimeMs = context.throttle('producer_byte_rate', bytesOf(request));
      // Everything is handed to the log by now, in order: the next request may begin while the disk works.
      context.proceed();
      const responses = await Promise.all(answers);
      if (request.acks !== 0) return { responses, throttleTimeMs };
      const failure = responses
        .flatMap(({ partitionResponses }) => partitionResponses)
        .find(({ errorCode }) => errorCode !== 0);
      if (failure)
        throw new KafkaError('INVALID_REQUEST', `a request with acks 0 failed: error ${failure.errorCode}`);
      return undefined;
    },
  };
}

function bytesOf({ topicData }: Request): number {
  let bytes = 0;
  for (const { partitionData } of topicData) {
    for (const { records } of partitionData) bytes += records?.length ?? 0;
  }
  return bytes;
}

const isAcks = (acks: number): boolean => acks === -1 || acks === 0 || acks === 1;

/** Why the records cannot be a batch that is appended; the log looks further. */
function whatIsWrong(
  records: Uint8Array | null,
  transactionalId: string | null,
  version: number,
): readonly [KafkaErrorName, string] | undefined {
  if (records === null || records.length < BATCH_HEADER_BYTES)
    return ['INVALID_RECORD', 'There is no record batch.'];
  if (records[MAGIC_AT] !== 2) {
    return ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'Only record batches of format 2 are taken.'];
  }
  if (batchSizeAt(records, 0) !== records.length) {
    return ['INVALID_RECORD', 'A partition takes exactly one whole record batch in a request.'];
  }
  const attributes = records[ATTRIBUTES_AT]!;
  if ((attributes & 7) === ZSTD && version < ZSTD_FROM_VERSION) {
    return ['UNSUPPORTED_COMPRESSION_TYPE', `zstd needs version ${ZSTD_FROM_VERSION} of Produce.`];
  }
  if (attributes & CONTROL) return ['INVALID_RECORD', "Control batches are the log's own."];
  if (attributes & TRANSACTIONAL && transactionalId === null) {
    return ['INVALID_TXN_STATE', 'The batch is transactional, and the request names no transactional id.'];
  }
  return undefined;
}

const FAILED = { baseOffset: -1, recordErrors: [] };

function appended(index: number, result: AppendResult): PartitionAnswer {
  return {
    index,
    errorCode: 0,
    baseOffset: result.baseOffset,
    logAppendTimeMs: result.appendTimeMs,
    logStartOffset: result.logStartOffset,
    recordErrors: [],
  };
}

function refused(index: number, error: unknown): PartitionAnswer {
  if (!(error instanceof KafkaError || error instanceof MillraceError)) throw error;
  const forbidden = error instanceof MillraceError && error.code === 'FORBIDDEN';
  const errorCode = forbidden ? KAFKA_ERRORS.TOPIC_AUTHORIZATION_FAILED : kafkaErrorCode(error);
  return { ...FAILED, index, errorCode, errorMessage: error.message, recordErrors: recordErrorsOf(error) };
}

/** The records that did not fit, by their index in the batch; the platform names them by the first part of a path. */
function recordErrorsOf(error: KafkaError | MillraceError): PartitionAnswer['recordErrors'] {
  if (!(error instanceof MillraceError) || error.code !== 'RECORD_INVALID') return [];
  return (error.errors ?? []).map(({ path, message }) => {
    const [, index, rest] = /^\/(\d+)(.*)$/.exec(path) ?? [];
    return { batchIndex: Number(index ?? 0), batchIndexErrorMessage: `${rest ?? path} ${message}`.trim() };
  });
}

function refusedWhole({ topicData }: Request, errorCode: number): ResponseOf<typeof Produce> {
  return {
    responses: topicData.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ ...FAILED, index, errorCode })),
    })),
  };
}
