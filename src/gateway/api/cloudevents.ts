import type { IncomingHttpHeaders } from 'node:http';
import { type InputProblem, type Json, MillraceError } from '../../kernel/index.ts';
import type { PublishRecord, RecordHeader } from '../../streams/index.ts';
import { parseJson } from '../http/json.ts';

/**
 * CloudEvents 1.0 over HTTP (HTTP protocol binding 1.0.2, JSON event format 1.0.2) to records as the Kafka protocol
 * binding stores them in binary mode: the data is the value, attributes are headers `ce_<name>`, `datacontenttype` is the
 * header `content-type`, and the extension `partitionkey` is the record's key.
 */
const REQUIRED = ['specversion', 'id', 'source', 'type'];
const ATTRIBUTE_NAME = /^[a-z0-9]+$/;

type Attributes = ReadonlyMap<string, string>;

/** Whether a request carries an event in binary mode. */
export function isBinaryEvent(headers: IncomingHttpHeaders): boolean {
  return headers['ce-specversion'] !== undefined;
}

/** Binary mode: attributes are `ce-*` headers, the body is the data. Throws INVALID_INPUT. */
export function recordFromBinaryEvent(headers: IncomingHttpHeaders, body: Buffer): PublishRecord {
  const attributes = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith('ce-') && typeof value === 'string')
      attributes.set(name.slice(3), decodeHeader(value));
  }
  const contentType = headers['content-type'];
  if (contentType !== undefined) attributes.set('datacontenttype', contentType);
  refuse(problemsOf(attributes, ''));
  return toRecord(attributes, body);
}

/** Structured mode: one event as a JSON object. Throws BAD_JSON, INVALID_INPUT. */
export function recordFromStructuredEvent(body: Buffer): PublishRecord {
  const event = parseJson(body);
  refuse(problemsOfEvent(event, ''));
  return recordFromEvent(event as EventObject);
}

/** Batched mode: an array of events. Throws BAD_JSON, INVALID_INPUT with the problems of every event. */
export function recordsFromEventBatch(body: Buffer): PublishRecord[] {
  const events = parseJson(body);
  if (!Array.isArray(events)) {
    throw new MillraceError('INVALID_INPUT', 'A batch of CloudEvents is a JSON array of events.');
  }
  refuse(events.flatMap((event, index) => problemsOfEvent(event, `/${index}`)));
  return events.map((event) => recordFromEvent(event as EventObject));
}

type EventObject = { readonly [name: string]: Json };

function problemsOfEvent(event: Json, path: string): InputProblem[] {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return [{ path, message: 'an event is a JSON object' }];
  }
  const found = event as EventObject;
  const problems = problemsOf(attributesOf(found), path);
  if ('data' in found && 'data_base64' in found) {
    problems.push({ path, message: 'an event has data or data_base64, not both' });
  }
  if ('data_base64' in found && !isBase64(found.data_base64)) {
    problems.push({ path: `${path}/data_base64`, message: 'must be a base64 string' });
  }
  for (const [name, value] of Object.entries(found)) {
    if (isData(name) || value === null || typeof value !== 'object') continue;
    problems.push({ path: `${path}/${name}`, message: 'an attribute is a string, a number or a boolean' });
  }
  return problems;
}

function recordFromEvent(event: EventObject): PublishRecord {
  const attributes = attributesOf(event);
  if (typeof event.data_base64 === 'string') {
    return toRecord(attributes, Buffer.from(event.data_base64, 'base64'));
  }
  const contentType = attributes.get('datacontenttype');
  const isText = typeof event.data === 'string' && contentType !== undefined && !isJsonType(contentType);
  const text = isText ? (event.data as string) : JSON.stringify(event.data ?? null);
  if (!attributes.has('datacontenttype')) attributes.set('datacontenttype', 'application/json');
  return toRecord(attributes, Buffer.from(text));
}

/** Null attributes count as left out (JSON event format, 2.2). */
function attributesOf(event: EventObject): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const [name, value] of Object.entries(event)) {
    if (!isData(name) && value !== null && typeof value !== 'object') attributes.set(name, String(value));
  }
  return attributes;
}

function isData(name: string): boolean {
  return name === 'data' || name === 'data_base64';
}

function problemsOf(attributes: Attributes, path: string): InputProblem[] {
  const problems: InputProblem[] = [];
  for (const name of REQUIRED) {
    if (!attributes.get(name)) problems.push({ path: `${path}/${name}`, message: 'is required' });
  }
  const version = attributes.get('specversion');
  if (version && version !== '1.0') {
    problems.push({ path: `${path}/specversion`, message: "only '1.0' is understood" });
  }
  for (const name of attributes.keys()) {
    if (ATTRIBUTE_NAME.test(name)) continue;
    problems.push({ path: `${path}/${name}`, message: 'attribute names are lower-case letters and digits' });
  }
  return problems;
}

function refuse(problems: readonly InputProblem[]): void {
  if (problems.length === 0) return;
  const first = problems[0]!;
  throw new MillraceError('INVALID_INPUT', `This is not a CloudEvent 1.0: ${first.path} ${first.message}.`, {
    errors: problems,
  });
}

function toRecord(attributes: Attributes, value: Uint8Array): PublishRecord {
  const headers: RecordHeader[] = [];
  for (const [name, text] of attributes) {
    const key = name === 'datacontenttype' ? 'content-type' : `ce_${name}`;
    headers.push({ key, value: Buffer.from(text) });
  }
  const key = attributes.get('partitionkey');
  return { value, headers, ...(key === undefined ? {} : { key }) };
}

/** Header values are percent-encoded UTF-8, perhaps in quotes (HTTP binding, 3.1.3.2). */
function decodeHeader(value: string): string {
  const bare = /^"(.*)"$/.exec(value)?.[1]?.replace(/\\(.)/g, '$1') ?? value;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}

function isJsonType(contentType: string): boolean {
  return /[/+]json\s*(;|$)/i.test(contentType);
}

function isBase64(value: Json | undefined): boolean {
  return typeof value === 'string' && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value);
}
