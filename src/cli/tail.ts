import { setTimeout as wait } from 'node:timers/promises';
import { type Command, type CommandCall, textOption } from './command.ts';
import { eventsOf } from './events.ts';
import { CommandError, type ExitCode, wrongUsage } from './exit.ts';
import { cut, type Terminal } from './terminal.ts';

/** How long a platform that went away is looked for. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 500;

export const command: Command = {
  usage: 'tail STREAM [--from start|end|OFFSET|TIME] [--group G] [--limit N]',
  about:
    'Prints the records of a stream as they come, until Ctrl-C. When the connection breaks it goes on where it was. With --json each record is one line of JSON.',
  options: {
    from: {
      type: 'string',
      value: 'WHERE',
      about: 'start, end, an offset, a time (2026-01-31T12:00:00Z) or so long ago (10m); end unless told',
    },
    partition: { type: 'string', value: 'N', about: 'this partition alone' },
    group: {
      type: 'string',
      value: 'G',
      about: 'as a member of this consumer group, which remembers where it was',
    },
    limit: { type: 'string', short: 'n', value: 'N', about: 'end after so many records' },
  },
  words: [1, 1],
  examples: [
    ['millrace tail alerts', 'alerts as they are raised'],
    ['millrace tail payments --from 10m --json | jq .value.amount', 'the last ten minutes, and on'],
  ],
  run: (call) => tail(call),
};

interface Progress {
  printed: number;
  lastEventId: string | undefined;
}

async function tail(call: CommandCall): Promise<ExitCode> {
  const limit = limitOf(textOption(call, 'limit'));
  const { interrupted } = call.terminal;
  const progress: Progress = { printed: 0, lastEventId: undefined };
  let lostAt: number | undefined;
  while (!interrupted.aborted && progress.printed < limit) {
    try {
      await followOnce(call, progress, limit, () => {
        lostAt = undefined;
      });
      if (progress.printed < limit && !interrupted.aborted)
        throw new CommandError(4, 'The platform stopped.');
    } catch (error) {
      if (interrupted.aborted) break;
      // Before the first connection every failure ends the command; after it only those that time does not mend.
      const isLost = error instanceof CommandError ? error.exitCode === 4 : error instanceof TypeError;
      if (progress.lastEventId === undefined || !isLost) throw error;
      if (lostAt === undefined)
        call.terminal.note('millrace: the connection is lost; waiting for the platform …');
      lostAt ??= performance.now();
      if (performance.now() - lostAt > PATIENCE_MS) throw error;
      await wait(RETRY_MS);
    }
  }
  return 0;
}

function limitOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw wrongUsage(`--limit ${text} is not a number of records.`);
}

async function followOnce(
  call: CommandCall,
  progress: Progress,
  limit: number,
  onConnected: () => void,
): Promise<void> {
  const over = new AbortController();
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (progress.lastEventId !== undefined) headers['last-event-id'] = progress.lastEventId;
  const signal = AbortSignal.any([over.signal, call.terminal.interrupted]);
  const response = await call.client.open(pathOf(call), headers, signal);
  onConnected();
  progress.lastEventId ??= '';
  try {
    for await (const event of eventsOf(response.body!)) {
      if (event.id !== undefined) progress.lastEventId = event.id;
      if (event.data === undefined) continue;
      if (event.type === 'error')
        throw new CommandError(1, (JSON.parse(event.data) as { detail: string }).detail);
      await call.terminal.out(call.json ? `${event.data}\n` : recordLine(event.data, call.terminal));
      if (++progress.printed >= limit) return;
    }
  } finally {
    over.abort();
  }
}

function pathOf(call: CommandCall): string {
  const query = new URLSearchParams();
  for (const name of ['from', 'partition', 'group']) {
    const value = textOption(call, name);
    if (value !== undefined) query.set(name, value);
  }
  return `/streams/${encodeURIComponent(call.words[0]!)}/records?${query}`;
}

interface RecordEvent {
  readonly partition: number;
  readonly offset: number;
  readonly time: string;
  readonly key: string | null;
  readonly keyBase64?: string;
  readonly valueBase64?: string;
}

/** `2026-01-31T12:00:00.000Z  0:17  c1  {"card":"c1"}`; the value as it was published. */
function recordLine(data: string, terminal: Terminal): string {
  const record = JSON.parse(data) as RecordEvent;
  // The value is the last member and is spliced in as it was published: long numbers stay whole.
  const value =
    record.valueBase64 ?? data.slice(data.indexOf(',"value":', data.indexOf('"headers":')) + 9, -1);
  const place = `${record.partition}:${record.offset}`;
  const key = record.key ?? record.keyBase64 ?? '-';
  const head = `${record.time}  ${place}  ${key}`;
  const line = `${head}  ${value}`;
  if (!terminal.interactive) return `${line}\n`;
  const short = cut(line, terminal.columns);
  if (!terminal.colors || short.length <= head.length) return `${short}\n`;
  return `\u001b[2m${record.time}  ${place}\u001b[22m  \u001b[36m${key}\u001b[39m${short.slice(head.length)}\n`;
}
