import { knownAtMs } from '../features/batch.ts';
import { freshTerminal, packTerminal, type TerminalState, unpackTerminal } from '../features/terminal.ts';

/** A payment whose truth will be asked for when it is known. */
export interface Waiting {
  readonly id: number;
  readonly at: string;
  readonly card: string;
  readonly score: number;
  /** Of the model's columns, where the payment is one to learn from. */
  readonly values?: readonly number[];
  /** How many payments it stands for among those that are learnt from. */
  readonly weight?: number;
}

/** All that is kept of a terminal: its payments, and those of them that wait for their truth, in the order in which they came. */
export interface TerminalCell {
  readonly terminal: TerminalState;
  waiting: Waiting[];
}

/** The terminal's own text, which is base64, and behind a blank those that wait: most terminals have few or none. */
export function packCell({ terminal, waiting }: TerminalCell): string {
  const packed = packTerminal(terminal);
  return waiting.length === 0 ? packed : `${packed} ${JSON.stringify(waiting)}`;
}

export function unpackCell(text: string | undefined): TerminalCell {
  if (text === undefined) return { terminal: freshTerminal(), waiting: [] };
  const blank = text.indexOf(' ');
  if (blank < 0) return { terminal: unpackTerminal(text), waiting: [] };
  return {
    terminal: unpackTerminal(text.slice(0, blank)),
    waiting: JSON.parse(text.slice(blank + 1)) as Waiting[],
  };
}

/**
 * Takes out those that a fraud would be known of by now. Frauds become known in the stream of the terminal before what is paid a
 * week later: who still waits then is genuine.
 */
export function takeGenuine(cell: TerminalCell, nowMs: number): readonly Waiting[] {
  if (cell.waiting.length === 0) return [];
  const isDue = ({ at }: Waiting): boolean => knownAtMs(Date.parse(at)) <= nowMs;
  const due = cell.waiting.filter(isDue);
  if (due.length > 0) cell.waiting = cell.waiting.filter((each) => !isDue(each));
  return due;
}

/** Takes out the payment that turned out to be fraud; undefined where it did not wait. */
export function takeFraud(cell: TerminalCell, id: number): Waiting | undefined {
  const found = cell.waiting.find((each) => each.id === id);
  if (found) cell.waiting = cell.waiting.filter((each) => each !== found);
  return found;
}
