import { fsyncLatency, fsyncReadings, scratchFolder, sequentialWrite } from './lib/calibration.ts';
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
    'Encoding of batches, protocols, readers. The disk takes every byte twice (write-ahead file and segment), so half of its sequential speed is the most there is; the reading ends with the last acknowledgement, when the last segments are still being written.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const totalBytes = (short ? 128 : 1024) * 1024 * 1024;
    const latency = await fsyncLatency(folder.path, short ? 50 : 200);
    const writes: number[] = [];
    const appends: number[] = [];
    for (let round = 0; round < (short ? 1 : 3); round++) {
      writes.push(await sequentialWrite(folder.path, totalBytes));
      appends.push(await appendFor(`${folder.path}/log-${round}`, totalBytes));
      say(
        `round ${round + 1}: ${Math.round(appends.at(-1)! / 1e6)} MB/s beside ${Math.round(writes.at(-1)! / 1e6)} MB/s`,
      );
    }
    const [write, append] = [median(writes), median(appends)];
    return [
      ...fsyncReadings(latency),
      { what: 'calibration: sequential write', value: write / 1e6, unit: 'MB/s' },
      { what: 'appended, durable', value: append / 1e6, unit: 'MB/s' },
      { what: 'appended, durable', value: append / (RECORD_BYTES + 8), unit: 'records/s' },
      {
        what: 'of half the sequential write',
        value: append / (write / 2),
        unit: 'ratio',
        reach: { atLeast: 0.8 },
      },
    ];
  },
});
