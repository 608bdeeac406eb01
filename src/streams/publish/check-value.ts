import type { InputProblem, Json, JsonSchema } from '../../kernel/index.ts';
import { jsonError, requireUtf8, scanWhole, type WholeScan } from '../json/check.ts';
import { parseKeyPath } from '../json/key-path.ts';
import { indexLines } from '../json/lines.ts';
import { createScanner } from '../json/scanner.ts';
import { valueProblems } from '../schema/compile.ts';

/*
 * Tasks for platform workers: what large values cost the main thread milliseconds for.
 */

const pathOf = (pointer: string | undefined) =>
  pointer === undefined ? {} : { path: parseKeyPath(pointer) };

/** The problems of one large value. The schema has been compiled, and so checked, before. */
export function checkValue(input: {
  readonly schema: JsonSchema;
  readonly value: Uint8Array;
}): readonly InputProblem[] {
  const { schema, value } = input;
  return valueProblems(schema, JSON.parse(Buffer.from(value).toString()) as Json);
}

/** Where the value and its key lie in the bytes of record `index`. Throws BAD_ENCODING and BAD_JSON. */
export function scanValue(input: {
  readonly value: Uint8Array;
  readonly pointer: string | undefined;
  readonly index: number;
}): WholeScan {
  const { value, pointer, index } = input;
  requireUtf8(value, `The value of record ${index}`);
  const scan = scanWhole(value, createScanner(pathOf(pointer)));
  if (scan.end < 0) throw jsonError(scan, value, 0, { record: index });
  return scan;
}

/** The index of a body with large lines. Throws what `indexLines` throws. */
export function indexBody(
  input: { readonly body: Uint8Array; readonly pointer: string | undefined },
  { transfer }: { readonly transfer: ArrayBufferLike[] },
): { readonly count: number; readonly places: Int32Array } {
  const { count, places } = indexLines(input.body, pathOf(input.pointer).path);
  transfer.push(places.buffer);
  return { count, places };
}
