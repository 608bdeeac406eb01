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

/**
 * All that is kept of a terminal: its payments, and those of them that wait for their truth, in the order in which they came. The
 * latter are read from their text only when they are asked for: most events of a terminal have nothing to do with them.
 */
export class TerminalCell {
  readonly terminal: TerminalState;
  /** As it was stored; undefined once it was read. */
  private text: string | undefined;
  private list: Waiting[] = [];
  /** When the truth of the first of them is known, in milliseconds of event time. */
  private dueMs: number;

  private constructor(terminal: TerminalState, dueMs: number, text: string | undefined) {
    this.terminal = terminal;
    this.dueMs = dueMs;
    this.text = text;
  }

  /** Reads what `pack` made; a terminal that nothing is known of where there is no text. */
  static unpack(packed: string | undefined): TerminalCell {
    if (packed === undefined) return new TerminalCell(freshTerminal(), Number.POSITIVE_INFINITY, undefined);
    const [terminal, due, waiting] = parts(packed);
    const dueMs = due === undefined ? Number.POSITIVE_INFINITY : Number(due);
    return new TerminalCell(unpackTerminal(terminal), dueMs, waiting);
  }

  /** The terminal's own text, which is base64, and where some wait, behind blanks, when the first is due, and they: most have few or none. */
  pack(): string {
    const packed = packTerminal(this.terminal);
    if (this.dueMs === Number.POSITIVE_INFINITY) return packed;
    return `${packed} ${this.dueMs} ${this.text ?? JSON.stringify(this.list)}`;
  }

  wait(payment: Waiting): void {
    this.waiting.push(payment);
    this.dueMs = Math.min(this.dueMs, dueMsOf(payment));
  }

  /**
   * Takes out those that a fraud would be known of by now. Frauds become known in the stream of the terminal before what is paid a
   * week later: who still waits then is genuine.
   */
  takeGenuine(nowMs: number): readonly Waiting[] {
    if (nowMs < this.dueMs) return [];
    const isDue = (payment: Waiting): boolean => dueMsOf(payment) <= nowMs;
    const due = this.waiting.filter(isDue);
    this.keep((payment) => !isDue(payment));
    return due;
  }

  /** Takes out the payment that turned out to be fraud; undefined where it did not wait. */
  takeFraud(id: number): Waiting | undefined {
    const found = this.waiting.find((each) => each.id === id);
    if (found) this.keep((each) => each !== found);
    return found;
  }

  private get waiting(): Waiting[] {
    if (this.text !== undefined) this.list = JSON.parse(this.text) as Waiting[];
    this.text = undefined;
    return this.list;
  }

  private keep(stays: (payment: Waiting) => boolean): void {
    this.list = this.waiting.filter(stays);
    this.dueMs = Math.min(Number.POSITIVE_INFINITY, ...this.list.map(dueMsOf));
  }
}

function dueMsOf({ at }: Waiting): number {
  return knownAtMs(Date.parse(at));
}

/** The text up to the first blank, up to the second, and the rest. */
function parts(packed: string): [first: string, second?: string, rest?: string] {
  const first = packed.indexOf(' ');
  if (first < 0) return [packed];
  const second = packed.indexOf(' ', first + 1);
  return [packed.slice(0, first), packed.slice(first + 1, second), packed.slice(second + 1)];
}
