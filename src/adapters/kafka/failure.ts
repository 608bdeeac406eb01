import { MillraceError } from '../../kernel/index.ts';
import { KAFKA_ERRORS } from '../../streams/kafka-protocol/index.ts';

const { NONE, ...CODES } = KAFKA_ERRORS;

export { CODES };

const NAMES = new Map<number, string>(Object.entries(KAFKA_ERRORS).map(([name, code]) => [code, name]));

/** A code that the cluster answered with, before it is said in the words of the port. */
export class KafkaFailure extends Error {
  override readonly name = 'KafkaFailure';
  readonly code: number;

  constructor(code: number, what: string, detail?: string | null) {
    super(`The Kafka cluster refused to ${what}: ${nameOfCode(code)}${detail ? ` (${detail})` : ''}.`);
    this.code = code;
  }
}

/** The connection ended, or an answer did not come in time: whether the request took effect is not known. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export const nameOfCode = (code: number): string => NAMES.get(code) ?? `error ${code}`;

/** Throws KafkaFailure for every code but 0. */
export function requireOk(code: number, what: string, detail?: string | null): void {
  if (code !== NONE) throw new KafkaFailure(code, what, detail);
}

export const failedWith = (error: unknown, ...codes: readonly number[]): boolean =>
  error instanceof KafkaFailure && codes.includes(error.code);

/** Leaders and coordinators that moved, replicas that catch up: asking again, elsewhere, is likely to do. */
const PASSING: ReadonlySet<number> = new Set([
  ...[CODES.CORRUPT_MESSAGE, CODES.UNKNOWN_TOPIC_OR_PARTITION, CODES.LEADER_NOT_AVAILABLE],
  ...[CODES.NOT_LEADER_OR_FOLLOWER, CODES.REQUEST_TIMED_OUT, CODES.BROKER_NOT_AVAILABLE],
  ...[CODES.REPLICA_NOT_AVAILABLE, CODES.NETWORK_EXCEPTION, CODES.COORDINATOR_LOAD_IN_PROGRESS],
  ...[
    CODES.COORDINATOR_NOT_AVAILABLE,
    CODES.NOT_COORDINATOR,
    CODES.NOT_ENOUGH_REPLICAS,
    CODES.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  ],
  ...[CODES.NOT_CONTROLLER, CODES.CONCURRENT_TRANSACTIONS, CODES.KAFKA_STORAGE_ERROR],
  ...[CODES.FENCED_LEADER_EPOCH, CODES.UNKNOWN_LEADER_EPOCH, CODES.OFFSET_NOT_AVAILABLE],
  ...[CODES.UNSTABLE_OFFSET_COMMIT, CODES.THROTTLING_QUOTA_EXCEEDED, CODES.UNKNOWN_TOPIC_ID],
]);

export function isPassing(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof KafkaFailure && PASSING.has(error.code));
}

const ACCESS: ReadonlySet<number> = new Set([
  CODES.TOPIC_AUTHORIZATION_FAILED,
  CODES.GROUP_AUTHORIZATION_FAILED,
  CODES.CLUSTER_AUTHORIZATION_FAILED,
  CODES.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
]);

/** The error that crosses the port. */
export function toMillraceError(error: unknown): unknown {
  if (error instanceof ConnectionLost) return unavailable(error);
  if (!(error instanceof KafkaFailure)) return error;
  const say = (code: ConstructorParameters<typeof MillraceError>[0], remedy: string): MillraceError =>
    new MillraceError(code, `${error.message} ${remedy}`, { cause: error });
  if (ACCESS.has(error.code))
    return say('FORBIDDEN', "Give Millrace's user the ACLs that docs/kafka-log.md lists.");
  if (isPassing(error)) return unavailable(error);
  switch (error.code) {
    case CODES.OFFSET_OUT_OF_RANGE:
      return say('OFFSET_OUT_OF_RANGE', 'Read within the bounds of the partition.');
    case CODES.MESSAGE_TOO_LARGE:
    case CODES.RECORD_LIST_TOO_LARGE:
      return say('RECORD_TOO_LARGE', 'Send smaller records, or raise max.message.bytes of the topic.');
    case CODES.INVALID_RECORD:
    case CODES.INVALID_TIMESTAMP:
      return say('BATCH_INVALID', "Send records that the topic's configuration allows.");
    case CODES.OUT_OF_ORDER_SEQUENCE_NUMBER:
      return say(
        'SEQUENCE_OUT_OF_ORDER',
        'Go on with the next sequence number, or ask for a new producer id.',
      );
    case CODES.UNKNOWN_PRODUCER_ID:
    case CODES.INVALID_PRODUCER_ID_MAPPING:
      return say('PRODUCER_UNKNOWN', 'Ask for a producer id again.');
    case CODES.INVALID_PRODUCER_EPOCH:
    case CODES.PRODUCER_FENCED:
      return say('PRODUCER_FENCED', 'Another producer goes on under this id; stop this one.');
    case CODES.INVALID_TXN_STATE:
    case CODES.TRANSACTION_ABORTABLE:
      return say('TRANSACTION_STATE', 'Add the partition to the open transaction first.');
    case CODES.ILLEGAL_GENERATION:
    case CODES.FENCED_INSTANCE_ID:
    case CODES.REBALANCE_IN_PROGRESS:
      return say('GROUP_FENCED', 'Read the group again and repeat this with its new epoch.');
    case CODES.NON_EMPTY_GROUP:
    case CODES.UNKNOWN_MEMBER_ID:
    case CODES.GROUP_SUBSCRIBED_TO_TOPIC:
      return say('GROUP_NOT_EMPTY', 'Stop its members first.');
    case CODES.GROUP_ID_NOT_FOUND:
      return say('GROUP_NOT_FOUND', 'Check its name.');
    case CODES.TOPIC_ALREADY_EXISTS:
      return say('STREAM_EXISTS', 'Choose another name.');
    case CODES.INVALID_TOPIC_EXCEPTION:
      return say('STREAM_NAME_INVALID', 'Choose another name.');
    case CODES.INVALID_CONFIG:
    case CODES.POLICY_VIOLATION:
    case CODES.INVALID_REPLICATION_FACTOR:
      return say('STREAM_CONFIG_INVALID', "Change the configuration, or the cluster's policy.");
    case CODES.INVALID_PARTITIONS:
      return say('PARTITION_COUNT_INVALID', 'Partitions can only grow.');
    default:
      return say('BAD_REQUEST', "The cluster's log says more.");
  }
}

export function unavailable(cause: Error): MillraceError {
  return new MillraceError(
    'UNAVAILABLE',
    `The Kafka cluster does not answer as it should: ${cause.message} Try again; if it goes on, look at the brokers.`,
    { cause, retryAfterMs: 1_000 },
  );
}

/** Runs what crosses the port. */
export async function saidInPort<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw toMillraceError(error);
  }
}
