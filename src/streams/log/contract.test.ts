import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fsDisk } from '../../adapters/fs/index.ts';
import { memoryDisk, simulatedDisk } from '../../adapters/memory/index.ts';
import { manualClock, seededRandom } from '../../kernel/index.ts';
import type { Disk } from '../disk.port.ts';
import { logStoreContract, type StoreUnderTest } from '../port.contract.ts';
import { createEmbeddedLog, type EmbeddedLog } from './index.ts';

/** The log over a disk; `again` gives the disk to the next process, after this one stopped or was killed. */
async function logOn(
  t: TestContext,
  disk: Disk,
  options: { readonly again?: () => Disk; readonly checkpointed?: boolean } = {},
): Promise<StoreUnderTest> {
  const clock = manualClock();
  let log: EmbeddedLog;
  const open = async (on: Disk): Promise<EmbeddedLog> => {
    log = createEmbeddedLog({ disk: on, clock, random: seededRandom(1) });
    await log.start?.();
    return log;
  };
  const store = await open(disk);
  const stop = (): Promise<void> | undefined => log.stop?.(AbortSignal.timeout(5_000));
  t.after(stop);
  return {
    store,
    clock,
    maintain: async () => {
      await log.checkpoint();
      await log.maintain();
    },
    reopen: async () => {
      if (options.checkpointed) await log.checkpoint();
      const next = options.again?.() ?? disk;
      await stop();
      return open(next);
    },
  };
}

logStoreContract('log on a disk in memory', (t) => logOn(t, memoryDisk()));

logStoreContract('log whose process is killed', (t) => {
  const disk = simulatedDisk();
  return logOn(t, disk, { again: () => disk.kill() });
});

logStoreContract('log whose machine loses power after a checkpoint', (t) => {
  const disk = simulatedDisk();
  return logOn(t, disk, { again: () => disk.crash(seededRandom(7)), checkpointed: true });
});

logStoreContract('log on files', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-log-'));
  const under = await logOn(t, fsDisk(folder));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return under;
});
