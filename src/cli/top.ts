import { type Command, type CommandCall, textOption } from './command.ts';
import { CommandError, type ExitCode, wrongUsage } from './exit.ts';
import type { Overview } from './overview.ts';
import type { Terminal } from './terminal.ts';
import { renderTop } from './top-screen.ts';

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[H';
const LEAVE = '\u001b[?25h\u001b[?1049l';
/** q, Q, Ctrl-C, Ctrl-D. */
const LEAVING = [0x71, 0x51, 0x03, 0x04];
const TO_LINE_END = '\u001b[K';
const TO_SCREEN_END = '\u001b[J';

export const command: Command = {
  usage: 'top [--follow] [--every 2s]',
  about:
    'Shows what happens now, the busiest first: streams with rates and lag, functions with rates, latencies, errors, instances and throttled calls. On a terminal it is redrawn until q or Ctrl-C; otherwise, and with --json, it prints once, or again and again with --follow.',
  options: {
    follow: {
      type: 'boolean',
      short: 'f',
      about: 'without a terminal: again and again, one JSON document a line',
    },
    every: { type: 'string', value: 'TIME', about: 'between two looks: 500ms to 60s (2s)' },
    all: { type: 'boolean', short: 'a', about: "the platform's own streams too" },
  },
  words: [0, 0],
  examples: [
    ['millrace top', 'a live view; q leaves it'],
    ['millrace top --json | jq .functions', 'once, for a program'],
  ],
  run: (call) => top(call),
};

async function top(call: CommandCall): Promise<ExitCode> {
  const { terminal } = call;
  const everyMs = everyOf(textOption(call, 'every') ?? '2s');
  const path = call.values['all'] === true ? '/overview?internal=true' : '/overview';
  const look = (): Promise<Overview> => call.client.get<Overview>(path);
  if (terminal.interactive && !call.json) return live(terminal, look, everyMs);
  const follows = call.values['follow'] === true;
  do {
    const overview = await look();
    const text = call.json || follows ? JSON.stringify(overview) : renderTop(overview, 80, 10_000).join('\n');
    await terminal.out(`${text}\n`);
  } while (follows && (await pause(everyMs, terminal.interrupted)));
  return 0;
}

function everyOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(text);
  const everyMs = match ? Number(match[1]) * (match[2] === 's' ? 1000 : 1) : Number.NaN;
  if (everyMs >= 500 && everyMs <= 60_000) return everyMs;
  throw wrongUsage(`--every ${text} is not possible. Give 500ms to 60s.`);
}

/** Whether it was waited for without being interrupted. */
function pause(delayMs: number, over: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (over.aborted) return resolve(false);
    const end = (): void => {
      clearTimeout(timer);
      over.removeEventListener('abort', end);
      resolve(!over.aborted);
    };
    const timer = setTimeout(end, delayMs);
    over.addEventListener('abort', end);
  });
}

/** Redraws in place on the terminal's other screen, so that the reader's own comes back as it was. */
async function live(terminal: Terminal, look: () => Promise<Overview>, everyMs: number): Promise<ExitCode> {
  let last = await look();
  let lost = '';
  const leaving = new AbortController();
  const restore = watchKeys(terminal, () => leaving.abort());
  const over = AbortSignal.any([leaving.signal, terminal.interrupted]);
  const draw = (): void => void terminal.out(frame(last, lost));
  process.stdout.on('resize', draw);
  try {
    await terminal.out(ENTER);
    do {
      draw();
      if (!(await pause(everyMs, over))) break;
      try {
        last = await look();
        lost = '';
      } catch (error) {
        if (!(error instanceof CommandError) || error.exitCode !== 4) throw error;
        lost = 'The platform does not answer; these are the last numbers. q leaves.';
      }
    } while (!over.aborted);
    return 0;
  } finally {
    process.stdout.off('resize', draw);
    restore();
    await terminal.out(LEAVE);
  }
}

function frame(overview: Overview, lost: string): string {
  const { columns, rows } = process.stdout;
  const lines = renderTop(overview, columns, rows - (lost === '' ? 0 : 1));
  if (lost !== '') lines.push(lost.slice(0, columns));
  return `\u001b[H${lines.map((line) => line + TO_LINE_END).join('\r\n')}${TO_SCREEN_END}`;
}

/** Raw keys, for `q` needs no Enter; Ctrl-C then comes as a key too. Returns what gives the terminal back. */
function watchKeys({ input }: Terminal, leave: () => void): () => void {
  if (!input.isTTY) return () => undefined;
  const onKey = (keys: Buffer): void => {
    if (LEAVING.some((key) => keys.includes(key))) leave();
  };
  input.setRawMode(true);
  input.on('data', onKey);
  return () => {
    input.off('data', onKey);
    input.setRawMode(false);
    input.pause();
  };
}
