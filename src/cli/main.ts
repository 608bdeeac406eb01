import { parseArgs } from 'node:util';
import { platformUrl } from './address.ts';
import { createClient } from './client.ts';
import type { Command, CommandCall } from './command.ts';
import { COMMANDS } from './commands.ts';
import { CommandError, type ExitCode, wrongUsage } from './exit.ts';
import { GLOBAL_OPTIONS } from './global-options.ts';
import { commandHelp, overview, usage } from './help.ts';
import { nearestName } from './nearest.ts';
import { processTerminal, type Terminal } from './terminal.ts';

/** Runs one command line and sets the exit code of the process. */
export async function main(words: readonly string[]): Promise<void> {
  const terminal = processTerminal();
  try {
    process.exitCode = await dispatch(words, terminal);
  } catch (error) {
    process.exitCode = report(error, terminal, words.includes('--json'));
  }
}

async function dispatch(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const name = at < 0 ? undefined : words[at]!;
  if (name === undefined || name === 'help') return showHelp(words, at, terminal);
  const command = await findCommand(name);
  const { values, positionals } = parse(command, [...words.slice(0, at), ...words.slice(at + 1)], name);
  if (values.help) {
    await terminal.out(commandHelp(command));
    return 0;
  }
  checkWords(command, positionals, name);
  const token = (values.token as string | undefined) ?? process.env.MILLRACE_TOKEN;
  const client = createClient(platformUrl(command, values), token);
  return await command.run({ words: positionals, values, json: values.json === true, terminal, client });
}

async function showHelp(words: readonly string[], at: number, terminal: Terminal): Promise<ExitCode> {
  const about = at < 0 ? undefined : words.slice(at + 1).find((word) => !word.startsWith('-'));
  if (about !== undefined) {
    await terminal.out(commandHelp(await findCommand(about)));
    return 0;
  }
  const unknown = words.find((word) => word.startsWith('-') && !['-h', '--help'].includes(word));
  if (unknown !== undefined)
    throw wrongUsage(`There is no option ${unknown} without a command. See millrace help.`);
  if (words.length > 0) {
    await terminal.out(overview());
    return 0;
  }
  terminal.note(overview());
  return 2;
}

async function findCommand(name: string): Promise<Command> {
  const entry = COMMANDS.find((each) => each.name === name);
  if (entry) return (await entry.load()).command;
  const near = nearestName(
    name,
    COMMANDS.map((each) => each.name),
  );
  throw wrongUsage(`There is no command ${name}. ${near ? `Did you mean ${near}?` : 'See `millrace help`.'}`);
}

function parse(
  command: Command,
  args: readonly string[],
  name: string,
): { positionals: string[]; values: CommandCall['values'] } {
  const options = { ...GLOBAL_OPTIONS, ...command.options };
  const known = Object.fromEntries(
    Object.entries(options).map(([key, { type, short }]) => [key, { type, ...(short ? { short } : {}) }]),
  );
  try {
    const parsed = parseArgs({
      args: [...args],
      options: known,
      allowPositionals: true,
      allowNegative: true,
    });
    return { positionals: parsed.positionals, values: parsed.values as CommandCall['values'] };
  } catch (error) {
    throw wrongUsage(explain(error as NodeJS.ErrnoException, Object.keys(options), name));
  }
}

function explain(error: NodeJS.ErrnoException, known: readonly string[], name: string): string {
  const flag = /'(?:-\w, )?(--?[\w-]+)/.exec(error.message)?.[1] ?? '';
  if (error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `${error.message.split('\n')[0]}`;
  const near = nearestName(flag.replace(/^-+/, ''), known);
  return `${name} has no option ${flag}. ${near ? `Did you mean --${near}?` : `See \`millrace help ${name}\`.`}`;
}

function checkWords(command: Command, words: readonly string[], name: string): void {
  const [least, most] = command.words;
  if (words.length >= least && words.length <= most) return;
  const what = words.length < least ? 'needs more' : `does not know what to do with '${words[most]}'`;
  throw wrongUsage(`${name} ${what}. ${usage(command)}`);
}

interface Known {
  readonly message: string;
  readonly code?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

/** One clear line for people, or the problem as JSON; both on stderr, for stdout holds data alone. */
function report(error: unknown, terminal: Terminal, json: boolean): ExitCode {
  const { message, code, errors = [] } = error as Known;
  const isExpected = error instanceof CommandError || (error as Error)?.name === 'MillraceError';
  const exitCode = error instanceof CommandError ? error.exitCode : code === 'NOT_FOUND' ? 3 : 1;
  if (json) {
    const problem = error instanceof CommandError ? error.problem : undefined;
    const known = {
      detail: message,
      ...(code === undefined ? {} : { code }),
      ...(errors[0] ? { errors } : {}),
    };
    terminal.note(JSON.stringify(problem ?? known));
  } else {
    terminal.note(`millrace: ${message}`);
    // One problem is usually in the sentence already.
    const told = errors.filter((each) => !message.includes(each.message));
    for (const each of told.slice(0, 20)) terminal.note(`  ${each.path || '/'}: ${each.message}`);
  }
  if (!isExpected && error instanceof Error) terminal.note(error.stack ?? '');
  return exitCode;
}
