import type { Platform } from '../main.ts';
import type { Command, CommandCall, CommandOption } from './command.ts';
import type { ExitCode } from './exit.ts';

/** The flags of the configuration, told here too so that help needs nothing but this file; a test compares them. */
export const CONFIGURATION: { readonly [flag: string]: CommandOption } = {
  data: { type: 'string', value: 'DIR', about: 'folder that holds all data (.millrace)' },
  'edge-host': { type: 'string', value: 'HOST', about: 'address of the edge port, which serves apps' },
  'edge-port': {
    type: 'string',
    value: 'PORT',
    about: 'port that serves apps (7400); 0: a free one, off: closed',
  },
  'api-host': { type: 'string', value: 'HOST', about: 'address of the API port (127.0.0.1)' },
  'api-port': {
    type: 'string',
    value: 'PORT',
    about: "port of the platform's API (7401); 0 or off as above",
  },
  'kafka-host': { type: 'string', value: 'HOST', about: 'address of the Kafka port' },
  'kafka-port': { type: 'string', value: 'PORT', about: 'port that speaks Kafka (9092); 0 or off as above' },
  'kafka-advertised': {
    type: 'string',
    value: 'HOST:PORT',
    about: 'what Kafka clients are told to connect to',
  },
  'tls-certificate': { type: 'string', value: 'FILE', about: 'PEM chain; read again when it changes' },
  'tls-key': { type: 'string', value: 'FILE', about: 'PEM private key' },
  'tls-ends-in-front': { type: 'boolean', about: 'a proxy in front ends TLS' },
  'body-limit': { type: 'string', value: 'SIZE', about: 'largest request body (6mb)' },
  drain: { type: 'string', value: 'TIME', about: 'how long work in flight may take to finish on stop (10s)' },
};

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
  const { createPlatform, loadConfig, onLog } = await import('../main.ts');
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
