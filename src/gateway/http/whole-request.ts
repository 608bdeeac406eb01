import type { IncomingHttpHeaders } from 'node:http';

export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly bodyBytes: number;
}

/** A request's head as text, and what it says: clients say the same in every head of a connection. */
export interface KnownHead {
  text: string;
  head: RequestHead | undefined;
}

export interface FoundRequest {
  readonly head: RequestHead;
  readonly body: Buffer;
}

const BLANK_LINE = Buffer.from('\r\n\r\n');
const MOST_HEAD_BYTES = 4096;

/**
 * The one request that lies in `bytes` from the first to the last. Undefined for anything else: a request that has not
 * arrived whole, several, and every one that is not as plain as can be. Those are left to node:http, so that this need not
 * decide anything that two readers of HTTP/1.1 could see differently.
 */
export function findWholeRequest(bytes: Buffer, known: KnownHead): FoundRequest | undefined {
  const blank = bytes.indexOf(BLANK_LINE);
  if (blank < 0 || blank > MOST_HEAD_BYTES) return undefined;
  const text = bytes.toString('latin1', 0, blank + 2);
  if (text !== known.text) {
    known.text = text;
    known.head = readHead(text);
  }
  const { head } = known;
  const bodyAt = blank + BLANK_LINE.length;
  if (!head || bytes.length - bodyAt !== head.bodyBytes) return undefined;
  return { head, body: bytes.subarray(bodyAt) };
}

/** RFC 9112, less what is rare: names are tokens, values visible ASCII with blanks, no folded lines, no other line ends. */
const PLAIN_HEAD =
  /^(?:GET|POST|PUT|PATCH|DELETE) \/[!-~]* HTTP\/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n)+$/;

/** What changes how a message or a connection is read, or what node:http treats in a way of its own. */
const UNUSUAL = new Set([
  ...['transfer-encoding', 'upgrade', 'expect', 'trailer', 'te', 'proxy-connection', 'http2-settings'],
  ...['set-cookie', '__proto__'],
]);

function readHead(text: string): RequestHead | undefined {
  if (!PLAIN_HEAD.test(text)) return undefined;
  const methodEnd = text.indexOf(' ');
  const urlEnd = text.indexOf(' ', methodEnd + 1);
  const headers: { [name: string]: string } = {};
  for (let at = text.indexOf('\n') + 1; at < text.length; ) {
    const colon = text.indexOf(':', at);
    const end = text.indexOf('\r', colon);
    const name = text.slice(at, colon).toLowerCase();
    // Twice the same name: which one counts, or whether they are joined, depends on the name.
    if (UNUSUAL.has(name) || Object.hasOwn(headers, name)) return undefined;
    headers[name] = trimBlanks(text, colon + 1, end);
    at = end + 2;
  }
  const { host, connection, 'content-length': length = '0' } = headers;
  if (host === undefined || (connection !== undefined && connection.toLowerCase() !== 'keep-alive')) {
    return undefined;
  }
  if (!/^\d{1,7}$/.test(length)) return undefined;
  const method = text.slice(0, methodEnd);
  const url = text.slice(methodEnd + 1, urlEnd);
  return { method, url, headers: Object.freeze(headers), bodyBytes: Number(length) };
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

function trimBlanks(text: string, from: number, to: number): string {
  let [start, end] = [from, to];
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}
