import { type Clock, onSignal, type Service, signal, type Timer } from '../kernel/index.ts';
import type { ArchivedLine, LogArchive, LogLevel } from './port.ts';

/** Lines that functions and the platform wrote: kept within bounds, searched, followed. */
export interface Logs extends Service {
  /** The newest lines that fit, oldest first. */
  search(query: LogQuery): Promise<readonly ArchivedLine[]>;
  /**
   * Lines as they are written until the signal fires, after those that `earlier` asks for, none twice and none left
   * out. A reader that is too slow gets a line that counts what it missed.
   */
  follow(
    filter: LogFilter,
    over: AbortSignal,
    earlier?: { readonly sinceMs?: number; readonly limit: number },
  ): AsyncIterable<ArchivedLine>;
}

export interface LogFilter {
  /** A function, an app, or a room of the platform. */
  readonly name?: string;
  /** This level and those above it. */
  readonly level?: LogLevel;
  /** Found in the message, whatever the case. */
  readonly text?: string;
  readonly invocationId?: string;
  readonly source?: ArchivedLine['source'];
}

export interface LogQuery extends LogFilter {
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly limit: number;
}

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

const FLUSH_MS = 200;
/** Lines and characters that wait for the archive; what comes beyond is dropped and counted. */
const MOST_WAITING = 10_000;
const MOST_WAITING_CHARACTERS = 8 * 1024 * 1024;
const LONGEST_MESSAGE = 64 * 1024;
const MOST_HELD_FOR_FOLLOWER = 2000;

interface Follower {
  readonly filter: LogFilter;
  readonly held: ArchivedLine[];
  missed: number;
  wake: () => void;
}

export function createLogs({
  archive,
  clock,
}: {
  readonly archive: LogArchive;
  readonly clock: Clock;
}): Logs {
  return new SignalLogs(archive, clock);
}

class SignalLogs implements Logs {
  readonly name = 'logs';
  readonly #archive: LogArchive;
  readonly #clock: Clock;
  readonly #stops: (() => void)[];
  readonly #followers = new Set<Follower>();
  #waiting: ArchivedLine[] = [];
  #waitingCharacters = 0;
  /** By function or room: lines that found no room. */
  #dropped = new Map<string, number>();
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  #failing = false;
  #started = false;

  constructor(archive: LogArchive, clock: Clock) {
    this.#archive = archive;
    this.#clock = clock;
    this.#stops = [
      onSignal('function.log', ({ fn, timeMs, ...line }) => {
        this.#take({ ...line, timeMs, source: 'function', name: fn });
      }),
      onSignal('platform.log', ({ level, room, message, error }) => {
        if (level === 'debug') return;
        const detail = error instanceof Error ? { attributes: { error: error.message } } : {};
        this.#take({ timeMs: clock.now(), level, source: 'platform', name: room, message, ...detail });
      }),
    ];
  }

  async start(): Promise<void> {
    await this.#archive.start?.();
    this.#started = true;
    this.#arm();
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) stop();
    this.#timer?.cancel();
    for (const follower of this.#followers) follower.wake();
    await this.#settle();
    await this.#archive.stop?.();
  }

  async search(query: LogQuery): Promise<readonly ArchivedLine[]> {
    await this.#settle();
    const matches = matcherOf(query);
    const fromMs = query.sinceMs ?? 0;
    const toMs = query.untilMs ?? Number.MAX_SAFE_INTEGER;
    const found: ArchivedLine[] = [];
    for await (const lines of this.#archive.read({ fromMs, toMs })) {
      for (const line of lines) {
        if (line.timeMs < fromMs || line.timeMs >= toMs || !matches(line)) continue;
        found.push(line);
        if (found.length >= query.limit) return found.reverse();
      }
    }
    return found.reverse();
  }

  async *follow(
    filter: LogFilter,
    over: AbortSignal,
    earlier?: { readonly sinceMs?: number; readonly limit: number },
  ): AsyncGenerator<ArchivedLine> {
    const follower: Follower = { filter, held: [], missed: 0, wake: () => undefined };
    this.#followers.add(follower);
    const wake = (): void => follower.wake();
    over.addEventListener('abort', wake, { once: true });
    try {
      if (earlier && earlier.limit > 0) {
        const found = await this.search({ ...filter, ...earlier });
        yield* withoutHeld(found, follower.held);
      }
      while (!over.aborted) {
        if (follower.held.length === 0) {
          await new Promise<void>((resolve) => {
            follower.wake = resolve;
          });
          continue;
        }
        yield* follower.held.splice(0);
        if (follower.missed > 0) {
          yield droppedLine('logs', follower.missed, this.#clock.now(), 'for this reader was too slow');
          follower.missed = 0;
        }
      }
    } finally {
      over.removeEventListener('abort', wake);
      this.#followers.delete(follower);
    }
  }

  #take(line: ArchivedLine): void {
    const size = line.message.length;
    if (this.#waiting.length >= MOST_WAITING || this.#waitingCharacters + size > MOST_WAITING_CHARACTERS) {
      this.#dropped.set(line.name, (this.#dropped.get(line.name) ?? 0) + 1);
      return;
    }
    const kept =
      size > LONGEST_MESSAGE ? { ...line, message: `${line.message.slice(0, LONGEST_MESSAGE)}…` } : line;
    this.#waiting.push(kept);
    this.#waitingCharacters += kept.message.length;
    this.#arm();
  }

  /** What was written until now is in the archive when this resolves, or is dropped and told. */
  async #settle(): Promise<void> {
    await this.#writing;
    this.#flush();
    await this.#writing;
  }

  #arm(): void {
    if (!this.#started || this.#timer || this.#waiting.length === 0) return;
    this.#timer = this.#clock.after(FLUSH_MS, () => this.#flush());
  }

  /** One write at a time: while the disk is slow lines wait, up to the bound. */
  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#busy || !this.#started || (this.#waiting.length === 0 && this.#dropped.size === 0)) return;
    const nowMs = this.#clock.now();
    const lines = this.#waiting;
    for (const [name, missing] of this.#dropped) {
      lines.push(droppedLine(name, missing, nowMs, 'for more came than could be stored'));
    }
    this.#waiting = [];
    this.#waitingCharacters = 0;
    this.#dropped = new Map();
    for (const follower of this.#followers) deliver(follower, lines);
    this.#busy = true;
    this.#writing = this.#write(lines).finally(() => {
      this.#busy = false;
      this.#arm();
    });
  }

  async #write(lines: readonly ArchivedLine[]): Promise<void> {
    try {
      await this.#archive.append(lines);
      this.#failing = false;
    } catch (error) {
      if (this.#failing) return;
      this.#failing = true;
      const message = 'Logs cannot be stored; lines are lost until the disk takes them.';
      signal('platform.log', { level: 'warn', room: 'observe', message, error });
    }
  }
}

/** What was written while the archive was read is in both. */
function withoutHeld(found: readonly ArchivedLine[], held: readonly ArchivedLine[]): readonly ArchivedLine[] {
  const keyOf = ({ timeMs, name, message }: ArchivedLine): string => `${timeMs} ${name} ${message}`;
  const twice = new Set(held.map(keyOf));
  return found.filter((line) => !twice.has(keyOf(line)));
}

function deliver(follower: Follower, lines: readonly ArchivedLine[]): void {
  const matches = matcherOf(follower.filter);
  for (const line of lines) {
    if (!matches(line)) continue;
    if (follower.held.length < MOST_HELD_FOR_FOLLOWER) follower.held.push(line);
    else follower.missed++;
  }
  if (follower.held.length > 0) follower.wake();
}

function droppedLine(name: string, dropped: number, timeMs: number, why: string): ArchivedLine {
  const message = `${dropped} log lines of ${name} were dropped, ${why}.`;
  return { timeMs, level: 'warn', source: 'platform', name, message, dropped };
}

function matcherOf({ name, level, text, invocationId, source }: LogFilter): (line: ArchivedLine) => boolean {
  const least = level === undefined ? 0 : LOG_LEVELS.indexOf(level);
  const wanted = text?.toLowerCase();
  return (line) =>
    LOG_LEVELS.indexOf(line.level) >= least &&
    (name === undefined || line.name === name || line.app === name) &&
    (source === undefined || line.source === source) &&
    (invocationId === undefined || line.invocationId === invocationId) &&
    (wanted === undefined || line.message.toLowerCase().includes(wanted));
}
