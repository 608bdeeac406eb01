import { readFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import { type Command, type CommandCall, textOption } from './command.ts';
import { CommandError, type ExitCode } from './exit.ts';

export const command: Command = {
  usage: 'invoke FUNCTION [--data JSON|@FILE|-] [--async]',
  about:
    'Calls a function by name and prints what it returns. With --async prints the id of the stored invocation.',
  options: {
    data: { type: 'string', value: 'JSON|@FILE|-', about: 'the input; @FILE reads a file, - standard input' },
    async: { type: 'boolean', about: 'do not wait: the platform runs it, and keeps its result' },
    key: { type: 'string', value: 'K', about: 'idempotency key: the same call with the same key runs once' },
  },
  words: [1, 1],
  examples: [
    [`millrace invoke greet --data '{"name":"Ada"}'`, 'the result as JSON'],
    ['millrace invoke report --async', 'an id for GET /invocations/{id}'],
  ],
  async run(call) {
    const key = textOption(call, 'key');
    const headers: Record<string, string> = {
      ...(call.values.async === true ? { prefer: 'respond-async' } : {}),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    };
    const path = `/functions/${encodeURIComponent(call.words[0]!)}`;
    const content = (await inputOf(call)) ?? '';
    const answer = await call.client.send<unknown>('POST', path, {
      type: 'application/json',
      content,
      headers,
    });
    return print(call, answer);
  },
};

async function inputOf(call: CommandCall): Promise<string | Uint8Array | undefined> {
  const data = textOption(call, 'data');
  if (data === '-') return readText(call.terminal.input);
  if (!data?.startsWith('@')) return data;
  try {
    return await readFile(data.slice(1));
  } catch (error) {
    throw new CommandError(1, `${data.slice(1)} cannot be read: ${(error as Error).message}.`);
  }
}

async function print(call: CommandCall, answer: unknown): Promise<ExitCode> {
  const id = call.values.async === true && !call.json ? (answer as { id: string }).id : undefined;
  if (id !== undefined) await call.terminal.out(`${id}\n`);
  else if (answer !== undefined || call.json) await call.terminal.out(`${JSON.stringify(answer ?? null)}\n`);
  return 0;
}
