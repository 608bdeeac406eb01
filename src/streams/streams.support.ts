import { memoryLogStore, memoryStateStore, simulatedDisk } from '../adapters/memory/index.ts';
import { type Clock, type ManualClock, manualClock, type StateStore, seededRandom } from '../kernel/index.ts';
import { createEmbeddedLog } from './log/index.ts';
import type { LogStore } from './port.ts';
import type { PublishRecord, ReadRecord, Streams } from './service.ts';
import { createStreams } from './streams.ts';

export interface TestStreams {
  readonly streams: Streams;
  readonly log: LogStore;
  readonly state: StateStore;
  readonly clock: ManualClock;
  /** A platform started anew over the same log and state. */
  restart(): Promise<Streams>;
}

/** The logs that the service is tested over: it must not tell them apart. */
export const LOGS = {
  'the log in memory': (clock: Clock): LogStore => memoryLogStore({ clock, random: seededRandom(1) }),
  'the embedded log': (clock: Clock): LogStore =>
    createEmbeddedLog({ disk: simulatedDisk(), clock, random: seededRandom(1) }),
} as const;

export async function startStreams(
  createLog: (clock: Clock) => LogStore = LOGS['the log in memory'],
): Promise<TestStreams> {
  const clock = manualClock();
  const log = createLog(clock);
  const state = memoryStateStore({ clock });
  await log.start?.();
  await state.start?.();
  const restart = async (): Promise<Streams> => {
    const streams = createStreams({ log, state, clock });
    await streams.start?.();
    return streams;
  };
  return { streams: await restart(), log, state, clock, restart };
}

export const json = (value: unknown, rest: Partial<PublishRecord> = {}): PublishRecord => ({
  value: Buffer.from(JSON.stringify(value)),
  ...rest,
});

export const textOf = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString();

/** Every record of a stream, partition after partition. */
export async function recordsOf(streams: Streams, topic: string): Promise<ReadRecord[]> {
  const records: ReadRecord[] = [];
  for (let partition = 0; partition < streams.describe(topic).partitions; partition++) {
    const { logStartOffset } = streams.log.bounds({ topic, partition });
    records.push(
      ...(await streams.read({ topic, partition }, logStartOffset, { limit: 100_000, maxBytes: 64_000_000 }))
        .records,
    );
  }
  return records;
}

export const valuesOf = async (streams: Streams, topic: string): Promise<(string | null)[]> =>
  (await recordsOf(streams, topic)).map(({ value }) => textOf(value));
