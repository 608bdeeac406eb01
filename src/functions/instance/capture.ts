import type { AsyncLocalStorage } from 'node:async_hooks';
import { format } from 'node:util';
import type { LogLevel } from '../protocol.ts';
import type { Link } from './link.ts';
import { newBudget, TRUNCATED_LINE, withinBudget } from './log-budget.ts';
import type { Running } from './running.ts';

export interface Capture {
  /** Writes a line of the running invocation, or of the instance itself outside any. */
  log(running: Running | undefined, level: LogLevel, message: string, attributes?: unknown): void;
  /** What is written outside invocations gets a new budget with each of them. */
  renew(): void;
}

export function createCapture(link: Link): Capture {
  let background = newBudget();
  return {
    log(running, level, message, attributes) {
      const budget = running?.budget ?? background;
      const details = attributes === undefined ? undefined : attributesText(attributes);
      if (details) budget.bytes -= details.length;
      const line = withinBudget(budget, message);
      if (line === undefined) return;
      const ids = [running?.id ?? 0, running?.invocationId ?? '', running?.traceId ?? ''] as const;
      if (line === 'truncated') link.send(['log', ...ids, 'warn', TRUNCATED_LINE, undefined]);
      else link.send(['log', ...ids, level, line, details]);
    },
    renew() {
      if (background.lines < 1 || background.truncated) background = newBudget();
    },
  };
}

/** Attributes as JSON; what cannot be written as JSON is described instead of lost. */
function attributesText(attributes: unknown): string {
  try {
    return JSON.stringify(attributes) ?? '{}';
  } catch {
    return JSON.stringify({ unserialisable: format('%o', attributes).slice(0, 1000) });
  }
}

const LEVELS = {
  debug: 'debug',
  trace: 'debug',
  log: 'info',
  info: 'info',
  dir: 'info',
  table: 'info',
  warn: 'warn',
  error: 'error',
  assert: 'error',
} as const satisfies Record<string, LogLevel>;

/**
 * Turns the console and the standard streams of this instance into log lines. `current` tells whose they are; its cost is
 * about 0.1 µs an invocation.
 */
export function captureConsole(
  target: Console,
  streams: readonly { readonly stream: NodeJS.WriteStream; readonly level: LogLevel }[],
  capture: Capture,
  current: AsyncLocalStorage<Running>,
): void {
  const write = (level: LogLevel, message: string): void => capture.log(current.getStore(), level, message);
  for (const method of ['debug', 'log', 'info', 'warn', 'error', 'trace'] as const) {
    target[method] = (...parts: unknown[]) => write(LEVELS[method], format(...parts));
  }
  for (const method of ['dir', 'table'] as const) {
    target[method] = (value: unknown) => write(LEVELS[method], format('%O', value));
  }
  target.assert = (condition?: unknown, ...parts: unknown[]) => {
    if (!condition) write('error', `Assertion failed${parts.length > 0 ? `: ${format(...parts)}` : ''}`);
  };
  for (const { stream, level } of streams) {
    stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
      const message = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      write(level, message.endsWith('\n') ? message.slice(0, -1) : message);
      const done = rest.find((argument) => typeof argument === 'function');
      if (done) queueMicrotask(done as () => void);
      return true;
    }) as typeof stream.write;
  }
}
