import { setTimeout as delay } from 'node:timers/promises';

/** What other processes do takes seconds, and ten times that where the machine is busy. */
const WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 50;

export interface WaitOptions {
  /** 90 s unless told. */
  readonly withinMs?: number;
  /** How far it has come, for the message when it does not come to be. */
  readonly shows?: () => unknown;
  /** What goes on meanwhile: a failure of one of them ends the waiting with it. */
  readonly during?: readonly Promise<unknown>[];
}

/**
 * Looks again and again until it holds. Rejects with what was waited for and how far it had come when it takes too long, and
 * at once with what looking or something in `during` fails with: nothing here waits for ever.
 */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  { withinMs = WITHIN_MS, shows, during = [] }: WaitOptions = {},
): Promise<void> {
  const end = new AbortController();
  const broken = during.map((one) => one.then(() => new Promise<never>(() => undefined)));
  const overdue = delay(withinMs, undefined, { signal: end.signal }).then(() => {
    const come = shows ? ` It has come to ${JSON.stringify(shows())}.` : '';
    throw new Error(`Waited ${withinMs} ms in vain: ${what}.${come}`);
  });
  const looking = async (): Promise<void> => {
    while (!end.signal.aborted && !(await holds())) await delay(LOOK_EVERY_MS);
  };
  try {
    await Promise.race([looking(), overdue, ...broken]);
  } finally {
    end.abort();
  }
}
