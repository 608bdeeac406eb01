import { type Json, MillraceError } from '../../kernel/index.ts';
import { parseJson } from '../http/json.ts';

/** The rows of a request to predict, and what stands beside them. */
export interface PredictRequest {
  readonly rows: readonly Json[];
  /** One a row; only where the rows are wrapped. */
  readonly keys: readonly string[] | undefined;
  /** Where the rows stand in the body. */
  readonly path: '' | '/rows';
}

/** Throws INVALID_INPUT. */
export function readPredictRequest(body: Json): PredictRequest {
  if (Array.isArray(body)) return { rows: body, keys: undefined, path: '' };
  const { rows, keys } = (body ?? {}) as { readonly rows?: Json; readonly keys?: Json };
  if (Array.isArray(rows)) return { rows, keys: keysIn(keys, rows.length), path: '/rows' };
  const message =
    'Send the rows as a list, or as {"rows":[…]}; a row is an object by feature or input, or a list of values.';
  throw new MillraceError('INVALID_INPUT', message, {
    errors: [{ path: '/rows', message: 'must be a list' }],
  });
}

function keysIn(keys: Json | undefined, rows: number): readonly string[] | undefined {
  if (keys === undefined) return undefined;
  const fits = Array.isArray(keys) && keys.length === rows && keys.every((key) => typeof key === 'string');
  if (fits) return keys as readonly string[];
  const message = 'must be a list of texts, one a row';
  throw new MillraceError('INVALID_INPUT', `keys ${message}.`, { errors: [{ path: '/keys', message }] });
}

/** A request in parts, each small enough to be parsed and predicted in one turn of the event loop. */
export interface SlicedRequest extends Omit<PredictRequest, 'rows'> {
  /** JSON lists of rows, in order. */
  readonly slices: readonly string[];
  readonly rowsOfSlice: number;
  readonly rows: number;
}

/** Text of one slice, about: it takes a worker's parse of the whole, but less than a millisecond of the main thread's. */
const SLICE_CHARACTERS = 32 * 1024;

/** A task for platform workers. Throws BAD_ENCODING, BAD_JSON, INVALID_INPUT. */
export function slicePredictRequest(bytes: Uint8Array<ArrayBuffer>): SlicedRequest {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const { rows, keys, path } = readPredictRequest(parseJson(body));
  const rowsOfSlice = Math.max(1, Math.floor((SLICE_CHARACTERS * rows.length) / bytes.length));
  const slices: string[] = [];
  for (let start = 0; start < rows.length; start += rowsOfSlice) {
    slices.push(JSON.stringify(rows.slice(start, start + rowsOfSlice)));
  }
  return { slices, rowsOfSlice, rows: rows.length, keys, path };
}
