import { type ManualClock, onSignal } from '../kernel/index.ts';
import type { Platform } from '../main.ts';

export interface Quiescence {
  /**
   * Resolves when nothing is left to do: no invocation runs, every stream function has read to the end, no retry waits.
   * Time is moved on for as long as work waits for it: a retry's pause, a batch that is not full.
   */
  idle(): Promise<void>;
  /** Moves time, timer by timer, and lets what each brings about come to its end. */
  advance(byMs: number): Promise<void>;
}

/** A retry waits a minute at most, and a batch five: a platform that is busy for longer than this will be busy for ever. */
const LONGEST_IDLE_MS = 24 * 3_600_000;

/** An invocation that takes longer than this, in real time, is taken to wait for the clock that is being moved. */
const GRACE_MS = 250;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The next invocation that ends. */
function nextEnd(): Promise<void> {
  return new Promise((resolve) => {
    const stop = onSignal('function.invoked', () => {
      stop();
      resolve();
    });
  });
}

/** Whether `work` came to its end within the grace. */
async function withinGrace(work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), GRACE_MS);
  });
  const ended = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return ended;
}

export function createQuiescence(platform: Platform, clock: ManualClock): Quiescence {
  const { functions, consumers, schedules, models } = platform;

  const isBusy = (): boolean => functions.list().some(({ inFlight, queued }) => inFlight + queued > 0);
  const waitsForTime = (): boolean =>
    schedules.retryWaits ||
    consumers
      .list()
      .some(({ state, partitions }) => state !== 'paused' && partitions.some(({ lag }) => lag > 0));

  /** Nothing can go on unless time moves or something new comes. */
  const settle = async (): Promise<void> => {
    // What a timer or a commit set off begins within the next turns of the event loop; two quiet ones in a row are the end.
    for (let quiet = 0; quiet < 2; ) {
      await models.operations.settled();
      await consumers.idle();
      await schedules.idle();
      await turn();
      if (isBusy()) await nextEnd();
      quiet = isBusy() ? 0 : quiet + 1;
    }
  };

  const step = (limitMs: number): number => {
    const byMs = Math.min(clock.untilNextMs() ?? limitMs, limitMs);
    clock.advance(byMs);
    return byMs;
  };

  return {
    async idle() {
      await settle();
      for (let movedMs = 0; waitsForTime(); ) {
        if (movedMs > LONGEST_IDLE_MS) {
          throw new Error('Records still wait after a day of the clock. Does a function fail for ever?');
        }
        movedMs += step(LONGEST_IDLE_MS);
        await settle();
      }
    },
    async advance(byMs) {
      // Once an invocation was found to wait for the clock, waiting for it at every timer would only take time.
      let settles = await withinGrace(settle());
      for (let leftMs = byMs; leftMs > 0; ) {
        leftMs -= step(leftMs);
        if (settles) settles = await withinGrace(settle());
        else await turn().then(turn);
      }
      await withinGrace(settle());
    },
  };
}
