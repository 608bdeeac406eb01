/** When the rows seen so far are judged. */
export interface WindowOptions {
  /** A window is full with this many rows; null: only time closes it. */
  readonly rows: number | null;
  /** Windows of this length, aligned to the Unix epoch, by the time of the rows; null: only rows close it. */
  readonly everyMs: number | null;
  /** A window with fewer rows is not judged: it goes on into the next one. */
  readonly leastRows: number;
}

export const DEFAULT_WINDOWS: WindowOptions = { rows: 10_000, everyMs: 3_600_000, leastRows: 500 };

/** Rows that are judged together. */
export interface ClosedWindow {
  readonly fromMs: number;
  readonly toMs: number;
  readonly rows: number;
  readonly counts: Float64Array;
}

interface OpenWindow {
  fromMs: number;
  toMs: number;
  rows: number;
  counts: Float64Array;
}

/**
 * Windows of counts, by time and number of rows.
 *
 * W1 Two are kept at most: the one that the latest rows belong to and the one before, for rows that come a little late.
 *    Rows that come later than that are counted in `late` and in nothing else.
 * W2 A window is handed out once, when it is full or when time has gone beyond it by a tenth of its length.
 * W3 One with too few rows is not handed out; its counts go into the next. Few data never count as no drift.
 */
export interface Windows {
  /** Adds counts of rows whose times lie between the two; returns what that closes, oldest first. */
  add(counts: Float64Array, rows: number, fromMs: number, toMs: number): ClosedWindow[];
  /** Closes what time has gone beyond. */
  tick(nowMs: number): ClosedWindow[];
  /** Which window a time belongs to: rows counted together must have this alike. */
  slotOf(timeMs: number): number;
  /** Rows that are not judged yet. */
  readonly openRows: number;
  readonly late: number;
}

export function createWindows(size: number, options: WindowOptions): Windows {
  const { rows: mostRows, everyMs, leastRows } = options;
  const graceMs = everyMs === null ? 0 : everyMs / 10;
  const slotOf = (timeMs: number): number => (everyMs === null ? 0 : Math.floor(timeMs / everyMs));
  const open = new Map<number, OpenWindow>();
  let latestSlot = Number.NEGATIVE_INFINITY;
  let closedUpTo = Number.NEGATIVE_INFINITY;
  let late = 0;

  const openAt = (slot: number, fromMs: number): OpenWindow => {
    let window = open.get(slot);
    if (!window) open.set(slot, (window = { fromMs, toMs: fromMs, rows: 0, counts: new Float64Array(size) }));
    return window;
  };

  const merge = (into: OpenWindow, from: OpenWindow): void => {
    for (let cell = 0; cell < size; cell++) into.counts[cell] = into.counts[cell]! + from.counts[cell]!;
    into.rows += from.rows;
    into.fromMs = Math.min(into.fromMs, from.fromMs);
    into.toMs = Math.max(into.toMs, from.toMs);
  };

  /** Takes every window before `slot`: judged where it has enough rows, else merged into the window of `slot`. */
  const closeBefore = (slot: number): ClosedWindow[] => {
    const closed: ClosedWindow[] = [];
    for (const each of [...open.keys()].filter((key) => key < slot).sort((a, b) => a - b)) {
      const window = open.get(each)!;
      open.delete(each);
      closedUpTo = Math.max(closedUpTo, each);
      if (window.rows >= leastRows) closed.push(window);
      else merge(openAt(slot, window.fromMs), window);
    }
    return closed;
  };

  return {
    slotOf,
    add(counts, rows, fromMs, toMs) {
      const slot = slotOf(fromMs);
      if (slot <= closedUpTo) {
        late += rows;
        return [];
      }
      latestSlot = Math.max(latestSlot, slot);
      const closed = closeBefore(latestSlot - 1);
      const window = openAt(slot, fromMs);
      merge(window, { counts, rows, fromMs, toMs });
      if (mostRows !== null && window.rows >= Math.max(mostRows, leastRows)) {
        open.delete(slot);
        closed.push(window);
      }
      return closed;
    },
    tick: (nowMs) => (everyMs === null ? [] : closeBefore(slotOf(nowMs - graceMs))),
    get openRows() {
      return open.values().reduce((sum, window) => sum + window.rows, 0);
    },
    get late() {
      return late;
    },
  };
}
