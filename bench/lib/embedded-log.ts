import { fsDisk } from '../../src/adapters/fs/index.ts';
import { seededRandom, systemClock } from '../../src/kernel/index.ts';
import { createEmbeddedLog, type EmbeddedLog, encodeBatch, type LogTuning } from '../../src/streams/index.ts';

/** A started log in `folder`, on the real disk and clock. */
export async function openLog(folder: string, tuning: Partial<LogTuning> = {}): Promise<EmbeddedLog> {
  const log = createEmbeddedLog({
    disk: fsDisk(folder),
    clock: systemClock(),
    random: seededRandom(1),
    tuning,
  });
  await log.start?.();
  return log;
}

export const stopLog = async (log: EmbeddedLog): Promise<void> => log.stop?.(AbortSignal.timeout(30_000));

/** A batch of `count` records of `bytes` each; every call gives a fresh copy, as a producer would. */
export function batchMaker(count: number, bytes: number): () => Uint8Array {
  const value = new Uint8Array(bytes).map((_, index) => 32 + ((index * 31) % 90));
  const template = encodeBatch(
    Array.from({ length: count }, () => ({ value })),
    { timeMs: Date.now() },
  );
  return () => new Uint8Array(template);
}
