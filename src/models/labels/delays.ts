/** How late labels come, as counts by their delay: four cells for each doubling of it. Plain JSON. */
export type Delays = number[];

const CELLS_PER_DOUBLING = 4;
const MOST_CELLS = 200;

export function addDelay(delays: Delays, delayMs: number): void {
  const cell = Math.min(MOST_CELLS - 1, Math.floor(CELLS_PER_DOUBLING * Math.log2(Math.max(0, delayMs) + 1)));
  while (delays.length <= cell) delays.push(0);
  delays[cell]! += 1;
}

/** The time within which this share of the labels came; zero before there are any. */
export function delayOf(delays: Delays, share: number): number {
  const all = delays.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [cell, count] of delays.entries()) {
    seen += count;
    if (seen > 0 && seen >= all * share) return Math.ceil(2 ** ((cell + 1) / CELLS_PER_DOUBLING) - 1);
  }
  return 0;
}
