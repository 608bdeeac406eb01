import type { FunctionManifest } from '../../kernel/index.ts';
import type { InvocationContext, InvocationEvent, InvocationOutcome } from '../invocation.ts';

/** One invocation on its way through the dispatcher: first it may wait, then it runs, then it is settled once. */
export interface Work {
  readonly event: InvocationEvent;
  readonly context: InvocationContext;
  /** The version of the app that it belongs to. */
  readonly snapshot: object;
  readonly traceId: string;
  /** Bytes of input it holds while it waits. */
  readonly sizeBytes: number;
  /** On the monotonic clock. */
  readonly acceptedMs: number;
  /** -1 while it waits. */
  startedMs: number;
  cold: boolean;
  settled: boolean;
  readonly resolve: (outcome: InvocationOutcome) => void;
  readonly reject: (error: Error) => void;
  /** Frees what the work holds: its place in the counts, its listener on the caller's signal. */
  release: () => void;
  /** Stops listening to the caller's signal. */
  unlisten: (() => void) | undefined;
}

/** Listens to the caller's signal until the work is released: signals may live as long as the platform. */
export function whenGone(work: Work, act: () => void): void {
  const { signal } = work.context;
  if (!signal) return;
  work.unlisten?.();
  signal.addEventListener('abort', act, { once: true });
  work.unlisten = () => signal.removeEventListener('abort', act);
}

export function sizeOf(event: InvocationEvent): number {
  switch (event.kind) {
    case 'direct':
      return event.input?.byteLength ?? 0;
    case 'http':
      return event.body instanceof Uint8Array ? event.body.byteLength : 0;
    case 'records':
      return event.batches.byteLength;
    case 'tick':
      return 0;
  }
}

/** Whose pool it is. The folder changes when a version of the app is activated that did not change the function. */
export interface PoolIdentity {
  readonly app: string;
  readonly manifest: FunctionManifest;
  folder: string;
}
