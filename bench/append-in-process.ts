import {
  fsyncLatency,
  fsyncReadings,
  scratchFolder,
  sequentialWrite,
  syncedWrite,
} from './lib/calibration.ts';
import { batchMaker, openLog, stopLog } from './lib/embedded-log.ts';
import { bench, median } from './lib/harness.ts';

const CALLERS = 16;
const PARTITIONS = 16;
const BATCH_RECORDS = 100;
const RECORD_BYTES = 1024;

/** Bytes a second that 16 callers append, each waiting for the disk before its next batch. */
async function appendFor(folder: string, totalBytes: number): Promise<number> {
  const log = await openLog(folder);
  await log.topics.create({ name: 'bench', partitions: PARTITIONS, config: { retentionMs: null } });
  const make = batchMaker(BATCH_RECORDS, RECORD_BYTES);
  const batchBytes = make().length;
  let left = Math.ceil(totalBytes / batchBytes);
  const caller = async (partition: number): Promise<void> => {
    while (left-- > 0) await log.append({ topic: 'bench', partition, batch: make(), trusted: true });
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index % PARTITIONS)));
  const seconds = (performance.now() - started) / 1000;
  await stopLog(log);
  return totalBytes / seconds;
}

await bench({
  name: 'append-in-process',
  question: 'How fast does one process append, durable, in batches of 100 records of 1 KB from 16 callers?',
  leavesOut:
    'Encoding of batches, protocols, readers. The disk takes every byte twice (write-ahead file and segment), so half of its sequential speed is the most there is, and less where a sync costs more than its bytes: each caller waits for its own batch, so a group is at most 16 batches (1.6 MB) and one sync, and the calibration with a sync for each 1.6 MB is what the write-ahead file could reach alone, without segments beside it. The reading ends with the last acknowledgement, when the last segments are still being written.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const totalBytes = (short ? 128 : 1024) * 1024 * 1024;
    const latency = await fsyncLatency(folder.path, short ? 50 : 200);
    const writes: number[] = [];
    const synced: number[] = [];
    const appends: number[] = [];
    const groupBytes = CALLERS * batchMaker(BATCH_RECORDS, RECORD_BYTES)().length;
    for (let round = 0; round < (short ? 1 : 3); round++) {
      writes.push(await sequentialWrite(folder.path, totalBytes));
      synced.push(await syncedWrite(folder.path, groupBytes, totalBytes / 4));
      appends.push(await appendFor(`${folder.path}/log-${round}`, totalBytes));
      say(
        `round ${round + 1}: ${Math.round(appends.at(-1)! / 1e6)} MB/s beside ${Math.round(writes.at(-1)! / 1e6)} MB/s, ${Math.round(synced.at(-1)! / 1e6)} MB/s with a sync a group`,
      );
    }
    const [write, append] = [median(writes), median(appends)];
    return [
      ...fsyncReadings(latency),
      { what: 'calibration: sequential write', value: write / 1e6, unit: 'MB/s' },
      {
        what: 'calibration: 1.6 MB write + fdatasync in a loop',
        value: median(synced) / 1e6,
        unit: 'MB/s',
      },
      { what: 'appended, durable', value: append / 1e6, unit: 'MB/s' },
      { what: 'appended, durable', value: append / (RECORD_BYTES + 8), unit: 'records/s' },
      {
        what: 'of half the sequential write',
        value: append / (write / 2),
        unit: 'ratio',
        reach: { atLeast: 0.8 },
      },
      { what: 'of a synced write a group', value: append / median(synced), unit: 'ratio' },
    ];
  },
});
