import type { OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { AnswerEvent, HttpAnswer } from './message.ts';

/** What an answer needs of the connection that it goes out on. */
export interface AnswerLine {
  readonly socket: Socket;
  /** Headers that every answer of the door has, ready to be sent: date, keep-alive. */
  commonHeaders(): string;
  /** The answer is with the connection, which takes the next request. */
  answered(): void;
}

/** Bodies up to this size are joined with their head into one write. */
const JOINED_BYTES = 8 * 1024;

/** An answer on the fast path: what is small leaves with its head as one write, without a stream in between. */
export class FastAnswer implements HttpAnswer {
  statusCode = 200;
  headersSent = false;
  destroyed = false;
  writableFinished = false;
  readonly #line: AnswerLine;
  #headers = '';
  #hasHead = false;
  #hasLength = false;
  #chunked = false;
  #ended = false;
  #drained: (() => void) | undefined;
  #onClose: (() => void) | undefined;
  #listeners: { readonly event: AnswerEvent; readonly listener: () => void }[] | undefined;

  constructor(line: AnswerLine) {
    this.#line = line;
  }

  get socket(): Socket {
    return this.#line.socket;
  }

  get writableLength(): number {
    return this.writableFinished ? 0 : this.#line.socket.writableLength;
  }

  setHeader(name: string, value: string): void {
    this.#add(name, value);
  }

  appendHeader(name: string, value: string): void {
    this.#add(name, value);
  }

  writeHead(statusCode: number, headers: OutgoingHttpHeaders | string[] = []): this {
    if (this.#hasHead) throw new Error('The head of this answer was written before.');
    if (Array.isArray(headers)) {
      for (let at = 0; at < headers.length; at += 2) this.#add(headers[at]!, headers[at + 1]!);
    } else {
      for (const name in headers) {
        const value = headers[name];
        if (Array.isArray(value)) for (const each of value) this.#add(name, each);
        else if (value !== undefined) this.#add(name, String(value));
      }
    }
    this.statusCode = statusCode;
    this.#hasHead = true;
    return this;
  }

  flushHeaders(): void {
    if (this.headersSent) return;
    this.#chunked = !this.#hasLength && !this.#isBodiless();
    const framing = this.#chunked ? 'Transfer-Encoding: chunked\r\n' : '';
    this.#line.socket.write(this.#head(framing), 'latin1');
  }

  write(chunk: string | Uint8Array): boolean {
    const { socket } = this.#line;
    if (this.#ended || this.destroyed) return true;
    socket.cork();
    this.flushHeaders();
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (bytes.length > 0 && !this.#isBodiless()) {
      if (this.#chunked) socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1');
      socket.write(bytes);
      if (this.#chunked) socket.write('\r\n', 'latin1');
    }
    socket.uncork();
    if (!socket.writableNeedDrain) return true;
    this.#afterDrain(() => this.#tell('drain'));
    return false;
  }

  end(body?: string | Uint8Array, encoding?: BufferEncoding): this {
    if (this.#ended || this.destroyed) return this;
    if (!this.headersSent) this.#sendWhole(this.#isBodiless() ? '' : (body ?? ''), encoding);
    else {
      if (body !== undefined) this.write(body);
      if (this.#chunked) this.#line.socket.write('0\r\n\r\n', 'latin1');
    }
    this.#ended = true;
    // A client that does not take its answers gets no further ones until it has.
    if (this.#line.socket.writableNeedDrain) this.#afterDrain(() => this.#finish());
    else this.#finish();
    return this;
  }

  destroy(): this {
    this.#line.socket.destroy();
    return this;
  }

  /** The connection is gone: whoever works on the answer learns of it. */
  lost(): void {
    if (this.writableFinished || this.destroyed) return;
    this.destroyed = true;
    this.#close();
  }

  on(event: AnswerEvent, listener: () => void): this {
    // Nearly every answer has one listener, and it waits for the end.
    if (event === 'close' && !this.#onClose) this.#onClose = listener;
    else (this.#listeners ??= []).push({ event, listener });
    return this;
  }

  off(event: AnswerEvent, listener: () => void): this {
    if (event === 'close' && this.#onClose === listener) this.#onClose = undefined;
    this.#listeners = this.#listeners?.filter((each) => each.event !== event || each.listener !== listener);
    return this;
  }

  #sendWhole(body: string | Uint8Array, encoding: BufferEncoding | undefined): void {
    const { socket } = this.#line;
    const isText = typeof body === 'string';
    const isLatin = isText && encoding === 'latin1';
    const size = isLatin || !isText ? body.length : Buffer.byteLength(body);
    const head = this.#head(this.#hasLength || this.#isBodiless() ? '' : `Content-Length: ${size}\r\n`);
    if (isText && (isLatin || size === body.length)) {
      socket.write(head + body, 'latin1');
    } else if (!isText && size <= JOINED_BYTES) {
      const { buffer, byteOffset } = body;
      socket.write(head + Buffer.from(buffer, byteOffset, size).toString('latin1'), 'latin1');
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      if (isText) socket.write(body, 'utf8');
      else socket.write(body);
      socket.uncork();
    }
  }

  #head(framing: string): string {
    this.headersSent = true;
    const reason = process.getBuiltinModule('node:http').STATUS_CODES[this.statusCode] ?? 'unknown';
    const common = this.#line.commonHeaders();
    return `HTTP/1.1 ${this.statusCode} ${reason}\r\n${this.#headers}${framing}${common}\r\n`;
  }

  /** One listener on the socket, whatever is done next. */
  #afterDrain(act: () => void): void {
    if (!this.#drained) {
      this.#line.socket.once('drain', () => {
        const next = this.#drained!;
        this.#drained = undefined;
        next();
      });
    }
    this.#drained = act;
  }

  #isBodiless(): boolean {
    return this.statusCode === 204 || this.statusCode === 304;
  }

  #add(name: string, value: string): void {
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) refuse(name, value);
    if (name.length === 14 && name.toLowerCase() === 'content-length') this.#hasLength = true;
    this.#headers += `${name}: ${value}\r\n`;
  }

  #finish(): void {
    if (this.destroyed) return;
    this.writableFinished = true;
    this.#tell('finish');
    this.#close();
    this.#line.answered();
  }

  #close(): void {
    this.#onClose?.();
    this.#tell('close');
  }

  #tell(event: AnswerEvent): void {
    if (!this.#listeners) return;
    for (const each of this.#listeners.slice()) if (each.event === event) each.listener();
  }
}

/** RFC 9110, section 5: what a header may be; anything else could end the head early. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Throws as node:http does. */
function refuse(name: string, value: string): never {
  const { validateHeaderName, validateHeaderValue } = process.getBuiltinModule('node:http');
  validateHeaderName(name);
  validateHeaderValue(name, value);
  throw new TypeError(`The header '${name}' cannot be sent.`);
}
