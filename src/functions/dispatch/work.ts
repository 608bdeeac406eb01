import type { Clock } from '../../kernel/index.ts';
import type { InvocationContext, InvocationEvent, InvocationOutcome, LogLine } from '../invocation.ts';
import type { AppSnapshot } from './snapshot.ts';

/** One invocation on its way through the dispatcher: first it may wait, then it runs, then it is settled once. */
export interface Work {
  readonly event: InvocationEvent;
  readonly context: InvocationContext;
  readonly snapshot: AppSnapshot;
  readonly traceId: string;
  /** Bytes of input it holds while it waits. */
  readonly sizeBytes: number;
  /** On the monotonic clock. */
  readonly acceptedMs: number;
  startedMs: number;
  cold: boolean;
  settled: boolean;
  readonly resolve: (outcome: InvocationOutcome) => void;
  readonly reject: (error: Error) => void;
  /** Frees what the work holds: its place in the counts, its listener on the caller's signal. */
  release: () => void;
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

/** Tells a caller that asked for it what the invocation wrote. */
export function tellLog(work: Work | undefined, line: LogLine): void {
  work?.context.onLog?.(line);
}

export function elapsedMs(work: Work, clock: Clock): number {
  return clock.monotonic() - work.acceptedMs;
}
