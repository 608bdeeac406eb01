import { MillraceError } from '../../../kernel/index.ts';
import { KafkaError, type KafkaErrorName, kafkaErrorName } from '../errors.ts';

/** What clients of the coordinator understand by a refusal; anything else is no refusal, and thrown again. */
export function transactionError(error: unknown, tellsFenced: boolean): KafkaErrorName {
  if (!(error instanceof MillraceError || error instanceof KafkaError)) throw error;
  if (error instanceof MillraceError) {
    if (error.code === 'PRODUCER_FENCED') return tellsFenced ? 'PRODUCER_FENCED' : 'INVALID_PRODUCER_EPOCH';
    if (error.code === 'PRODUCER_UNKNOWN') return 'INVALID_PRODUCER_ID_MAPPING';
    if (error.code === 'TRANSACTION_STATE' && error.retryAfterMs !== undefined)
      return 'CONCURRENT_TRANSACTIONS';
  }
  return kafkaErrorName(error);
}
