import { stripVTControlCharacters } from 'node:util';
import { type Command, type CommandCall, textOption } from './command.ts';
import { CommandError, type ExitCode } from './exit.ts';
import type { Terminal } from './terminal.ts';

interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly name: string;
  readonly message: string;
  readonly invocationId?: string;
  readonly attributes?: { readonly [name: string]: unknown };
}

export const command: Command = {
  usage: 'logs [NAME] [--follow] [--since 10m] [--level warn]',
  about:
    'Prints what functions and the platform logged, oldest first: the last 200 lines, or all since a time. NAME is a function, an app, or a room of the platform. With --json each line is one document.',
  options: {
    follow: { type: 'boolean', short: 'f', about: 'go on with lines as they come, until Ctrl-C' },
    since: { type: 'string', value: 'TIME', about: 'so long ago (10m), or a time (2026-01-31T12:00:00Z)' },
    level: { type: 'string', value: 'LEVEL', about: 'debug, info, warn or error, and those above it' },
    text: { type: 'string', value: 'TEXT', about: 'lines whose message holds this' },
    invocation: { type: 'string', value: 'ID', about: 'lines of one invocation' },
    limit: { type: 'string', short: 'n', value: 'N', about: 'the newest so many lines' },
  },
  words: [0, 1],
  examples: [
    ['millrace logs score --since 10m --level warn', 'what went wrong in the last ten minutes'],
    ['millrace logs --follow', 'everything as it happens, after the last 200 lines'],
  ],
  run: (call) => logs(call),
};

async function logs(call: CommandCall): Promise<ExitCode> {
  const follow = call.values['follow'] === true;
  const { terminal, client } = call;
  const { interrupted } = terminal;
  const response = await client.open(pathOf(call, follow), { accept: 'application/x-ndjson' }, interrupted);
  try {
    for await (const lines of linesOf(response.body!)) {
      await terminal.out(lines.map((line) => (call.json ? `${line}\n` : render(line, terminal))).join(''));
    }
  } catch (error) {
    if (interrupted.aborted) return 0;
    throw new CommandError(4, `The connection to the platform broke: ${(error as Error).message}.`);
  }
  if (follow && !interrupted.aborted) throw new CommandError(4, 'The platform stopped.');
  return 0;
}

function pathOf(call: CommandCall, follow: boolean): string {
  const query = new URLSearchParams();
  if (call.words[0] !== undefined) query.set('name', call.words[0].replace(/^function\//, ''));
  for (const name of ['since', 'level', 'text', 'invocation', 'limit']) {
    const value = textOption(call, name);
    if (value !== undefined) query.set(name, value);
  }
  if (follow) {
    query.set('follow', 'true');
    if (!query.has('since') && !query.has('limit')) query.set('limit', '200');
  }
  return `/logs?${query}`;
}

/** Whole lines, as many as came together. */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncIterable<string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    if (lines.length > 0) yield lines;
  }
  if (rest !== '') yield [rest];
}

const COLORS: { readonly [level: string]: number } = { debug: 2, warn: 33, error: 31 };

function render(text: string, { colors, interactive }: Terminal): string {
  const line = JSON.parse(text) as LogLine;
  const details = line.attributes === undefined ? '' : ` ${JSON.stringify(line.attributes)}`;
  // What functions wrote must not move the cursor of the reader's terminal.
  const message = interactive ? printable(line.message + details) : line.message + details;
  const level = line.level.padEnd(5);
  if (!colors) return `${line.time}  ${level}  ${line.name}  ${message}\n`;
  const color = COLORS[line.level];
  const shown = color === undefined ? level : `\u001b[${color}m${level}\u001b[0m`;
  return `\u001b[2m${line.time}\u001b[22m  ${shown}  \u001b[36m${line.name}\u001b[39m  ${message}\n`;
}

function printable(text: string): string {
  return Array.from(stripVTControlCharacters(text), (letter) =>
    letter !== '\n' && letter !== '\t' && /\p{Cc}/u.test(letter) ? '\ufffd' : letter,
  ).join('');
}
