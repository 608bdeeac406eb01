import type { ApiClient } from './client.ts';

/** Most records that the API gives at once. */
const PAGE = 10_000;

interface Offsets {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

interface Page {
  readonly records: readonly { readonly offset: number; readonly time: string; readonly value?: unknown }[];
}

/**
 * The values that a stream holds now, in the order of their time over all partitions; of more than `most`, the newest of each
 * partition. Values that are no JSON are left out.
 */
export async function historyOf(client: ApiClient, stream: string, most: number): Promise<unknown[]> {
  const base = `/streams/${encodeURIComponent(stream)}`;
  const { offsets } = await client.get<{ offsets: readonly Offsets[] }>(base);
  const each = Math.ceil(most / Math.max(1, offsets.length));
  const found: { readonly time: string; readonly value: unknown }[] = [];
  for (const { partition, start, end } of offsets) {
    for (let from = Math.max(start, end - each); from < end; ) {
      const query = `partition=${partition}&from=${from}&limit=${Math.min(PAGE, end - from)}`;
      const { records }: Page = await client.get(`${base}/records?${query}`);
      if (records.length === 0) break;
      for (const { time, value } of records) if (value !== undefined) found.push({ time, value });
      from = records.at(-1)!.offset + 1;
    }
  }
  // Times are ISO 8601 in UTC, which sort as texts; records of one time stay in their partition's order.
  found.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return found.map(({ value }) => value);
}
