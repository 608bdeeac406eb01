import type { Broker, Handler } from '../handler.ts';

/** Every API that the door serves; one file each. ApiVersions is the registry's own. */
export function createHandlers(_broker: Broker): readonly Handler[] {
  return [];
}
