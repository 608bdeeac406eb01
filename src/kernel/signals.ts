import { type Channel, channel } from 'node:diagnostics_channel';

/**
 * Observation only: the closed union of everything the platform tells about itself while it works. Emitting costs
 * next to nothing without a listener, and no result depends on there being one. Durations are milliseconds.
 */
export interface Signals {
  'stream.appended': { stream: string; partition: number; records: number; bytes: number };
  'stream.read': { stream: string; partition: number; records: number; bytes: number };
  'log.synced': { bytes: number; groups: number; durationMs: number };
  'log.checkpoint': { segments: number; bytes: number; durationMs: number };
  'log.damaged': { file: string; position: number; stream?: string; partition?: number; detail: string };
  'log.failed': { operation: string; detail: string };
  'http.served': {
    door: 'edge' | 'api';
    route: string;
    method: string;
    status: number;
    durationMs: number;
    bytes: number;
  };
  /** `durationMs` holds what the request asked to wait for: records, or the members of a group. */
  'kafka.served': { api: string; durationMs: number; bytes: number };
  'function.invoked': {
    app: string;
    fn: string;
    version: string;
    trigger: string;
    outcome: 'ok' | 'error' | 'timeout' | 'crash' | 'throttled';
    durationMs: number;
    records: number;
    cold: boolean;
    invocationId: string;
    traceId: string;
  };
  'function.scaled': { app: string; fn: string; from: number; to: number; reason: string };
  'function.log': {
    app: string;
    fn: string;
    invocationId: string;
    traceId: string;
    level: 'debug' | 'info' | 'warn' | 'error';
    timeMs: number;
    message: string;
    attributes?: Record<string, unknown>;
  };
  'function.deadLettered': {
    app: string;
    fn: string;
    stream: string;
    partition: number;
    offset: number;
    error: string;
  };
  'group.lag': { group: string; stream: string; partition: number; lag: number };
  'platform.log': {
    level: 'debug' | 'info' | 'warn' | 'error';
    room: string;
    message: string;
    error?: unknown;
  };
}

export type SignalName = keyof Signals;

const channels = new Map<string, Channel>();

function channelOf(name: string): Channel {
  let found = channels.get(name);
  if (!found) channels.set(name, (found = channel(`millrace:${name}`)));
  return found;
}

/** Whether anyone listens: ask before computing something only a signal needs. */
export function signalled(name: SignalName): boolean {
  return channelOf(name).hasSubscribers;
}

export function signal<Name extends SignalName>(name: Name, data: Signals[Name]): void {
  const target = channelOf(name);
  if (target.hasSubscribers) target.publish(data);
}

/** Listens; the result stops listening. A listener must be quick and must not throw. */
export function onSignal<Name extends SignalName>(
  name: Name,
  listener: (data: Signals[Name]) => void,
): () => void {
  const target = channelOf(name);
  const handler = (data: unknown): void => listener(data as Signals[Name]);
  target.subscribe(handler);
  return () => void target.unsubscribe(handler);
}
