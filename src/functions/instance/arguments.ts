import type { Json } from '../../kernel/index.ts';
import type { WireArgument, WireNumbers } from '../protocol.ts';

/** An argument of a provider's method, as it crosses. Throws what JSON.stringify throws. */
export function toArgument(value: unknown): WireArgument {
  // Never a view of a larger buffer: cloning one clones all that lies behind it.
  if (value instanceof Uint8Array) return new Uint8Array(value);
  return numbersOf(value) ?? JSON.stringify(value) ?? 'null';
}

/** What a provider answers: JSON as text, bytes as they are. */
export function fromAnswer(answer: unknown): unknown {
  return typeof answer === 'string' ? JSON.parse(answer) : answer;
}

/** The table of a list of equally long lists of nothing but finite numbers; undefined for anything else. */
function numbersOf(value: unknown): WireNumbers | undefined {
  if (!Array.isArray(value) || !Array.isArray(value[0])) return undefined;
  const width = value[0].length;
  if (width === 0) return undefined;
  const values = new Float64Array(value.length * width);
  let at = 0;
  for (const row of value as unknown[]) {
    if (!Array.isArray(row) || row.length !== width) return undefined;
    for (let column = 0; column < width; column++) {
      const number: unknown = row[column];
      if (typeof number !== 'number' || number - number !== 0) return undefined;
      values[at++] = number;
    }
  }
  return [width, values];
}

/** Only JSON crosses: a value that cannot be cloned would take the whole batch of messages with it. */
export function plainArgument(value: unknown): Json {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? null : JSON.parse(text);
}
