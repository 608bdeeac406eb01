import { manualClock } from '../../kernel/index.ts';
import { blobStoreContract } from '../../kernel/ports/blob-store.contract.ts';
import { memoryBlobStore } from './index.ts';

blobStoreContract('memory', async () => ({
  store: memoryBlobStore({ clock: manualClock() }),
  [Symbol.asyncDispose]: async () => undefined,
}));
