import { setTimeout as delay } from 'node:timers/promises';
import { ConnectionLost, isPassing, KafkaFailure } from './failure.ts';

const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 500;

/**
 * Runs `work` again, with growing pauses, while it fails for reasons that pass; `refresh` is called in between. Throws the
 * last failure after `forMs`, and at once one that does not pass or after `stopped`.
 */
export async function retrying<Result>(
  work: () => Promise<Result>,
  options: {
    readonly forMs: number;
    readonly refresh?: (error: Error) => Promise<unknown> | undefined;
    readonly stopped?: () => boolean;
    readonly passing?: (error: unknown) => boolean;
  },
): Promise<Result> {
  const endMs = performance.now() + options.forMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      const passes = (options.passing ?? isPassing)(error);
      if (!passes || performance.now() > endMs || options.stopped?.()) throw error;
      await delay(pauseMs);
      await options.refresh?.(error as Error)?.catch(onlyPassing);
    }
  }
}

/** What was to make the next try succeed may fail for the same reasons. */
function onlyPassing(error: unknown): void {
  if (!(error instanceof ConnectionLost || error instanceof KafkaFailure)) throw error;
}
