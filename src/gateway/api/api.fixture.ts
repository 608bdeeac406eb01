import { connect } from 'node:net';
import { memoryLogStore, memoryStateStore } from '../../adapters/memory/index.ts';
import {
  type Guard,
  type ManualClock,
  manualClock,
  type StateStore,
  seededRandom,
} from '../../kernel/index.ts';
import { createStreams, type Streams } from '../../streams/index.ts';
import { type ApiDoor, type ApiDoorOptions, createApiDoor } from './door.ts';
import { operationRoutes } from './operations.ts';
import { streamRoutes } from './streams.ts';

export interface TestApi extends AsyncDisposable {
  readonly door: ApiDoor;
  readonly streams: Streams;
  readonly state: StateStore;
  readonly clock: ManualClock;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Posts and reads the answer as JSON. */
  post(path: string, body: string | Uint8Array, headers?: Record<string, string>): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** Sends bytes as they are and gives back all that comes until the connection ends or `until` was seen. */
  raw(bytes: string | Uint8Array, until?: RegExp): Promise<string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON. */
  readonly body: ReturnType<typeof JSON.parse>;
}

export const openGuard: Guard = {
  identify: async () => ({ id: 'local', kind: 'local' }),
  permit: () => undefined,
};

/** A real door on a free port, over streams in memory. */
export async function testApi(options: Partial<ApiDoorOptions> = {}): Promise<TestApi> {
  const clock = manualClock();
  const log = memoryLogStore({ clock, random: seededRandom(1) });
  const state = memoryStateStore({ clock });
  const streams = createStreams({ log, state, clock });
  for (const service of [state, log, streams]) await service.start?.();
  const door = createApiDoor({
    host: '127.0.0.1',
    port: 0,
    guard: openGuard,
    clock,
    version: '0.0.0-test',
    groups: [
      streamRoutes({ streams, state, clock }),
      operationRoutes({
        version: '0.0.0-test',
        state: () => 'running',
        metrics: () => ['up 1\n'],
        status: () => ({}),
        verify: async () => ({ damages: [] }),
      }),
    ],
    ...options,
  });
  await door.start();
  const call = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(door.url + path, init);
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  return {
    door,
    streams,
    state,
    clock,
    fetch: (path, init) => fetch(door.url + path, init),
    post: (path, body, headers) =>
      call(path, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }),
    get: (path, headers = {}) => call(path, { headers }),
    raw: (bytes, until) => exchangeRaw(Number(new URL(door.url).port), bytes, until),
    [Symbol.asyncDispose]: () => door.stop(AbortSignal.timeout(1000)),
  };
}

export function exchangeRaw(port: number, bytes: string | Uint8Array, until?: RegExp): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (until?.test(received)) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}
