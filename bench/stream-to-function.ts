import { encodeBatch, partitionOfKey } from '../src/streams/index.ts';
import { type FunctionPlatform, startFunctionPlatform } from '../tests/support/function-platform.ts';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench, type Reading } from './lib/harness.ts';

const PARTITIONS = 4;
const KEYS = 10_000;
const BATCH = 1000;

const NOOP = 'async () => {}';
const STATEFUL = `async (records, ctx) => {
  const spent = { millrace: 1, kind: 'state', name: 'spent' };
  const alerts = { millrace: 1, kind: 'stream', name: 'alerts' };
  for (const record of records) {
    const cell = ctx.state(spent, record);
    const sum = ((await cell.get()) ?? 0) + record.value.amount;
    await cell.set(sum);
    await ctx.emit(alerts, { sum });
  }
}`;

/** Fills the stream with payments of about 100 bytes over 10,000 keys, durable before it returns. */
async function fill({ log }: FunctionPlatform, stream: string, records: number): Promise<void> {
  let pending: Promise<unknown>[] = [];
  const batches: { key: Uint8Array; value: Uint8Array }[][] = Array.from({ length: PARTITIONS }, () => []);
  for (let index = 0; index < records; index++) {
    const card = `card-${String((index * 7919) % KEYS).padStart(5, '0')}`;
    const value = { card, amount: index % 100, at: '2026-01-01T00:00:00.000Z', terminal: `t-${index % 500}` };
    const partition = partitionOfKey(Buffer.from(card), PARTITIONS);
    const batch = batches[partition]!;
    batch.push({ key: Buffer.from(card), value: Buffer.from(JSON.stringify(value)) });
    if (batch.length < BATCH) continue;
    const bytes = encodeBatch(batch, { timeMs: Date.now() });
    batches[partition] = [];
    pending.push(log.append({ topic: stream, partition, batch: bytes, trusted: true }));
    if (pending.length === 64) {
      await Promise.all(pending);
      pending = [];
    }
  }
  await Promise.all(pending);
}

async function untilRead({ consumers }: FunctionPlatform, fn: string, records: number): Promise<number> {
  const begin = performance.now();
  await consumers.idle();
  const seconds = (performance.now() - begin) / 1000;
  const left = consumers.status(fn).partitions.reduce((sum, { lag }) => sum + lag, 0);
  if (left > 0) throw new Error(`${left} of ${records} records were not read`);
  return records / seconds;
}

async function measure(kind: 'noop' | 'stateful', records: number): Promise<number> {
  using folder = scratchFolder();
  await using platform = await startFunctionPlatform(folder.path);
  await platform.streams.define({ name: 'payments', partitions: PARTITIONS });
  await platform.streams.define({ name: 'alerts', partitions: PARTITIONS });
  const shape = { stream: 'payments', batch: { size: 500, waitMs: 20 }, from: 'start' } as const;
  const handler = kind === 'noop' ? NOOP : STATEFUL;
  await platform.deploy({ score: { ...shape, handler } }, [{ name: 'spent', ttlMs: null }]);
  // One round beforehand, so that the instance is there and the code is compiled.
  await fill(platform, 'payments', records / 10);
  await platform.consumers.idle();
  platform.consumers.pause('score');
  await fill(platform, 'payments', records);
  const { length } = (await platform.streams.read({ topic: 'payments', partition: 0 }, 0, { limit: 1 }))
    .records;
  if (length === 0) throw new Error('The stream is empty.');
  platform.consumers.resume('score');
  // Awaited here: the platform stops when this returns.
  return await untilRead(platform, 'score', records);
}

await bench({
  name: 'stream-to-function',
  question:
    'How many records a second go from a durable stream through a batch function, positions committed?',
  leavesOut:
    'publishing (the stream is filled before), HTTP, decoding of compressed batches, several functions side by side',
  async run({ short, say }): Promise<readonly Reading[]> {
    using folder = scratchFolder();
    const fsync = await fsyncLatency(folder.path, short ? 20 : 200);
    const records = short ? 40_000 : 1_000_000;
    say(`${records} records, 4 partitions, batches of 500, one worker`);
    const noop = await measure('noop', records);
    say('the same with one state read, one write and one emit each');
    const stateful = await measure('stateful', short ? 20_000 : 500_000);
    return [
      ...fsyncReadings(fsync),
      { what: 'no-op batch function', value: noop, unit: 'records/s', reach: { atLeast: 200_000 } },
      {
        what: 'state read, state write, emit per record, 10,000 keys',
        value: stateful,
        unit: 'records/s',
        reach: { atLeast: 60_000 },
      },
    ];
  },
});
