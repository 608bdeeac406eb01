import type { ApiClient } from './client.ts';
import type { ExitCode } from './exit.ts';
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
  run(call: CommandCall): Promise<ExitCode>;
}

/** One line of the table of commands; its file is loaded when it is used. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

export interface CommandOption {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** Name of the value in the help: `--key K`. */
  readonly value?: string;
  readonly about: string;
}

export interface CommandCall {
  readonly words: readonly string[];
  readonly values: { readonly [name: string]: string | boolean | undefined };
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly client: ApiClient;
}

/** The text of an option that was given. */
export function textOption(call: CommandCall, name: string): string | undefined {
  const value = call.values[name];
  return typeof value === 'string' ? value : undefined;
}
