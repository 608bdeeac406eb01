import { stateStoreContract } from '../../kernel/ports/state-store.contract.ts';
import { memoryStateStore } from './index.ts';

stateStoreContract('memory', async (clock) => ({
  store: memoryStateStore({ clock }),
  [Symbol.asyncDispose]: async () => undefined,
}));
