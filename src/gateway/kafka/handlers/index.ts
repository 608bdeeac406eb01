import { aclHandlers } from '../acls/handlers.ts';
import { groupHandlers } from '../groups/index.ts';
import type { Broker, Handler } from '../handler.ts';
import { transactionHandlers } from '../transactions/index.ts';
import { fetchHandler } from './fetch.ts';
import { listOffsetsHandler } from './list-offsets.ts';
import { metadataHandler } from './metadata.ts';
import { produceHandler } from './produce.ts';

/** Every API that the door serves; one file each. ApiVersions is the registry's own. */
export function createHandlers(broker: Broker): readonly Handler[] {
  return [
    produceHandler(broker),
    fetchHandler(broker),
    listOffsetsHandler(broker),
    metadataHandler(broker),
    ...groupHandlers(broker),
    ...aclHandlers(broker.acls),
    ...transactionHandlers(broker),
  ];
}
