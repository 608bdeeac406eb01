import type { ApiClient } from './client.ts';
import type { Terminal } from './terminal.ts';

/** What one file per command exports as `command`. */
export interface Command {
  /** After `millrace`: `emit STREAM [-]`. */
  readonly usage: string;
  /** What it does, in a sentence or two. */
  readonly about: string;
  readonly options: { readonly [name: string]: CommandOption };
  /** Positional words it takes: at least and at most. */
  readonly words: readonly [number, number];
  /** Command lines that work, with what they do. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  run(call: CommandCall): Promise<ExitCode> | ExitCode;
}

export interface CommandOption {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** Name of the value in the help: `--key K`. */
  readonly value?: string;
  readonly about: string;
}

export interface CommandCall {
  readonly words: readonly string[];
  readonly values: { readonly [name: string]: string | boolean | readonly string[] | undefined };
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly client: ApiClient;
}

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

/** The text of an option that was given. */
export function textOption(call: CommandCall, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === 'string' ? value : undefined;
}
