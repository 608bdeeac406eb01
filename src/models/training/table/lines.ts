import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { MillraceError } from '../../../kernel/index.ts';

const BLOCK_BYTES = 256 * 1024;
/** A longer line is no row. */
const LONGEST_LINE = 16 * 1024 * 1024;

/** The lines of a file, block by block, unpacked when its name ends in `.gz`. Throws INVALID_INPUT for a file that cannot be read. */
export async function* linesOf(path: string): AsyncIterable<string[]> {
  const file = createReadStream(path, { highWaterMark: BLOCK_BYTES });
  const bytes = path.endsWith('.gz') ? file.pipe(createGunzip({ chunkSize: BLOCK_BYTES })) : file;
  file.on('error', (error) => bytes.destroy(error));
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const block of bytes) {
      const lines = (rest + decoder.decode(block as Uint8Array, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LONGEST_LINE) throw new Error(`a line is longer than ${LONGEST_LINE} characters`);
      yield lines.map(withoutReturn);
    }
  } catch (error) {
    throw new MillraceError('INVALID_INPUT', `${path} cannot be read: ${(error as Error).message}.`, {
      cause: error,
    });
  }
  if (rest !== '') yield [withoutReturn(rest)];
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);
