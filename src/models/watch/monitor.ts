import { siblingModule, type Workers } from '../../kernel/index.ts';
import { type CellValue, countRows, createCounts, layOutCells } from './cells.ts';
import {
  type Batch,
  type BatchEncoder,
  type ColumnSource,
  columnsOf,
  createBatchEncoder,
  valueAt,
} from './columns.ts';
import { type ColumnDrift, DEFAULT_EFFECTS, type DriftEffects } from './drift.ts';
import type { ColumnReference, Reference } from './reference.ts';
import type { CountInput, JudgeInput, ReferenceInput } from './tasks.ts';
import {
  type ClosedWindow,
  createWindows,
  DEFAULT_WINDOWS,
  type WindowOptions,
  type Windows,
} from './windows.ts';

export interface DriftOptions {
  readonly windows: WindowOptions;
  /** Probability that a window (the first is 1) raises an alarm although nothing has changed, over all columns together. */
  readonly falseAlarms: number | ((window: number) => number);
  readonly effects: DriftEffects;
  /** Rows that a reference is made of where training has left none. */
  readonly learnRows: number;
}

export const DEFAULT_DRIFT: DriftOptions = {
  windows: DEFAULT_WINDOWS,
  falseAlarms: 0.001,
  effects: DEFAULT_EFFECTS,
  learnRows: 2000,
};

/** A window and what it says; inputs and outputs in the order of the reference. */
export interface JudgedWindow {
  readonly fromMs: number;
  readonly toMs: number;
  readonly rows: number;
  readonly inputs: readonly ColumnDrift[];
  readonly outputs: readonly ColumnDrift[];
}

/** Watches the rows of one version. */
export interface Monitor {
  readonly reference: Reference | undefined;
  /** The last window that was judged. */
  readonly last: JudgedWindow | undefined;
  /** Rows seen, rows that wait for their window, rows too late for theirs, rows that were left out of the sample, rows that were not counted because too many came at once. */
  readonly rows: {
    readonly seen: number;
    readonly open: number;
    readonly late: number;
    readonly sampledOut: number;
    readonly skipped: number;
  };
  observe(inputs: Batch, outputs: Batch, rows: number, timeMs: number): void;
  /** Counts what is there and closes what time has gone beyond. */
  tick(nowMs: number): void;
  /** Resolves when everything observed so far is counted and judged. */
  settled(): Promise<void>;
}

export interface MonitorParts {
  readonly workers: Pick<Workers, 'run'>;
  /** From training; without one the first rows make it. */
  readonly reference: Reference | undefined;
  /** Names of the columns of a model that takes one matrix. */
  readonly features: readonly string[] | undefined;
  readonly options: DriftOptions;
  readonly judged: (window: JudgedWindow) => Promise<void>;
  readonly learned: (reference: Reference) => Promise<void>;
  /** Counting failed: told, and the rows are skipped. */
  readonly failed: (error: unknown) => void;
}

const TASKS = siblingModule(import.meta.url, './tasks');
/** Values of a block: 128 kB, about a millisecond of counting. */
const BLOCK_VALUES = 32_768;
/** So few are counted at once: less work than handing them to a worker. */
const INLINE_VALUES = 2048;
/** Blocks that may wait to be counted. */
const MOST_BLOCKS = 8;
/**
 * Values a second that are counted, less than a percent of a core. Of more, a part of the calls is counted, evenly: an hour of ten
 * thousand rows a second says nothing that ten million rows would not.
 */
const VALUES_PER_SECOND = 100_000;
/** Most values that are kept while a reference is learned. */
const LEARN_VALUES = 200_000;

interface Block {
  readonly values: Float32Array<ArrayBuffer>;
  rows: number;
  slot: number;
  fromMs: number;
  toMs: number;
}

export function createMonitor(parts: MonitorParts): Monitor {
  let counting = parts.reference && createCounting(parts, parts.reference);
  const learning = counting ? undefined : createLearning(parts);
  const learn = (made: Reference): void => void (counting = createCounting(parts, made));
  return {
    get reference() {
      return counting?.reference;
    },
    get last() {
      return counting?.last;
    },
    get rows() {
      return counting
        ? counting.rows()
        : { seen: learning!.rows, open: learning!.rows, late: 0, sampledOut: 0, skipped: 0 };
    },
    observe(inputs, outputs, rows, timeMs) {
      if (rows === 0) return;
      if (counting) counting.observe(inputs, outputs, rows, timeMs);
      else learning!.observe(inputs, outputs, rows, learn);
    },
    tick: (nowMs) => counting?.tick(nowMs),
    async settled() {
      await learning?.settled();
      await counting?.settled();
    },
  };
}

/** Keeps the first rows and makes the reference of them. */
function createLearning({ workers, features, options, learned, failed }: MonitorParts) {
  let sources: { readonly inputs: ColumnSource[]; readonly outputs: ColumnSource[] } | undefined;
  let kept: { readonly inputs: CellValue[][]; readonly outputs: CellValue[][] } | undefined;
  let most = options.learnRows;
  let rows = 0;
  let making: Promise<void> | undefined;

  const keep = (batch: Batch, from: readonly ColumnSource[], to: CellValue[][], size: number): void => {
    for (const [index, source] of from.entries()) {
      for (let row = 0; row < size; row++) to[index]!.push(valueAt(batch, source, row, size));
    }
  };
  const make = async (done: (made: Reference) => void): Promise<void> => {
    const named = (side: 'inputs' | 'outputs') =>
      sources![side].map(({ column }, index) => ({ name: column, values: kept![side][index]! }));
    const input: ReferenceInput = { inputs: named('inputs'), outputs: named('outputs') };
    const made = await workers.run<Reference>({ module: TASKS, task: 'reference' }, input);
    await learned(made);
    kept = undefined;
    done(made);
  };

  return {
    get rows() {
      return rows;
    },
    observe(inputs: Batch, outputs: Batch, size: number, done: (made: Reference) => void): void {
      if (making) return;
      if (!sources) {
        sources = { inputs: columnsOf(inputs, size, features), outputs: columnsOf(outputs, size) };
        kept = { inputs: sources.inputs.map(() => []), outputs: sources.outputs.map(() => []) };
        const columns = sources.inputs.length + sources.outputs.length;
        most = Math.max(1, Math.min(most, Math.floor(LEARN_VALUES / Math.max(1, columns))));
      }
      keep(inputs, sources.inputs, kept!.inputs, size);
      keep(outputs, sources.outputs, kept!.outputs, size);
      rows += size;
      if (rows < most) return;
      making = make(done).catch((error: unknown) => {
        making = undefined;
        sources = undefined;
        rows = 0;
        failed(error);
      });
    },
    settled: () => making,
  };
}

/** Counts rows against a reference, in blocks, in the workers. */
function createCounting(parts: MonitorParts, reference: Reference) {
  const { workers, options, features } = parts;
  const columns: readonly ColumnReference[] = [...reference.inputs, ...reference.outputs];
  const cells = layOutCells(columns);
  const width = columns.length;
  const blockRows = Math.max(1, Math.floor(BLOCK_VALUES / Math.max(1, width)));
  const windows: Windows = createWindows(createCounts(cells).length, options.windows);
  let encoders: { readonly inputs: BatchEncoder; readonly outputs: BatchEncoder } | undefined;
  let block: Block | undefined;
  let tail: Promise<void> = Promise.resolve();
  let waiting = 0;
  let seen = 0;
  let skipped = 0;
  const sample = createSample(width);
  /** Rows until the window is full: a block never reaches into the next one. */
  const windowRows = Math.max(options.windows.rows ?? Number.POSITIVE_INFINITY, options.windows.leastRows);
  let room = windowRows;
  let judgedWindows = 0;
  let last: JudgedWindow | undefined;

  const judge = async (window: ClosedWindow): Promise<void> => {
    const { counts, fromMs, toMs, rows } = window;
    const { falseAlarms, effects } = options;
    const alpha = typeof falseAlarms === 'number' ? falseAlarms : falseAlarms(++judgedWindows);
    const input: JudgeInput = { columns, counts, alpha, effects };
    const drift = await workers.run<ColumnDrift[]>({ module: TASKS, task: 'judge' }, input);
    const inputs = drift.slice(0, reference.inputs.length);
    last = { fromMs, toMs, rows, inputs, outputs: drift.slice(inputs.length) };
    await parts.judged(last);
  };

  const add = async (counts: Float64Array, { rows, fromMs, toMs }: Block): Promise<void> => {
    for (const window of windows.add(counts, rows, fromMs, toMs)) await judge(window);
  };

  const queue = (work: () => Promise<void>): void => {
    tail = tail.then(work).catch(parts.failed);
  };

  const countIn = async (full: Block): Promise<void> => {
    const { values, rows } = full;
    const input: CountInput = { cells, values, rows };
    try {
      const name = { module: TASKS, task: 'count' };
      await add(await workers.run<Float64Array>(name, input, { transfer: [values.buffer] }), full);
    } catch (error) {
      skipped += rows;
      throw error;
    } finally {
      waiting--;
    }
  };

  const flush = (): void => {
    const full = block;
    if (!full || full.rows === 0) return;
    block = undefined;
    if (full.rows * width <= INLINE_VALUES) {
      const counts = createCounts(cells);
      countRows(cells, full.values, full.rows, counts);
      queue(() => add(counts, full));
      return;
    }
    waiting++;
    queue(() => countIn(full));
  };

  const blockFor = (timeMs: number): Block => {
    const slot = windows.slotOf(timeMs);
    if (block && block.slot !== slot) flush();
    block ??= { values: new Float32Array(blockRows * width), rows: 0, slot, fromMs: timeMs, toMs: timeMs };
    return block;
  };

  const encodersFor = (inputs: Batch, outputs: Batch, rows: number) => ({
    inputs: createBatchEncoder(reference.inputs, columnsOf(inputs, rows, features), 0, width),
    outputs: createBatchEncoder(reference.outputs, columnsOf(outputs, rows), reference.inputs.length, width),
  });

  return {
    reference,
    get last() {
      return last;
    },
    rows: () => ({
      seen,
      sampledOut: sample.out,
      open: windows.openRows + (block?.rows ?? 0),
      late: windows.late,
      skipped,
    }),
    observe(inputs: Batch, outputs: Batch, rows: number, timeMs: number): void {
      encoders ??= encodersFor(inputs, outputs, rows);
      seen += rows;
      if (!sample.takes(rows)) return;
      for (let from = 0; from < rows; ) {
        if (waiting >= MOST_BLOCKS) {
          skipped += rows - from;
          return;
        }
        const into = blockFor(timeMs);
        const to = Math.min(rows, from + room, from + blockRows - into.rows);
        encoders.inputs.encode(inputs, rows, from, to, into.values, into.rows);
        encoders.outputs.encode(outputs, rows, from, to, into.values, into.rows);
        into.rows += to - from;
        into.fromMs = Math.min(into.fromMs, timeMs);
        into.toMs = Math.max(into.toMs, timeMs);
        room -= to - from;
        if (into.rows === blockRows || room === 0) flush();
        if (room === 0) room = windowRows;
        from = to;
      }
    },
    tick(nowMs: number): void {
      sample.tick(nowMs);
      flush();
      queue(async () => {
        for (const window of windows.tick(nowMs)) await judge(window);
      });
    },
    settled(): Promise<void> {
      flush();
      return tail;
    },
  };
}

/** Which calls are counted when there are too many: of those of a second, as many as those of the second before allow. */
function createSample(width: number) {
  let share = 1;
  let due = 0;
  let rowsSinceTick = 0;
  let tickedMs: number | undefined;
  let out = 0;
  return {
    get out() {
      return out;
    },
    takes(rows: number): boolean {
      rowsSinceTick += rows;
      due += share;
      if (due >= 1) {
        due -= 1;
        return true;
      }
      out += rows;
      return false;
    },
    tick(nowMs: number): void {
      const seconds = tickedMs === undefined ? 1 : Math.max(0.001, (nowMs - tickedMs) / 1000);
      const perSecond = (rowsSinceTick * width) / seconds;
      share = Math.min(1, VALUES_PER_SECOND / Math.max(1, perSecond));
      tickedMs = nowMs;
      rowsSinceTick = 0;
    },
  };
}
