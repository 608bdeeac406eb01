import type { ApiClient } from './client.ts';

const PAGE = 10_000;

interface Offsets {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

interface Page {
  readonly records: readonly { readonly offset: number; readonly value?: unknown }[];
}

/** The values that a stream holds now, partition after partition, at most so many; values that are no JSON are left out. */
export async function historyOf(client: ApiClient, stream: string, most: number): Promise<unknown[]> {
  const base = `/streams/${encodeURIComponent(stream)}`;
  const { offsets } = await client.get<{ offsets: readonly Offsets[] }>(base);
  const values: unknown[] = [];
  for (const { partition, start, end } of offsets) {
    for (let from = start; from < end && values.length < most; ) {
      const limit = Math.min(PAGE, most - values.length);
      const { records }: Page = await client.get(
        `${base}/records?partition=${partition}&from=${from}&limit=${limit}`,
      );
      if (records.length === 0) break;
      for (const { value } of records) if (value !== undefined) values.push(value);
      from = records.at(-1)!.offset + 1;
    }
  }
  return values;
}
