import { MillraceError, siblingModule, type Workers } from '../../kernel/index.ts';
import type { PublishOptions, PublishRecord, PublishResult, Streams } from '../../streams/index.ts';
import { parseJson } from '../http/json.ts';
import { ownBytes } from '../http/own-bytes.ts';
import {
  isBinaryEvent,
  recordFromBinaryEvent,
  recordFromStructuredEvent,
  recordsFromEventBatch,
} from './cloudevents.ts';
import type { Exchange } from './exchange.ts';
import type { Idempotency } from './idempotency.ts';

type Form = 'json' | 'lines' | 'event' | 'binary-event' | 'event-batch';

interface PublishRequest {
  readonly stream: string;
  readonly form: Form;
  readonly body: Buffer;
  readonly key: string | undefined;
  readonly partition: number | undefined;
  readonly acks: 'disk' | 'memory';
  readonly answer: 'columns' | 'objects' | 'minimal';
}

export interface PublishParts {
  readonly streams: Streams;
  readonly idempotency: Idempotency;
  /** Check large bodies; without them the main thread does. */
  readonly workers?: Workers | undefined;
}

/** Parsing a body of more bytes takes milliseconds. */
const LARGE_BODY_BYTES = 256 * 1024;
const CHECK_JSON = { module: siblingModule(import.meta.url, '../http/check-json'), task: 'checkJson' };

/** The body goes to the worker and comes back: a copy would take a millisecond or two. */
async function checkApart(workers: Workers, body: Buffer): Promise<Buffer> {
  const bytes = ownBytes(body);
  const checked = await workers.run<Uint8Array>(CHECK_JSON, bytes, { transfer: [bytes.buffer] });
  return Buffer.from(checked.buffer, checked.byteOffset, checked.length);
}

/** `POST /streams/{name}/records`: answers when the records are on disk. */
export async function publish(
  { streams, idempotency, workers }: PublishParts,
  exchange: Exchange,
): Promise<void> {
  const form = formOf(exchange);
  let body = await exchange.body();
  const isLarge = form === 'json' && body.length > LARGE_BODY_BYTES && workers !== undefined;
  if (isLarge) body = await checkApart(workers, body);
  else if (form === 'json') parseJson(body);
  const request = requestOf(exchange, form, body);
  const idempotencyKey = exchange.header('idempotency-key');
  if (idempotencyKey === undefined) {
    exchange.json(200, render(request, await append(streams, exchange, request, {})));
    return;
  }
  const identity = {
    principal: exchange.principal.id,
    key: idempotencyKey,
    operation: `publish ${request.stream}`,
    content: [form, request.key ?? '', exchange.search, request.answer, body],
  };
  const answer = await idempotency.once(identity, async (producer) =>
    render(request, await append(streams, exchange, request, { producer })),
  );
  exchange.json(200, answer.text, answer.replayed ? { 'Idempotency-Replayed': 'true' } : {});
}

function append(
  streams: Streams,
  exchange: Exchange,
  request: PublishRequest,
  extra: Pick<PublishOptions, 'producer'>,
): Promise<PublishResult> {
  const { stream, form, body, key, acks } = request;
  const options = acks === 'disk' ? extra : { ...extra, acks };
  if (form === 'lines') {
    if (request.partition !== undefined) throw noPartitionForLines();
    return streams.publishLines(stream, body, key === undefined ? options : { ...options, key });
  }
  return streams.publish(stream, recordsOf(exchange, request), options);
}

function recordsOf(exchange: Exchange, request: PublishRequest): readonly PublishRecord[] {
  const { form, body, key, partition } = request;
  const place = { ...(key === undefined ? {} : { key }), ...(partition === undefined ? {} : { partition }) };
  switch (form) {
    case 'json':
      return [{ value: body, ...place }];
    case 'event':
      return [{ ...recordFromStructuredEvent(body), ...place }];
    case 'binary-event':
      return [{ ...recordFromBinaryEvent(exchange.request.headers, body), ...place }];
    default:
      return recordsFromEventBatch(body).map((record) => ({ ...record, ...place }));
  }
}

const FORMS: { readonly [mediaType: string]: Form } = {
  'application/json': 'json',
  // What curl -d and fetch with a text say when they are not told otherwise.
  'application/x-www-form-urlencoded': 'json',
  'text/plain': 'json',
  'application/x-ndjson': 'lines',
  'application/ndjson': 'lines',
  'application/jsonl': 'lines',
  'application/cloudevents+json': 'event',
  'application/cloudevents-batch+json': 'event-batch',
};

function formOf(exchange: Exchange): Form {
  const header = exchange.header('content-type');
  if (header === 'application/json') return isBinaryEvent(exchange.request.headers) ? 'binary-event' : 'json';
  const mediaType = (header ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const form = FORMS[mediaType];
  if (form === 'event' || form === 'event-batch') return form;
  if (isBinaryEvent(exchange.request.headers)) return 'binary-event';
  if (mediaType === '' || mediaType.endsWith('+json')) return 'json';
  if (form !== undefined) return form;
  throw new MillraceError(
    'UNSUPPORTED_MEDIA_TYPE',
    `Records do not come as '${mediaType.slice(0, 100)}'. Send application/json for one, application/x-ndjson for many, or CloudEvents.`,
  );
}

function requestOf(exchange: Exchange, form: Form, body: Buffer): PublishRequest {
  const query = exchange.search === '' ? undefined : exchange.query();
  return {
    stream: exchange.params[0]!,
    form,
    body,
    key: query?.get('key') ?? exchange.header('millrace-key'),
    partition: partitionOf(query?.get('partition')),
    acks: acksOf(query?.get('acks')),
    answer: answerForm(exchange.header('prefer')),
  };
}

function partitionOf(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new MillraceError(
    'BAD_REQUEST',
    `partition=${text.slice(0, 20)} is not a partition. Give a whole number from 0.`,
  );
}

function acksOf(text: string | null | undefined): 'disk' | 'memory' {
  if (text === null || text === undefined || text === 'disk') return 'disk';
  if (text === 'memory') return 'memory';
  throw new MillraceError('BAD_REQUEST', `acks=${text.slice(0, 20)} is not known. Use disk or memory.`);
}

/** RFC 7240: `return=minimal` asks for counts alone, `return=representation` for an object per record. */
function answerForm(prefer: string | undefined): PublishRequest['answer'] {
  if (prefer === undefined) return 'columns';
  if (/(^|[,;\s])return=minimal/i.test(prefer)) return 'minimal';
  return /(^|[,;\s])return=representation/i.test(prefer) ? 'objects' : 'columns';
}

function noPartitionForLines(): MillraceError {
  return new MillraceError(
    'BAD_REQUEST',
    'Lines are spread by key; partition= goes with a single record. Leave it out.',
  );
}

/**
 * One record: `{"records":1,"partition":0,"offset":7}`. Many: `{"records":3,"partitions":[0,2,0],"offsets":[7,1,8]}`,
 * where place i belongs to record i: two arrays of numbers instead of an object a record.
 */
function render(request: PublishRequest, result: PublishResult): string {
  const diverted = result.diverted.length === 0 ? '' : `,"diverted":${JSON.stringify(result.diverted)}`;
  return `{"records":${result.records}${renderPlaces(request, result)}${diverted}}`;
}

function renderPlaces(request: PublishRequest, result: PublishResult): string {
  const count = result.records + result.diverted.length;
  if (request.answer === 'minimal') return '';
  if (request.form !== 'lines' && request.form !== 'event-batch') {
    const { partition, offset } = result.placeOf(0);
    return `,"partition":${partition},"offset":${offset}`;
  }
  if (request.answer === 'objects') {
    const places = Array.from({ length: count }, (_, index) => {
      const { partition, offset } = result.placeOf(index);
      return { partition, offset };
    });
    return `,"places":${JSON.stringify(places)}`;
  }
  let partitions = '';
  let offsets = '';
  for (let index = 0; index < count; index++) {
    const place = result.placeOf(index);
    const comma = index === 0 ? '' : ',';
    partitions += comma + place.partition;
    offsets += comma + place.offset;
  }
  return `,"partitions":[${partitions}],"offsets":[${offsets}]`;
}
