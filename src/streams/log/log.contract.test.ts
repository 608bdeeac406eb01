import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fsDisk } from '../../adapters/fs/index.ts';
import { simulatedDisk } from '../../adapters/memory/index.ts';
import { manualClock, seededRandom } from '../../kernel/index.ts';
import type { Disk } from '../disk.port.ts';
import { logStoreContract, type StoreUnderTest } from '../port.contract.ts';
import { createEmbeddedLog, type EmbeddedLog } from './index.ts';

async function storeOn(t: TestContext, disk: Disk): Promise<StoreUnderTest> {
  const clock = manualClock();
  const random = seededRandom(1);
  let log: EmbeddedLog;
  const start = async (): Promise<EmbeddedLog> => {
    log = createEmbeddedLog({ disk, clock, random });
    await log.start?.();
    return log;
  };
  const stop = async (): Promise<void> => log.stop?.(AbortSignal.timeout(1000));
  await start();
  t.after(stop);
  return {
    store: log!,
    clock,
    maintain: () => log.maintain(),
    reopen: async () => {
      await stop();
      return start();
    },
  };
}

logStoreContract('embedded, on a simulated disk', (t) => storeOn(t, simulatedDisk()));

logStoreContract('embedded, on files', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-log-'));
  const made = await storeOn(t, fsDisk(folder));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return made;
});
