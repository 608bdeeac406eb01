import type { Platform } from '../../src/main.ts';

const DAY_MS = 86_400_000;
const MOST_DAYS = 2;

/** The ways of a payment: who reads it from which stream, first its card, then its terminal. */
export const CARD = { group: 'scoring.see-card', stream: 'payments' } as const;
export const TERMINAL = { group: 'scoring.score', stream: 'terminal-events' } as const;

interface Mark {
  readonly day: number;
  /** Ends of the partitions of `payments` once the day was sent. */
  readonly sent: readonly number[];
  /** Ends of the partitions of `terminal-events` once the cards had seen all of that. */
  seen: readonly number[] | undefined;
}

/**
 * Keeps the feed at most two days of event time ahead of the scores. A terminal's features hold as long as its payments come less
 * than three days out of order (`features/terminal.ts`); at full speed only this bounds it.
 */
export class Lead {
  private readonly platform: Platform;
  private readonly marks: Mark[] = [];
  private day: number | undefined;

  constructor(platform: Platform) {
    this.platform = platform;
  }

  /** Resolves when payments of that time may be sent, or when the signal fires. */
  async room(atMs: number, signal: AbortSignal): Promise<void> {
    const day = Math.floor(atMs / DAY_MS);
    // What an earlier run has sent counts as long gone.
    if (this.day === undefined) this.mark(day - MOST_DAYS);
    else if (day > this.day) this.mark(this.day);
    this.day = day;
    while (this.behind(day) && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  private mark(day: number): void {
    this.marks.push({ day, sent: this.ends(CARD.stream), seen: undefined });
  }

  private behind(day: number): boolean {
    for (let mark = this.marks[0]; mark && mark.day <= day - MOST_DAYS; mark = this.marks[0]) {
      if (!mark.seen && this.reached(CARD, mark.sent)) mark.seen = this.ends(TERMINAL.stream);
      if (!mark.seen || !this.reached(TERMINAL, mark.seen)) return true;
      this.marks.shift();
    }
    return false;
  }

  private ends(topic: string): number[] {
    const { log } = this.platform.streams;
    const partitions = log.topics.find(topic)?.partitions ?? 0;
    return Array.from(
      { length: partitions },
      (_, partition) => log.bounds({ topic, partition }).highWatermark,
    );
  }

  private reached({ group, stream }: typeof CARD | typeof TERMINAL, ends: readonly number[]): boolean {
    const positions = this.platform.streams.log.groups.offsets(group);
    return ends.every(
      (end, partition) =>
        end === 0 ||
        positions.some((each) => each.topic === stream && each.partition === partition && each.offset >= end),
    );
  }
}
