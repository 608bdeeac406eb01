import type { FunctionNow, Overview, StreamNow } from './overview.ts';
import { cut } from './terminal.ts';

const NAME_COLUMNS = 26;
const CELL_COLUMNS = 9;

/** One frame of `top`: lines that fit, the busiest first; what does not fit is counted. */
export function renderTop(overview: Overview, columns: number, rows: number): string[] {
  const { streams, functions } = overview;
  const head = headOf(overview);
  // Two headings, two empty lines, two lines for what is left out.
  const room = Math.max(2, rows - 1 - 6);
  const forFunctions = Math.min(functions.length, Math.max(room - streams.length, Math.ceil(room / 2)));
  const forStreams = Math.min(streams.length, room - forFunctions);
  const lines = [
    head,
    '',
    rowOf('STREAM', ['RECORDS/S', 'MB/S', 'RECORDS', 'LAG']),
    ...section(byRate(streams), forStreams, streamCells, 'streams'),
    '',
    rowOf('FUNCTION', ['CALLS/S', 'P50', 'P99', 'ERR/S', 'INST', 'THROT/S']),
    ...section(byRate(functions), forFunctions, functionCells, 'functions'),
  ];
  return lines.map((line) => cut(line, columns)).slice(0, rows);
}

function headOf({ state, uptimeSeconds, memoryBytes, streams, functions }: Overview): string {
  const records = streams.reduce((sum, each) => sum + each.perSecond, 0);
  const calls = functions.reduce((sum, each) => sum + each.perSecond, 0);
  const memory = `${Math.round(memoryBytes / 1024 ** 2)} MB`;
  return `millrace ${state}, up ${span(uptimeSeconds)}, ${memory}, ${short(records)} records/s, ${short(calls)} calls/s`;
}

function byRate<Item extends { readonly perSecond: number; readonly name: string }>(
  items: readonly Item[],
): Item[] {
  return items.toSorted((a, b) => b.perSecond - a.perSecond || (a.name < b.name ? -1 : 1));
}

function section<Item extends { readonly name: string }>(
  items: readonly Item[],
  shown: number,
  cellsOf: (item: Item) => readonly string[],
  what: string,
): string[] {
  if (items.length === 0) return [`no ${what} yet`];
  const lines = items.slice(0, shown).map((item) => rowOf(item.name, cellsOf(item)));
  const left = items.length - shown;
  return left > 0 ? [...lines, `… ${left} more ${what}`] : lines;
}

function streamCells({ perSecond, bytesPerSecond, records, lag, groups }: StreamNow): readonly string[] {
  const megabytes = bytesPerSecond / 1e6;
  return [short(perSecond), megabytes.toFixed(2), short(records), groups.length === 0 ? '-' : short(lag)];
}

function functionCells(fn: FunctionNow): readonly string[] {
  const errors = fn.errorsPerSecond + fn.deadLettersPerSecond;
  const instances = fn.instances === null ? '-' : String(fn.instances);
  return [
    short(fn.perSecond),
    delay(fn.p50Ms),
    delay(fn.p99Ms),
    short(errors),
    instances,
    short(fn.throttledPerSecond),
  ];
}

/** Six numbers beside a name fit into 80 columns. */
function rowOf(name: string, cells: readonly string[]): string {
  const width = cells.length > 4 ? CELL_COLUMNS - 1 : CELL_COLUMNS + 3;
  const shown = printable(name);
  return (
    cut(shown, NAME_COLUMNS).padEnd(NAME_COLUMNS) + cells.map((cell) => ` ${cell}`.padStart(width)).join('')
  );
}

const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, '\ufffd');

/** 1,234,567 → '1.23M': three significant digits. */
export function short(value: number): string {
  if (value < 1000) return value < 10 ? String(Number(value.toFixed(2))) : String(Math.round(value));
  const unit = value < 1e6 ? 1e3 : value < 1e9 ? 1e6 : 1e9;
  const letter = unit === 1e3 ? 'k' : unit === 1e6 ? 'M' : 'G';
  return `${Number((value / unit).toPrecision(3))}${letter}`;
}

export function delay(delayMs: number | null): string {
  if (delayMs === null) return '-';
  if (delayMs < 10) return `${delayMs.toFixed(1)}ms`;
  return delayMs < 10_000 ? `${Math.round(delayMs)}ms` : `${Math.round(delayMs / 1000)}s`;
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds}s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`;
}
