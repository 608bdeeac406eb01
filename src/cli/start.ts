import { configurationFields, createPlatform, loadConfig, onLog, type Platform } from '../main.ts';
import type { Command, CommandCall, CommandOption } from './command.ts';
import type { ExitCode } from './exit.ts';

/** The flags of the configuration as options of the command. */
export const CONFIGURATION: { readonly [flag: string]: CommandOption } = Object.fromEntries(
  configurationFields().map(({ flag, field }) => [
    flag,
    {
      type: field.kind === 'boolean' ? 'boolean' : 'string',
      value: field.kind.toUpperCase(),
      about: field.description + (typeof field.default === 'boolean' ? '' : defaultText(field.default)),
    } satisfies CommandOption,
  ]),
);

function defaultText(value: unknown): string {
  return value === null || String(value) === '' ? '' : ` (${value})`;
}

export const command: Command = {
  usage: 'start [--data DIR] [--api-port PORT] …',
  about:
    'Runs the platform until Ctrl-C; apps come by deploy. The first signal drains and stops in order, the second ends at once. With --json the first line on stdout tells the addresses. Each option is a MILLRACE_* variable and a key of millrace.config.ts too.',
  options: CONFIGURATION,
  words: [0, 0],
  examples: [
    ['millrace start', 'on this machine alone, with its data in .millrace'],
    [
      'millrace start --data /var/lib/millrace --api-port 0 --json',
      'on a free port that the first line names',
    ],
  ],
  run: (call) => start(call),
};

async function start(call: CommandCall): Promise<ExitCode> {
  const signals = watchSignals();
  const flags = configurationFlags(call);
  const config = await loadConfig({ flags, env: process.env, folder: process.cwd() });
  onLog((line) => call.terminal.note(line));
  const platform = createPlatform(config);
  await platform.start();
  await announce(call, platform);
  const name = await signals.first;
  call.terminal.note(`millrace: ${name}; stopping (again to end at once)`);
  await platform.stop();
  return 0;
}

/** The flags of a command line that belong to the configuration. */
export function configurationFlags({ values }: CommandCall): { readonly [flag: string]: unknown } {
  return Object.fromEntries(Object.entries(values).filter(([name]) => name in CONFIGURATION));
}

export async function announce({ json, terminal }: CommandCall, { addresses }: Platform): Promise<void> {
  // The process was asked to start before this module was loaded.
  const startedInMs = Math.round(performance.now());
  if (json) {
    await terminal.out(`${JSON.stringify({ ready: true, ...addresses, startedInMs })}\n`);
    return;
  }
  for (const [door, address] of Object.entries(addresses)) {
    if (address !== null) await terminal.out(`${door.padEnd(5)}  ${address}\n`);
  }
  terminal.note(`millrace: ready in ${startedInMs} ms; Ctrl-C stops`);
}

/** Resolves with the first signal; from then on a second one ends the process at once. */
export function watchSignals(): { readonly first: Promise<string> } {
  const first = new Promise<string>((resolve) => {
    let seen = false;
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => {
        if (seen) process.exit(name === 'SIGINT' ? 130 : 143);
        seen = true;
        resolve(name);
      });
    }
  });
  return { first };
}
