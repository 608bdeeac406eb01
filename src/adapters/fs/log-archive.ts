import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ArchivedLine, LogArchive } from '../../observe/port.ts';
import { lineFiles } from './line-files.ts';

/** Lines that are turned into JSON between two turns of the event loop. */
const LINES_A_TURN = 200;

/** Log lines as lines of JSON, bounded by bytes and age. */
export function fsLogArchive(options: {
  readonly folder: string;
  readonly mostBytes: number;
  readonly mostAgeMs: number;
}): LogArchive {
  const files = lineFiles({ ...options, fileBytes: Math.min(4 * 1024 * 1024, options.mostBytes / 8) });
  return {
    name: 'log archive',
    start: () => files.start(),
    stop: () => files.stop(),
    async append(lines) {
      for (let at = 0; at < lines.length; at += LINES_A_TURN) {
        const piece = lines.slice(at, at + LINES_A_TURN);
        await files.append(piece[0]!.timeMs, piece.map((line) => `${JSON.stringify(line)}\n`).join(''));
        await nextTurn();
      }
    },
    async *read({ fromMs, toMs }) {
      for await (const lines of files.read(fromMs, toMs, true)) {
        yield lines.flatMap((line) => parseLine(line) ?? []);
      }
    },
  };
}

/** Undefined for a line that a crash tore. */
function parseLine(line: string): ArchivedLine | undefined {
  try {
    return JSON.parse(line) as ArchivedLine;
  } catch {
    return undefined;
  }
}
