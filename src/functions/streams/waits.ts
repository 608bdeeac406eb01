import type { Clock } from '../../kernel/index.ts';

/** Waiting that can be cut short for all who wait. */
export interface Waits {
  /** Resolves after `delayMs`, or when `endAll` was called. */
  wait(delayMs: number): Promise<void>;
  /** Ends what waits now, and whatever is asked for later at once. */
  endAll(): void;
}

export function createWaits(clock: Clock): Waits {
  const waiting = new Set<() => void>();
  let ended = false;
  return {
    wait: (delayMs) =>
      new Promise((resolve) => {
        if (ended) return resolve();
        const finish = (): void => {
          timer.cancel();
          waiting.delete(finish);
          resolve();
        };
        const timer = clock.after(delayMs, finish);
        waiting.add(finish);
      }),
    endAll() {
      ended = true;
      for (const finish of [...waiting]) finish();
    },
  };
}
