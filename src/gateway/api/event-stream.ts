import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '../../kernel/index.ts';

const FLUSH_CHARACTERS = 32 * 1024;
const HEARTBEAT_MS = 15_000;
/** A reader that takes nothing for this long is gone or as good as. */
const STALLED_MS = 60_000;

/** Server-sent events with backpressure: at most a flush beyond what the socket takes is held here. */
export interface EventStream {
  /** Fires when the reader is gone or has taken nothing for a minute. */
  readonly gone: AbortSignal;
  /** Queues text; to be awaited, for it waits while the reader is behind. */
  send(text: string): Promise<void> | undefined;
  /** Resolves when all that was sent is with the socket. */
  flushed(): Promise<void>;
  end(): void;
}

/**
 * Takes the response over. `onFlush` may add text at the end of each flush. Comments go out when nothing else does, so
 * that proxies keep the connection.
 */
export function openEventStream(response: ServerResponse, clock: Clock, onFlush: () => string): EventStream {
  const gone = new AbortController();
  let text = '';
  let scheduled = false;
  let idle = true;
  let blocked: Promise<void> | undefined;
  let heartbeat: Timer;

  const waitForDrain = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.after(STALLED_MS, () => response.destroy());
      const done = (): void => {
        timer.cancel();
        response.off('drain', done);
        response.off('close', done);
        blocked = undefined;
        resolve();
      };
      response.once('drain', done);
      response.once('close', done);
    });

  const flush = (): void => {
    scheduled = false;
    if (text === '' || response.destroyed || response.writableEnded) return;
    const whole = text + onFlush();
    text = '';
    idle = false;
    if (!response.write(whole)) blocked = waitForDrain();
  };

  const beat = (): void => {
    if (idle && !blocked) response.write(': heartbeat\n\n');
    idle = true;
    heartbeat = clock.after(HEARTBEAT_MS, beat);
  };

  response.writeHead(200, {
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
  });
  response.write('retry: 1000\n\n');
  heartbeat = clock.after(HEARTBEAT_MS, beat);
  response.once('close', () => {
    heartbeat.cancel();
    gone.abort();
  });

  return {
    gone: gone.signal,
    send(more) {
      text += more;
      if (text.length >= FLUSH_CHARACTERS) flush();
      else if (!scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
      return blocked;
    },
    async flushed() {
      flush();
      await blocked;
    },
    end() {
      flush();
      response.end();
    },
  };
}
