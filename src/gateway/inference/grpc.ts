import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { isLoopbackHost } from '../../govern/index.ts';
import {
  type Clock,
  type Guard,
  type GuardAction,
  isMillraceError,
  MillraceError,
  type Service,
  signal,
} from '../../kernel/index.ts';
import { isLoopbackAddress } from '../api/loopback.ts';
import { bind } from '../http/bind.ts';
import { fingerprint, loadSecureContext, type TlsFiles, watchTlsFiles } from '../http/tls.ts';
import {
  readInferRequest,
  readModelName,
  writeFlag,
  writeInferResponse,
  writeMetadata,
  writeServer,
} from './messages.ts';
import type { InferenceService } from './service.ts';

export interface InferenceDoorOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly fallback?: boolean;
  readonly tls?: TlsFiles;
  readonly clock: Clock;
  readonly guard: Guard;
  readonly service: InferenceService;
  /** Largest message. */
  readonly requestBytes: number;
}

export interface InferenceDoor extends Service {
  /** `127.0.0.1:7404`; known once started. */
  readonly address: string;
  start(): Promise<void>;
  refuse(): void;
  stop(deadline: AbortSignal): Promise<void>;
}

/**
 * The Open Inference Protocol over gRPC, on node:http2: unary calls, framed as
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md says (a byte for compression, four for the length, the message;
 * the status in the trailers). Answers grpc.health.v1.Health/Check too, which probes ask for.
 */
interface Method {
  readonly action: GuardAction | 'open';
  /** `model` is asked for permission before `run`. */
  readonly model: (message: Uint8Array) => string | undefined;
  readonly run: (message: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

const SERVICE = '/inference.GRPCInferenceService/';
const MOST_SESSIONS = 1000;
const MOST_STREAMS = 1000;
/** What all calls together may hold of messages that have not been answered. */
const MOST_HELD_FACTOR = 8;

/** https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
const STATUS = {
  OK: 0,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

function methodsOf(service: InferenceService): ReadonlyMap<string, Method> {
  const none = (): undefined => undefined;
  const named = (message: Uint8Array): string => readModelName(message).name;
  const open = (run: () => Uint8Array): Method => ({ action: 'open', model: none, run });
  return new Map<string, Method>([
    [`${SERVICE}ServerLive`, open(() => writeFlag(true))],
    [`${SERVICE}ServerReady`, open(() => writeFlag(service.serverReady()))],
    [`${SERVICE}ServerMetadata`, open(() => writeServer(service.server))],
    ['/grpc.health.v1.Health/Check', open(() => writeFlag(service.serverReady()))],
    [
      `${SERVICE}ModelReady`,
      {
        action: 'read',
        model: named,
        run: async (message) => {
          const { name, version } = readModelName(message);
          return writeFlag(await service.modelReady(name, version));
        },
      },
    ],
    [
      `${SERVICE}ModelMetadata`,
      {
        action: 'read',
        model: named,
        run: async (message) => {
          const { name, version } = readModelName(message);
          return writeMetadata(await service.metadata(name, version));
        },
      },
    ],
    [
      `${SERVICE}ModelInfer`,
      {
        action: 'invoke',
        model: named,
        run: async (message) => {
          const { id, ...request } = readInferRequest(message);
          return writeInferResponse(request.model, id, await service.infer(request));
        },
      },
    ],
  ]);
}

export function createInferenceDoor(options: InferenceDoorOptions): InferenceDoor {
  const { clock, guard, requestBytes } = options;
  const methods = methodsOf(options.service);
  const onLoopback = isLoopbackHost(options.host);
  const sessions = new Set<ServerHttp2Session>();
  let server: Http2Server | undefined;
  let stopWatching: (() => void) | undefined;
  let held = 0;
  let closing = false;

  const permit = async (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    method: Method,
    model: string | undefined,
  ) => {
    if (method.action === 'open') return;
    const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    const peer = stream.session?.socket.remoteAddress;
    const principal = await guard.identify({
      ...(bearer === undefined ? {} : { bearer }),
      loopback: onLoopback && isLoopbackAddress(peer),
    });
    guard.permit(principal, method.action, `model/${model}`);
  };

  const call = async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<Uint8Array> => {
    if (closing)
      throw new MillraceError('UNAVAILABLE', 'The platform is stopping. Try again when it is back.');
    const method = methods.get(headers[':path'] ?? '');
    if (!method) throw new MillraceError('METHOD_NOT_ALLOWED', `There is no method ${headers[':path']}.`);
    let taken = 0;
    const hold = (bytes: number): void => {
      taken += bytes;
      held += bytes;
      if (held > requestBytes * MOST_HELD_FACTOR) throw tooBusy();
    };
    try {
      const frame = await readFrame(stream, requestBytes);
      const message = await openFrame(frame, headers['grpc-encoding'], requestBytes, hold);
      await permit(stream, headers, method, method.model(message));
      return await method.run(message);
    } finally {
      held -= taken;
    }
  };

  const serve = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    stream.on('error', () => stream.close());
    if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc')) {
      stream.respond({ ':status': 415, 'content-type': 'text/plain' });
      stream.end('This port speaks gRPC. The same protocol is on the API port as JSON, under /v2.');
      return;
    }
    const answer = once((status: number, detail: string, message?: Uint8Array) => {
      timer?.cancel();
      void respond(stream, { status, detail, ...(message ? { message } : {}) }, takesGzip(headers));
    });
    const timeoutMs = timeoutOf(headers['grpc-timeout']);
    const late = (): void => answer(STATUS.DEADLINE_EXCEEDED, 'The deadline has passed.');
    const timer = timeoutMs === undefined ? undefined : clock.after(timeoutMs, late);
    call(stream, headers).then(
      (message) => answer(STATUS.OK, '', message),
      (error: unknown) => {
        const { status, detail } = statusOf(error);
        answer(status, detail);
      },
    );
  };

  const accept = (session: ServerHttp2Session): void => {
    if (sessions.size >= MOST_SESSIONS) {
      session.destroy();
      return;
    }
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  };

  return {
    name: 'inference',
    get address() {
      const found = server?.address() as AddressInfo | null | undefined;
      const host = options.host.includes(':') ? `[${options.host}]` : options.host;
      return found ? `${host}:${found.port}` : '';
    },
    async start() {
      const http2 = process.getBuiltinModule('node:http2');
      const settings = { settings: { maxConcurrentStreams: MOST_STREAMS }, maxSessionMemory: 64 };
      const { tls } = options;
      const seen = tls && (await fingerprint(tls));
      server = tls
        ? http2.createSecureServer({ ...settings, ...(await loadSecureContext(tls)) })
        : http2.createServer(settings);
      server.on('session', accept);
      server.on('stream', serve);
      await bind(server, 'inference', options);
      if (tls) stopWatching = watchTlsFiles(server, { ...tls, seen: seen! }, clock);
    },
    refuse() {
      closing = true;
      // Tells clients to open no more calls here; those under way finish.
      for (const session of sessions) session.goaway();
    },
    async stop(deadline) {
      closing = true;
      stopWatching?.();
      if (!server) return;
      const closed = new Promise<void>((resolve) => server!.close(() => resolve()));
      for (const session of sessions) session.close();
      const force = (): void => {
        for (const session of sessions) session.destroy();
      };
      if (deadline.aborted) force();
      else deadline.addEventListener('abort', force, { once: true });
      await closed;
      deadline.removeEventListener('abort', force);
    },
  };
}

function once<Args extends unknown[]>(run: (...args: Args) => void): (...args: Args) => void {
  let done = false;
  return (...args) => {
    if (done) return;
    done = true;
    run(...args);
  };
}

/** The one frame of a unary call. */
function readFrame(stream: ServerHttp2Stream, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let total = 0;
    stream.on('data', (chunk: Buffer) => {
      total += chunk.length;
      if (total <= limitBytes + HEAD_BYTES) chunks.push(chunk);
      else reject(tooLarge(limitBytes));
    });
    stream.on('end', () => resolve(Buffer.concat(chunks, Math.min(total, limitBytes + HEAD_BYTES))));
    stream.on('close', () => reject(new MillraceError('BAD_REQUEST', 'The call ended before its message.')));
  });
}

/** A byte that says whether the message is compressed, and four for its length. */
const HEAD_BYTES = 5;

/** The message of a frame. `hold` is told its size before memory is taken for it. */
async function openFrame(
  frame: Buffer,
  encoding: unknown,
  limitBytes: number,
  hold: (bytes: number) => void,
): Promise<Uint8Array> {
  if (frame.length < HEAD_BYTES || frame.readUInt32BE(1) !== frame.length - HEAD_BYTES) {
    throw new MillraceError(
      'BAD_REQUEST',
      'A unary call has one message, and this one is cut off or there are more.',
    );
  }
  const message = frame.subarray(HEAD_BYTES);
  if (frame[0] === 0) {
    hold(message.length);
    return message;
  }
  if (encoding !== 'gzip') {
    throw new MillraceError(
      'METHOD_NOT_ALLOWED',
      `Messages compressed by ${JSON.stringify(encoding ?? 'nothing')} are not taken. Use gzip, or send them as they are.`,
    );
  }
  return gunzip(message, limitBytes, hold);
}

/** Gzip says at its end how large its content is (RFC 1952): more than that is not unpacked, whatever comes. */
async function gunzip(bytes: Buffer, limitBytes: number, hold: (bytes: number) => void): Promise<Uint8Array> {
  const size = bytes.length < GZIP_LEAST_BYTES ? 0 : bytes.readUInt32LE(bytes.length - 4);
  if (size > limitBytes) throw tooLarge(limitBytes);
  hold(size);
  const { gunzip: unpack } = process.getBuiltinModule('node:zlib');
  return new Promise((resolve, reject) => {
    unpack(bytes, { maxOutputLength: Math.max(1, size) }, (error, message) => {
      if (!error && message.length === size) resolve(message);
      else reject(new MillraceError('BAD_REQUEST', 'The message says that it is gzip, and is not.'));
    });
  });
}

const GZIP_LEAST_BYTES = 18;
/** Smaller answers gain nothing. */
const GZIP_WORTH_BYTES = 1024;

/** Who compresses what it sends and takes gzip gets it: nobody else has asked for the time that it takes. */
function takesGzip(headers: IncomingHttpHeaders): boolean {
  const accepted = String(headers['grpc-accept-encoding'] ?? '').split(',');
  return headers['grpc-encoding'] === 'gzip' && accepted.some((each) => each.trim() === 'gzip');
}

function tooLarge(limitBytes: number): MillraceError {
  return new MillraceError(
    'PAYLOAD_TOO_LARGE',
    `The message is larger than ${limitBytes} bytes. Send fewer rows at once.`,
  );
}

function tooBusy(): MillraceError {
  return new MillraceError(
    'TOO_MANY_REQUESTS',
    'Too many messages wait for an answer. Try again in a moment.',
  );
}

interface Answer {
  readonly status: number;
  readonly detail: string;
  readonly message?: Uint8Array;
}

async function respond(
  stream: ServerHttp2Stream,
  { status, detail, message }: Answer,
  compress: boolean,
): Promise<void> {
  if (stream.destroyed) return;
  const trailers = {
    'grpc-status': String(status),
    // Percent-encoded, as the protocol asks for.
    ...(detail === '' ? {} : { 'grpc-message': encodeURIComponent(detail.slice(0, 2000)) }),
  };
  const head = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-accept-encoding': 'identity,gzip',
  };
  if (!message) {
    stream.respond({ ...head, ...trailers }, { endStream: true });
    return;
  }
  const packed = compress && message.length >= GZIP_WORTH_BYTES ? await gzip(message) : undefined;
  if (stream.destroyed) return;
  stream.respond(packed ? { ...head, 'grpc-encoding': 'gzip' } : head, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(framed(packed ?? message, packed !== undefined));
}

function framed(message: Uint8Array, compressed: boolean): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + message.length);
  frame[0] = compressed ? 1 : 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEAD_BYTES);
  return frame;
}

/** Undefined where that fails: then the message goes as it is. */
function gzip(message: Uint8Array): Promise<Uint8Array | undefined> {
  const { gzip: pack } = process.getBuiltinModule('node:zlib');
  return new Promise((resolve) => {
    pack(message, { level: 1 }, (error, packed) => resolve(error ? undefined : packed));
  });
}

const UNITS_MS: { readonly [unit: string]: number } = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** `grpc-timeout`: up to eight digits and a unit. */
function timeoutOf(header: string | readonly string[] | undefined): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(String(header ?? ''));
  return match ? Number(match[1]) * UNITS_MS[match[2]!]! : undefined;
}

function statusOf(error: unknown): { readonly status: number; readonly detail: string } {
  if (!isMillraceError(error)) {
    signal('platform.log', {
      level: 'error',
      room: 'gateway',
      message: 'A call of the inference port met a fault.',
      error,
    });
    return {
      status: STATUS.INTERNAL,
      detail: 'Something went wrong inside the platform; its log has the details.',
    };
  }
  const detail =
    error.code === 'MODEL_INVALID' ? `The message is malformed: ${error.message}` : error.message;
  return { status: CODES[error.code] ?? byHttp(error.status), detail };
}

const CODES: { readonly [code: string]: number } = {
  METHOD_NOT_ALLOWED: STATUS.UNIMPLEMENTED,
  PAYLOAD_TOO_LARGE: STATUS.RESOURCE_EXHAUSTED,
  MODEL_UNSUPPORTED: STATUS.FAILED_PRECONDITION,
};

function byHttp(status: number): number {
  if (status === 401) return STATUS.UNAUTHENTICATED;
  if (status === 403) return STATUS.PERMISSION_DENIED;
  if (status === 404) return STATUS.NOT_FOUND;
  if (status === 409) return STATUS.FAILED_PRECONDITION;
  if (status === 429 || status === 507) return STATUS.RESOURCE_EXHAUSTED;
  if (status === 503) return STATUS.UNAVAILABLE;
  return status >= 500 ? STATUS.INTERNAL : STATUS.INVALID_ARGUMENT;
}
