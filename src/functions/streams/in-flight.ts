/** What is out with the function at the moment. */
export interface InFlight {
  readonly count: number;
  /** Those that are not merely waiting for someone to take them. */
  readonly busy: number;
  /** Runs until `work` ends; `onEnd` is called afterwards, `onError` before that if it failed. */
  run(work: Promise<void>): void;
  /** Counts one of them as waiting until `wait` ends. */
  park(wait: Promise<void>): Promise<void>;
  /** Resolves when all that run now have ended. */
  settled(): Promise<unknown>;
}

export function createInFlight(onEnd: () => void, onError: (error: unknown) => void): InFlight {
  const running = new Set<Promise<void>>();
  let parked = 0;
  return {
    get count() {
      return running.size;
    },
    get busy() {
      return running.size - parked;
    },
    run(work) {
      const done: Promise<void> = work.catch(onError).then(() => {
        running.delete(done);
        onEnd();
      });
      running.add(done);
    },
    async park(wait) {
      parked++;
      onEnd();
      await wait;
      parked--;
    },
    settled: () => Promise.allSettled(running),
  };
}
