import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  RESOLUTIONS,
  type Resolution,
  type SampleBucket,
  type SampleRow,
  type SampleStore,
} from '../../observe/port.ts';
import { type LineFiles, lineFiles } from './line-files.ts';

/** Share of the bytes that each resolution gets, finest first. */
const SHARES = [0.4, 0.25, 0.2, 0.15];
/** A bucket with more rows is written as several lines, so that none holds the event loop. */
const ROWS_A_LINE = 250;

/** Samples as lines of JSON, `{"t":start,"r":[row, …]}`, one folder a resolution. `mostBytes` bounds all of them together. */
export function fsSampleStore(options: { readonly folder: string; readonly mostBytes: number }): SampleStore {
  const files = new Map<Resolution, LineFiles>(
    RESOLUTIONS.map((stepMs, index) => {
      const mostBytes = Math.floor(options.mostBytes * SHARES[index]!);
      const folder = join(options.folder, String(stepMs / 1000));
      return [stepMs, lineFiles({ folder, mostBytes, fileBytes: Math.min(1024 * 1024, mostBytes / 4) })];
    }),
  );
  return {
    name: 'sample store',
    async start() {
      for (const each of files.values()) await each.start();
    },
    async stop() {
      for (const each of files.values()) await each.stop();
    },
    async append({ stepMs, startMs, rows }) {
      for (let at = 0; at < rows.length; at += ROWS_A_LINE) {
        const line = JSON.stringify({ t: startMs, r: rows.slice(at, at + ROWS_A_LINE) });
        await files.get(stepMs)!.append(startMs, `${line}\n`);
        await nextTurn();
      }
    },
    async *read({ stepMs, fromMs, toMs, kind, name }) {
      const wanted = name === undefined ? undefined : JSON.stringify(name);
      for await (const lines of files.get(stepMs)!.read(fromMs, toMs)) {
        for (const line of lines) {
          if (wanted !== undefined && !line.includes(wanted)) continue;
          const bucket = parseBucket(stepMs, line);
          if (!bucket || bucket.startMs < fromMs || bucket.startMs >= toMs) continue;
          const rows = bucket.rows.filter(
            (row) => (kind === undefined || row.kind === kind) && (name === undefined || row.name === name),
          );
          if (rows.length > 0) yield { ...bucket, rows };
        }
      }
    },
    async newestEndMs(stepMs) {
      const all = files.get(stepMs)!.read(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, true);
      for await (const lines of all) {
        for (const line of lines) {
          const bucket = parseBucket(stepMs, line);
          if (bucket) return bucket.startMs + stepMs;
        }
      }
      return undefined;
    },
  };
}

/** Undefined for a line that a crash tore. */
function parseBucket(stepMs: Resolution, line: string): SampleBucket | undefined {
  try {
    const { t, r } = JSON.parse(line) as { t: number; r: SampleRow[] };
    return { stepMs, startMs: t, rows: r };
  } catch {
    return undefined;
  }
}
