import { splitBatches } from '../src/streams/index.ts';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { batchMaker, openLog, stopLog } from './lib/embedded-log.ts';
import { bench, median, percentile } from './lib/harness.ts';

const RECORDS_PER_SECOND = 20_000;
const BATCH_RECORDS = 20;
const RECORD_BYTES = 200;
const PARTITIONS = 4;

/** Milliseconds from the call of append to the record in a reader's hand, one sample a batch. */
async function deliver(folder: string, seconds: number): Promise<number[]> {
  const log = await openLog(folder);
  await log.topics.create({ name: 'bench', partitions: PARTITIONS });
  const sentAt = Array.from({ length: PARTITIONS }, () => new Map<number, number>());
  const next = new Array<number>(PARTITIONS).fill(0);
  const latencies: number[] = [];
  const offsets = new Array<number>(PARTITIONS).fill(0);
  const read = async (partition: number): Promise<void> => {
    const place = { topic: 'bench', partition };
    while (offsets[partition]! < log.bounds(place).highWatermark) {
      const { batches } = await log.fetch({ ...place, offset: offsets[partition]!, maxBytes: 1024 * 1024 });
      const now = performance.now();
      for (const { header } of splitBatches(batches)) {
        latencies.push(now - sentAt[partition]!.get(header.baseOffset)!);
        sentAt[partition]!.delete(header.baseOffset);
        offsets[partition] = header.lastOffset + 1;
      }
    }
  };
  const reading = new Array<Promise<void> | undefined>(PARTITIONS);
  for (let partition = 0; partition < PARTITIONS; partition++) {
    log.watch([{ topic: 'bench', partition }], () => {
      reading[partition] = (reading[partition] ?? Promise.resolve()).then(() => read(partition));
    });
  }
  const make = batchMaker(BATCH_RECORDS, RECORD_BYTES);
  const total = (seconds * RECORDS_PER_SECOND) / BATCH_RECORDS;
  const started = performance.now();
  const appends: Promise<unknown>[] = [];
  for (let sent = 0; sent < total; ) {
    // As many as are due by now: a late turn sends what it missed, and their latency counts from when they were due.
    const due = Math.min(
      total,
      Math.floor(((performance.now() - started) / 1000) * (RECORDS_PER_SECOND / BATCH_RECORDS)),
    );
    for (; sent < due; sent++) {
      const partition = sent % PARTITIONS;
      sentAt[partition]!.set(next[partition]!, started + (sent * 1000 * BATCH_RECORDS) / RECORDS_PER_SECOND);
      next[partition]! += BATCH_RECORDS;
      appends.push(log.append({ topic: 'bench', partition, batch: make(), trusted: true }));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(appends);
  while (latencies.length < total) await new Promise((resolve) => setTimeout(resolve, 5));
  await stopLog(log);
  return latencies;
}

await bench({
  name: 'append-to-delivery',
  question:
    'How long after the call of append has a reader in the same process a durable record, at 20,000 records a second?',
  leavesOut: 'Protocols and functions. The sender wakes once a millisecond; what it was late counts.',
  async run({ short }) {
    using folder = scratchFolder();
    const before = await fsyncLatency(folder.path, short ? 100 : 400);
    const latencies = await deliver(`${folder.path}/log`, short ? 3 : 30);
    const after = await fsyncLatency(folder.path, short ? 100 : 400);
    const fsyncP99 = Math.max(before.p99Ms, after.p99Ms);
    const p99 = percentile(latencies, 0.99);
    return [
      ...fsyncReadings({ p50Ms: before.p50Ms, p99Ms: fsyncP99 }),
      { what: 'append to delivery, p50', value: median(latencies), unit: 'ms' },
      { what: 'append to delivery, p99', value: p99, unit: 'ms' },
      { what: 'p99 over the p99 of one fsync', value: p99 - fsyncP99, unit: 'ms', reach: { atMost: 10 } },
    ];
  },
});
