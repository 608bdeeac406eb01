import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  isMillraceError,
  type Json,
  MillraceError,
  siblingModule,
  type Workers,
} from '../../kernel/index.ts';
import { checkRowCount, type Models, type PredictOptions } from '../../models/index.ts';
import { parseJson } from '../http/json.ts';
import { ownBytes } from '../http/own-bytes.ts';
import type { Exchange } from './exchange.ts';
import { readPredictRequest, type SlicedRequest } from './predict-rows.ts';

/** Rows in larger bodies take the main thread milliseconds. */
const LARGE_BODY_BYTES = 64 * 1024;
const SLICE = { module: siblingModule(import.meta.url, './predict-rows'), task: 'slicePredictRequest' };

export type Predict = (exchange: Exchange) => Promise<void>;

/** `POST /models/{name}/predict`. */
export function createPredict(models: Models, workers: Workers): Predict {
  const turns = createTurns();
  return async (exchange) => {
    const body = await exchange.body();
    const options = optionsOf(exchange);
    if (body.length > LARGE_BODY_BYTES) {
      const bytes = ownBytes(body);
      const sliced = await workers.run<SlicedRequest>(SLICE, bytes, { transfer: [bytes.buffer] });
      exchange.json(200, await predictSlices(models, exchange, sliced, options, turns));
      return;
    }
    const { rows, keys, path } = readPredictRequest(parseJson(body));
    const given = { ...options, path, ...(keys === undefined ? {} : { keys }) };
    exchange.json(200, JSON.stringify(await models.predict(exchange.params[0]!, rows, given)));
  };
}

function optionsOf(exchange: Exchange): PredictOptions {
  const query = exchange.search === '' ? undefined : exchange.query();
  const version = query?.get('version') ?? undefined;
  const key = query?.get('key') ?? exchange.header('millrace-key');
  const explain = query?.has('explain') && query.get('explain') !== 'false';
  return {
    explain,
    ...(version === undefined ? {} : { version }),
    ...(key === undefined ? {} : { key }),
  };
}

/**
 * Part after part, each in a turn of the event loop of its own. The version that answers the first answers all; shadows see
 * the first part alone.
 */
async function predictSlices(
  models: Models,
  { params, response }: Exchange,
  { slices, rowsOfSlice, rows, keys, path }: SlicedRequest,
  options: PredictOptions,
  turns: () => Promise<void>,
): Promise<Uint8Array> {
  checkRowCount(rows);
  const predictions: Uint8Array[] = [];
  const explanations: Uint8Array[] = [];
  let version: string | undefined;
  // Without rows the model says what is wrong with that.
  for (const [index, slice] of (slices.length === 0 ? ['[]'] : slices).entries()) {
    await turns();
    if (response.destroyed) break;
    const start = index * rowsOfSlice;
    const given: PredictOptions = {
      ...{ ...options, path },
      ...(version === undefined ? {} : { version }),
      ...(keys === undefined ? {} : { keys: keys.slice(start, start + rowsOfSlice) }),
    };
    const answer = await models
      .predict(params[0]!, JSON.parse(slice) as readonly Json[], given)
      .catch((error: unknown) => {
        throw atRow(error, path, start);
      });
    version = answer.version;
    predictions.push(itemsOf(answer.predictions));
    if (answer.explanations) explanations.push(itemsOf(answer.explanations));
  }
  const head = `{"model":${JSON.stringify(params[0])},"version":${JSON.stringify(version)},"predictions":[`;
  const explained =
    explanations.length === 0 ? [] : [Buffer.from('],"explanations":['), ...listed(explanations)];
  return Buffer.concat([Buffer.from(head), ...listed(predictions), ...explained, Buffer.from(']}')]);
}

/** What stands between the brackets. */
function itemsOf(list: readonly unknown[]): Uint8Array {
  return Buffer.from(JSON.stringify(list).slice(1, -1));
}

const COMMA = Buffer.from(',');

function listed(parts: readonly Uint8Array[]): Uint8Array[] {
  return parts.flatMap((part, index) => (index === 0 ? [part] : [COMMA, part]));
}

/** Problems of a part are told by the places of all the rows. */
function atRow(error: unknown, path: string, start: number): unknown {
  if (!isMillraceError(error, 'INVALID_INPUT') || start === 0) return error;
  const moved = (place: string): string => {
    const [row, ...rest] = place.slice(path.length + 1).split('/');
    return [path, Number(row) + start, ...rest].join('/');
  };
  const errors = error.errors.map((each) => ({ ...each, path: moved(each.path) }));
  const [first] = error.errors;
  const message = first ? error.message.replace(first.path, moved(first.path)) : error.message;
  return new MillraceError('INVALID_INPUT', message, { errors });
}

/** One part in each turn of the event loop, however many requests bring parts. */
function createTurns(): () => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    const mine = last.then(() => nextTurn());
    last = mine;
    return mine;
  };
}
