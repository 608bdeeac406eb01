import type { IncomingMessage } from 'node:http';
import type { Guard } from '../../kernel/index.ts';
import { createDoor, DEFAULT_DOOR_LIMITS, type Door, type DoorOptions } from '../http/door.ts';
import type { RouteGroup } from './route.ts';
import { createServe } from './serve.ts';

export interface ApiDoorOptions extends DoorOptions {
  /** Address to bind to. On loopback, Host and Origin of every request must name loopback too. */
  readonly host: string;
  readonly guard: Guard;
  /** Of the platform, for `/openapi.json`. */
  readonly version: string;
  readonly groups: readonly RouteGroup[];
}

export type ApiDoor = Door;

/** The API port. Hot routes are answered straight from node:http; the rest is loaded with the first request for it. */
export function createApiDoor(options: ApiDoorOptions): ApiDoor {
  const { bodyBytes } = { ...DEFAULT_DOOR_LIMITS, ...options.limits };
  const closing = new AbortController();
  const { serve, serveWhole } = createServe(options, { closing: closing.signal, bodyBytes });
  return createDoor(options, {
    name: 'api',
    serve: (request, response) => void serve(request, response),
    serveExpecting(request, response) {
      // A body that will be refused anyway is not asked for.
      if (!declaresTooMuch(request, bodyBytes)) response.writeContinue();
      void serve(request, response);
    },
    serveWhole,
    refuse: () => closing.abort(),
  });
}

function declaresTooMuch(request: IncomingMessage, bodyBytes: number): boolean {
  return Number(request.headers['content-length'] ?? 0) > bodyBytes;
}
