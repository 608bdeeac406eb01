import { manualClock, seededRandom } from '../../kernel/index.ts';
import { logStoreContract } from '../../streams/port.contract.ts';
import { memoryLogStore } from './log-store.ts';

logStoreContract('memory', async (t) => {
  const clock = manualClock();
  const store = memoryLogStore({ clock, random: seededRandom(1) });
  await store.start?.();
  t.after(() => store.stop?.(AbortSignal.timeout(1_000)));
  return { store, clock, maintain: () => store.maintain() };
});
