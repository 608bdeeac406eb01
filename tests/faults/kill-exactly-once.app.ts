import type { FunctionPlatform } from '../support/function-platform.ts';

export const PARTITIONS = 2;
export const KEYS = 40;

export const keyOf = (value: number): string => `k${value % KEYS}`;
export const isPoison = (value: number): boolean => value % 1000 === 999;
/** Folds values so that a lost, repeated or swapped one changes the result. */
export const fold = (before: number, value: number): number => (before * 31 + value + 1) % 1_000_000_007;

const BATCHED = `async (records, ctx) => {
  const folds = { millrace: 1, kind: 'state', name: 'folds' };
  const scores = { millrace: 1, kind: 'stream', name: 'scores' };
  for (const record of records) {
    const { value } = record.value;
    if (value % 1000 === 999) throw new Error('poison');
    const cell = ctx.state(folds, record);
    const before = (await cell.get()) ?? 0;
    const next = (before * 31 + value + 1) % 1000000007;
    await cell.set(next);
    await ctx.emit(scores, { value, next }, { key: record.key });
  }
}`;

const ONE_BY_ONE = `async (record, ctx) => {
  const echoes = { millrace: 1, kind: 'stream', name: 'echoes' };
  if (record.value.value % 101 === 0 && ctx.attempt === 1) throw new Error('flaky');
  await ctx.emit(echoes, record.value, { key: record.key });
}`;

export async function define({ streams }: FunctionPlatform): Promise<void> {
  for (const name of ['payments', 'scores', 'echoes'])
    if (!streams.find(name)) await streams.define({ name, partitions: PARTITIONS });
}

export async function deploy(platform: FunctionPlatform): Promise<void> {
  const shape = {
    stream: 'payments',
    from: 'start',
    retry: { attempts: 2, backoffMs: 2 },
  } as const;
  await platform.deploy(
    {
      score: { ...shape, handler: BATCHED, batch: { size: 50, waitMs: 2 } },
      echo: { ...shape, handler: ONE_BY_ONE, retry: { attempts: 5, backoffMs: 2 } },
    },
    [{ name: 'folds', ttlMs: null }],
  );
}

/** Publishes the next values: as many as are in the stream say which. */
export async function publish({ streams, log }: FunctionPlatform, count: number): Promise<void> {
  let next = 0;
  for (let partition = 0; partition < PARTITIONS; partition++)
    next += log.bounds({ topic: 'payments', partition }).highWatermark;
  const records = Array.from({ length: count }, (_, index) => ({
    key: keyOf(next + index),
    value: { json: { value: next + index } },
  }));
  await streams.publish('payments', records);
}
