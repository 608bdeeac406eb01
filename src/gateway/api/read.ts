import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError, type Workers } from '../../kernel/index.ts';
import type { ReadResult, Streams } from '../../streams/index.ts';
import type { NodeExchange } from './exchange.ts';
import { recordText } from './record-json.ts';

const DEFAULT_RECORDS = 100;
const MOST_RECORDS = 10_000;
const MOST_BYTES = 6 * 1024 * 1024;
/** Records written in one turn of the event loop: others get theirs in between. */
const SLICE_RECORDS = 200;
const SLICE_BYTES = 256 * 1024;

/** `GET /streams/{name}/records`: one partition's records from a position on; never waits for more. */
export async function read(
  { streams, workers }: { readonly streams: Streams; readonly workers?: Workers | undefined },
  exchange: NodeExchange,
): Promise<void> {
  const query = exchange.query();
  const topic = exchange.params[0]!;
  const partition = wholeNumber(query, 'partition', 0, 1_000_000);
  const limit = wholeNumber(query, 'limit', DEFAULT_RECORDS, MOST_RECORDS);
  requirePartition(streams, topic, partition);
  const place = { topic, partition };
  const offset = await streams.resolvePosition(place, query.get('from') ?? 'start');
  const result =
    limit === 0
      ? undefined
      : await streams.read(place, offset, { limit, maxBytes: MOST_BYTES, isolation: isolationOf(query) });
  if (result === undefined) exchange.json(200, `{"records":[],"nextOffset":${offset}}`);
  else if (exchange.request.method === 'HEAD') exchange.empty(200, JSON_TYPE);
  else await writeRecords(exchange, result, workers);
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

async function writeRecords(exchange: NodeExchange, result: ReadResult, workers?: Workers): Promise<void> {
  const { records, nextOffset, logStartOffset, lastStableOffset, highWatermark } = result;
  const tail = `],"nextOffset":${nextOffset},"start":${logStartOffset},"stable":${lastStableOffset},"end":${highWatermark}}`;
  const { response } = exchange;
  let text = '{"records":[';
  let sinceTurn = 0;
  for (const [index, record] of records.entries()) {
    const one = recordText(record, workers);
    text += (index === 0 ? '' : ',') + (typeof one === 'string' ? one : await one);
    if (++sinceTurn < SLICE_RECORDS && text.length < SLICE_BYTES) continue;
    if (response.destroyed) return;
    if (!response.headersSent) response.writeHead(200, JSON_TYPE);
    if (!response.write(text)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    else await nextTurn();
    text = '';
    sinceTurn = 0;
  }
  if (response.headersSent) response.end(text + tail);
  else exchange.json(200, text + tail);
}

/** Throws PARTITION_NOT_FOUND, STREAM_NOT_FOUND. */
export function requirePartition(streams: Streams, stream: string, partition: number): void {
  const { partitions } = streams.describe(stream);
  if (partition < partitions) return;
  throw new MillraceError(
    'PARTITION_NOT_FOUND',
    `The stream ${stream} has no partition ${partition}; it has ${partitions}, counted from 0.`,
  );
}

/** Throws BAD_REQUEST for anything but a whole number from 0 to `most`. */
export function wholeNumber(query: URLSearchParams, name: string, otherwise: number, most: number): number {
  const text = query.get(name);
  if (text === null) return otherwise;
  if (/^\d{1,15}$/.test(text) && Number(text) <= most) return Number(text);
  throw new MillraceError(
    'BAD_REQUEST',
    `${name}=${text.slice(0, 30)} is not possible. Give a whole number from 0 to ${most}.`,
  );
}

export function isolationOf(query: URLSearchParams): 'committed' | 'uncommitted' {
  const text = query.get('isolation') ?? 'committed';
  if (text === 'committed' || text === 'uncommitted') return text;
  throw new MillraceError(
    'BAD_REQUEST',
    `isolation=${text.slice(0, 30)} is not known. Use committed or uncommitted.`,
  );
}
