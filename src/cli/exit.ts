/** 0 done, 1 it failed, 2 wrong usage, 3 not found, 4 no platform answers, 5 refused. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5;

/** Ends a command with a line on stderr and an exit code. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  /** The problem that the platform answered with, if it was that. */
  readonly problem: object | undefined;

  constructor(exitCode: ExitCode, message: string, problem?: object) {
    super(message);
    this.exitCode = exitCode;
    this.problem = problem;
  }
}

export function wrongUsage(message: string): CommandError {
  return new CommandError(2, message);
}
