import type { Command, CommandOption } from './command.ts';
import { COMMANDS } from './commands.ts';
import { GLOBAL_OPTIONS } from './global-options.ts';

/** `millrace help`. */
export function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Millrace: a serverless platform for event streams that runs itself.

Usage: millrace COMMAND [--json] [--url URL] [--token TOKEN]

${lines.join('\n')}

  help COMMAND   what a command takes, with examples
  --version      the version

MILLRACE_URL and MILLRACE_TOKEN stand for --url and --token.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 no platform, 5 refused.

Example: echo '{"hello":"world"}' | millrace emit greetings -
`;
}

/** A short way to call it follows on the line; a long one, and each of several, gets lines that a terminal does not cut apart. */
export function usage(command: Command): string {
  const ways = command.usage.split(' | ').map((way) => `millrace ${way}`);
  const line = `Usage: ${ways[0]}`;
  if (ways.length === 1 && line.length < 80) return line;
  // What stands in brackets stays together.
  const joined = (way: string): string =>
    way.replace(/\[[^\]]*\]/g, (part) => part.replaceAll(' ', '\u00a0'));
  const lines = ways.map(
    (way) => `  ${wrap(joined(way), 76).replaceAll('\u00a0', ' ').replaceAll('\n', '\n      ')}`,
  );
  return `Usage:\n${lines.join('\n')}`;
}

/** `millrace help COMMAND`. */
export function commandHelp(command: Command): string {
  const own = Object.entries(command.options);
  const examples = command.examples.map(([line, does]) => `  ${line}\n      ${does}`);
  return `${usage(command)}

${wrap(command.about, 78)}
${own.length === 0 ? '' : `\nOptions:\n${optionLines(own)}`}
Options of every command:
${optionLines(Object.entries(GLOBAL_OPTIONS))}
${examples.length === 1 ? 'Example' : 'Examples'}:
${examples.join('\n')}
`;
}

function optionLines(options: readonly (readonly [string, CommandOption])[]): string {
  const rows = options.map(([name, option]) => [flagText(name, option), option.about] as const);
  const width = Math.min(28, Math.max(...rows.map(([flag]) => flag.length)));
  const indent = ' '.repeat(width + 4);
  return rows
    .map(([flag, about]) => {
      const text = wrap(about, 79 - width - 4).replaceAll('\n', `\n${indent}`);
      return flag.length > width ? `  ${flag}\n${indent}${text}\n` : `  ${flag.padEnd(width)}  ${text}\n`;
    })
    .join('');
}

function flagText(name: string, option: CommandOption): string {
  const value = option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : '';
  return `${option.short ? `-${option.short}, ` : ''}--${name}${value}`;
}

function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
