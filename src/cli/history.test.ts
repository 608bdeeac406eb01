import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiClient } from './client.ts';
import { historyOf } from './history.ts';

test("the newest of a stream's records are read, in the order of time over its partitions", async () => {
  const time = (second: number): string => new Date(second * 1000).toISOString();
  const partitions = [0, 1].map((partition) =>
    Array.from({ length: 25 }, (_, at) => ({
      offset: 5 + at,
      time: time(2 * at + partition),
      value: 2 * at + partition,
    })),
  );
  const client = {
    async get(path: string): Promise<unknown> {
      const { pathname, searchParams } = new URL(path, 'http://api');
      if (pathname === '/streams/a%2Fb') {
        return { offsets: partitions.map((_, partition) => ({ partition, start: 5, end: 30 })) };
      }
      const [partition, from, limit] = ['partition', 'from', 'limit'].map((name) =>
        Number(searchParams.get(name)),
      );
      // Pages may be shorter than asked for.
      const records = partitions[partition!]!.filter(({ offset }) => offset >= from!);
      return { records: records.slice(0, Math.min(7, limit!)) };
    },
  } as ApiClient;
  const all = Array.from({ length: 50 }, (_, at) => at);
  assert.deepEqual(await historyOf(client, 'a/b', 1000), all);
  assert.deepEqual(await historyOf(client, 'a/b', 10), all.slice(-10));
});
