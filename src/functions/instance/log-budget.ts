import { LOG_LIMITS } from '../protocol.ts';

/** What an invocation may still write to the log. */
export interface LogBudget {
  lines: number;
  bytes: number;
  truncated: boolean;
}

export function newBudget(): LogBudget {
  return { lines: LOG_LIMITS.lines, bytes: LOG_LIMITS.bytes, truncated: false };
}

/** The line as it may be written, `truncated` for the one that says that no more follow, undefined after that. */
export function withinBudget(budget: LogBudget, message: string): string | 'truncated' | undefined {
  if (budget.truncated) return undefined;
  const line =
    message.length > LOG_LIMITS.lineBytes ? `${message.slice(0, LOG_LIMITS.lineBytes)}… (line cut)` : message;
  budget.lines--;
  budget.bytes -= line.length;
  if (budget.lines >= 0 && budget.bytes >= 0) return line;
  budget.truncated = true;
  return 'truncated';
}

export const TRUNCATED_LINE = `Output truncated: an invocation may write ${LOG_LIMITS.lines} lines and ${LOG_LIMITS.bytes} bytes.`;
