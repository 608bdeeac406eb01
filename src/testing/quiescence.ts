import type { Platform } from '../main.ts';

/** The clock of a test, as much of it as waiting needs. */
export interface MovableClock {
  advance(byMs: number): void;
  untilNextMs(): number | undefined;
}

export interface Quiescence {
  /** Resolves when nothing can go on unless time moves or something new comes. */
  settle(): Promise<void>;
  /** The same, with time moved on for as long as work waits for it: a retry's pause, a batch that is not full. */
  idle(): Promise<void>;
  /** Moves time, timer by timer, and lets what each brings about come to its end. */
  advance(byMs: number): Promise<void>;
}

/** A retry waits a minute at most, and a batch five: a platform that is busy for longer than this will be busy for ever. */
const LONGEST_IDLE_MS = 24 * 3_600_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createQuiescence(platform: Platform, clock: MovableClock): Quiescence {
  const { functions, consumers } = platform;

  const isBusy = (): boolean =>
    functions.list().some(({ inFlight, queued, starting }) => inFlight + queued + starting > 0);
  const isBehind = (): boolean =>
    consumers
      .list()
      .some(({ state, partitions }) => state !== 'paused' && partitions.some(({ lag }) => lag > 0));

  const settle = async (): Promise<void> => {
    // What a timer or a commit set off begins within the next turns of the event loop; two quiet ones in a row are the end.
    for (let quiet = 0; quiet < 2; ) {
      await consumers.idle();
      await turn();
      quiet = isBusy() ? 0 : quiet + 1;
    }
  };

  const step = async (limitMs: number): Promise<number> => {
    const byMs = Math.min(clock.untilNextMs() ?? limitMs, limitMs);
    clock.advance(byMs);
    await settle();
    return byMs;
  };

  return {
    settle,
    async idle() {
      await settle();
      for (let movedMs = 0; isBehind(); ) {
        if (movedMs > LONGEST_IDLE_MS) {
          throw new Error(
            'Records still wait after a day of the clock. Is a function paused, or failing for ever?',
          );
        }
        movedMs += await step(LONGEST_IDLE_MS);
      }
    },
    async advance(byMs) {
      await settle();
      for (let leftMs = byMs; leftMs > 0; ) leftMs -= await step(leftMs);
    },
  };
}
