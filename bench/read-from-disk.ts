import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readBatchHeader } from '../src/streams/index.ts';
import { scratchFolder } from './lib/calibration.ts';
import { batchMaker, openLog, stopLog } from './lib/embedded-log.ts';
import { bench, median, type Reading } from './lib/harness.ts';

const FETCH_BYTES = 2 * 1024 * 1024;

async function fill(folder: string, totalBytes: number): Promise<void> {
  const log = await openLog(folder);
  await log.topics.create({ name: 'bench', partitions: 1 });
  const make = batchMaker(100, 1024);
  let left = Math.ceil(totalBytes / make().length);
  const caller = async (): Promise<void> => {
    while (left-- > 0) await log.append({ topic: 'bench', partition: 0, batch: make(), trusted: true });
  };
  await Promise.all(Array.from({ length: 16 }, caller));
  await stopLog(log);
}

/** Bytes a second that one reader takes from the first record to the last. */
async function readAll(folder: string): Promise<number> {
  const log = await openLog(folder);
  const place = { topic: 'bench', partition: 0 };
  const end = log.bounds(place).highWatermark;
  const started = performance.now();
  let bytes = 0;
  for (let offset = 0; offset < end; ) {
    const { batches } = await log.fetch({ ...place, offset, maxBytes: FETCH_BYTES });
    bytes += batches.length;
    for (let at = 0; at < batches.length; ) {
      const header = readBatchHeader(batches, at);
      offset = header.lastOffset + 1;
      at += header.sizeBytes;
    }
  }
  const seconds = (performance.now() - started) / 1000;
  await stopLog(log);
  return bytes / seconds;
}

function segments(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.log'))
    .map((name) => join(folder, name));
}

/** Bytes a second of `cat` into nothing. */
function cat(files: readonly string[]): number {
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  const started = performance.now();
  execFileSync('sh', ['-c', 'cat "$@" | cat > /dev/null', 'sh', ...files]);
  return bytes / ((performance.now() - started) / 1000);
}

/** Asks the system to forget the files (`dd` with nocache, no privilege needed); false where it cannot. */
function forget(files: readonly string[]): boolean {
  return files.every((file) => {
    const { status } = spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
    return status === 0;
  });
}

await bench({
  name: 'read-from-disk',
  question: 'How fast does one reader take a partition from disk, checksums verified, beside `cat`?',
  leavesOut: 'Decoding of records, protocols, several readers at once.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const path = `${folder.path}/log`;
    await fill(path, (short ? 256 : 2048) * 1024 * 1024);
    const files = segments(path);
    execFileSync('sync');
    const readings: Reading[] = [];
    const warmCat = cat(files);
    const warm: number[] = [];
    for (let round = 0; round < 3; round++) warm.push(await readAll(path));
    readings.push({ what: 'calibration: cat, warm', value: warmCat / 1e6, unit: 'MB/s' });
    readings.push({ what: 'read, warm', value: median(warm) / 1e6, unit: 'MB/s', reach: { atLeast: 500 } });
    if (!forget(files)) {
      say('the page cache cannot be dropped here: no cold reading');
      return readings;
    }
    const coldCat = cat(files);
    forget(files);
    const cold = await readAll(path);
    readings.push({ what: 'calibration: cat, cold', value: coldCat / 1e6, unit: 'MB/s' });
    readings.push({ what: 'read, cold', value: cold / 1e6, unit: 'MB/s' });
    readings.push({ what: 'cold, of cat', value: cold / coldCat, unit: 'ratio', reach: { atLeast: 0.8 } });
    return readings;
  },
});
