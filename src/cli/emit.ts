import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { ApiClient } from './client.ts';
import { type Command, type CommandCall, textOption } from './command.ts';
import { CommandError, type ExitCode, wrongUsage } from './exit.ts';

/** What is sent at once at most; a longer line goes alone. */
const BATCH_BYTES = 1024 * 1024;
const LONGEST_LINE_BYTES = 64 * 1024 * 1024;
const ATTEMPTS = 5;

export const command: Command = {
  usage: 'emit STREAM [-] [--data JSON|@FILE|-] [--key K]',
  about:
    'Publishes one record, or with `-` one record per line of standard input, and ends when they are on disk. Without data, standard input is read unless it is a terminal.',
  options: {
    data: {
      type: 'string',
      value: 'JSON|@FILE|-',
      about: 'the record; @FILE reads it from a file, - reads lines',
    },
    key: { type: 'string', value: 'K', about: 'key of the record, or of every line' },
  },
  words: [1, 2],
  examples: [
    [`millrace emit payments --key c1 --data '{"card":"c1","amount":10}'`, 'one record'],
    ['zcat payments.ndjson.gz | millrace emit payments -', 'as many as there are lines'],
  ],
  async run(call) {
    if (call.words[1] !== undefined && call.words[1] !== '-') {
      throw wrongUsage(`'${call.words[1]}' is not -. Give the record with --data.`);
    }
    const data = textOption(call, 'data');
    const lines = data === '-' || call.words[1] === '-' || (data === undefined && !call.terminal.input.isTTY);
    if (lines) return emitLines(call);
    if (data === undefined) throw wrongUsage('emit needs --data, or - to read lines from standard input.');
    return emitOne(call, data);
  },
};

async function emitOne(call: CommandCall, data: string): Promise<ExitCode> {
  const content = data.startsWith('@') ? await readData(data.slice(1)) : data;
  const answer = await call.client.send<{ partition: number; offset: number }>('POST', pathOf(call), {
    type: 'application/json',
    content,
  });
  if (call.json) await call.terminal.out(`${JSON.stringify(answer)}\n`);
  else await call.terminal.out(`partition ${answer.partition} offset ${answer.offset}\n`);
  return 0;
}

async function readData(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(1, `${path} cannot be read: ${(error as Error).message}.`);
  }
}

function pathOf(call: CommandCall): string {
  const key = textOption(call, 'key');
  const query = key === undefined ? '' : `?key=${encodeURIComponent(key)}`;
  return `/streams/${encodeURIComponent(call.words[0]!)}/records${query}`;
}

/** Sends what has come so far as soon as the batch before is through: small batches when little comes, large when much does. */
async function emitLines(call: CommandCall): Promise<ExitCode> {
  const path = pathOf(call);
  let records = 0;
  for await (const batch of batchesOf(call.terminal.input)) {
    try {
      records += await publish(call.client, path, batch);
    } catch (error) {
      if (records > 0) call.terminal.note(`${records} records were published before this:`);
      throw error;
    }
  }
  if (call.json) await call.terminal.out(`${JSON.stringify({ records })}\n`);
  else call.terminal.note(`${records} records published`);
  return 0;
}

async function* batchesOf(input: NodeJS.ReadStream): AsyncIterable<Uint8Array> {
  let pending: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    pending.push(chunk);
    bytes += chunk.length;
    if (bytes < BATCH_BYTES && input.readableLength > 0) continue;
    const whole = Buffer.concat(pending);
    const end = whole.lastIndexOf(0x0a) + 1;
    if (end > 0) yield whole.subarray(0, end);
    const rest = whole.subarray(end);
    if (rest.length > LONGEST_LINE_BYTES)
      throw new CommandError(1, 'A line is longer than 64 MB. Is this NDJSON?');
    pending = rest.length > 0 ? [rest] : [];
    bytes = rest.length;
  }
  if (bytes > 0) yield Buffer.concat(pending);
}

/** Tries again while the platform says that it is busy: nothing was published then. */
async function publish(client: ApiClient, path: string, content: Uint8Array): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      const headers = { prefer: 'return=minimal' };
      const body = { type: 'application/x-ndjson', content, headers };
      return (await client.send<{ records: number }>('POST', path, body)).records;
    } catch (error) {
      const status =
        error instanceof CommandError ? (error.problem as { status?: number })?.status : undefined;
      if (status !== 429 || attempt === ATTEMPTS) throw error;
      await wait(250 * 2 ** attempt);
    }
  }
}
