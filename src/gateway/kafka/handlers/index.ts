import type { Broker, Handler } from '../handler.ts';
import { fetchHandler } from './fetch.ts';
import { listOffsetsHandler } from './list-offsets.ts';
import { metadataHandler } from './metadata.ts';
import { produceHandler } from './produce.ts';

/** Every API that the door serves; one file each. ApiVersions is the registry's own. */
export function createHandlers(broker: Broker): readonly Handler[] {
  return [produceHandler(broker), fetchHandler(broker), listOffsetsHandler(broker), metadataHandler(broker)];
}
