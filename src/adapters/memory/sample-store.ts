import type { ArchivedLine, LogArchive, SampleBucket, SampleStore } from '../../observe/port.ts';

/** Samples in memory; the oldest buckets go when more than `mostRows` rows are held. */
export function memorySampleStore({ mostRows = 200_000 }: { readonly mostRows?: number } = {}): SampleStore {
  const buckets: SampleBucket[] = [];
  let rows = 0;
  return {
    name: 'sample store',
    async append(bucket) {
      buckets.push(structuredClone(bucket));
      rows += bucket.rows.length;
      while (rows > mostRows && buckets.length > 1) rows -= buckets.shift()!.rows.length;
    },
    async *read({ stepMs, fromMs, toMs, kind, name }) {
      for (const bucket of [...buckets]) {
        if (bucket.stepMs !== stepMs || bucket.startMs < fromMs || bucket.startMs >= toMs) continue;
        const wanted = bucket.rows.filter(
          (row) => (kind === undefined || row.kind === kind) && (name === undefined || row.name === name),
        );
        if (wanted.length > 0) yield { ...bucket, rows: wanted };
      }
    },
    async newestEndMs(stepMs) {
      const newest = buckets.findLast((bucket) => bucket.stepMs === stepMs);
      return newest && newest.startMs + stepMs;
    },
  };
}

/** Log lines in memory, the newest `mostLines`. */
export function memoryLogArchive({ mostLines = 50_000 }: { readonly mostLines?: number } = {}): LogArchive {
  let held: ArchivedLine[] = [];
  return {
    name: 'log archive',
    async append(lines) {
      held.push(...lines.map((line) => JSON.parse(JSON.stringify(line)) as ArchivedLine));
      if (held.length > mostLines) held = held.slice(-mostLines);
    },
    async *read({ fromMs, toMs }) {
      yield held.filter((line) => line.timeMs >= fromMs && line.timeMs < toMs).reverse();
    },
  };
}
