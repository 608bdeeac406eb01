import type { Broker, Handler } from '../handler.ts';
import {
  addOffsetsToTxnHandler,
  addPartitionsToTxnHandler,
  describeProducersHandler,
  describeTransactionsHandler,
  endTxnHandler,
  initProducerIdHandler,
  listTransactionsHandler,
} from './handlers.ts';

/** Idempotent producers and transactions. */
export function transactionHandlers(broker: Broker): readonly Handler[] {
  return [
    initProducerIdHandler(broker),
    addPartitionsToTxnHandler(broker),
    addOffsetsToTxnHandler(broker),
    endTxnHandler(broker),
    describeTransactionsHandler(broker),
    listTransactionsHandler(broker),
    describeProducersHandler(broker),
  ];
}

export { IMPLICIT_FROM, joinTransaction } from './implicit.ts';
