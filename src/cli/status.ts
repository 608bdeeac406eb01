import type { Command } from './command.ts';
import { type Inventory, readInventory } from './inventory.ts';
import { rateText } from './ls.ts';
import { table } from './terminal.ts';

interface Status {
  readonly state: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

export const command: Command = {
  usage: 'status',
  about:
    'Shows how the platform is: its state, addresses, uptime and memory, what it holds and how much is going on, lag and dead letters.',
  options: {},
  words: [0, 0],
  examples: [['millrace status --json', 'the same as one JSON document']],
  async run({ client, json, terminal }) {
    const [status, inventory] = await Promise.all([client.get<Status>('/status'), readInventory(client)]);
    const whole = { ...status, ...totalsOf(inventory) };
    if (json) await terminal.out(`${JSON.stringify(whole)}\n`);
    else await terminal.out(table(['what', 'is'], Object.entries(whole).map(toRow), terminal.columns));
    return 0;
  },
};

function totalsOf({ apps, functions, streams }: Inventory) {
  const sum = (values: readonly (number | null)[]): number =>
    values.reduce<number>((all, each) => all + (each ?? 0), 0);
  return {
    apps: apps.length,
    functions: functions.length,
    instances: sum(functions.map((fn) => fn.instances)),
    recordsPerSecond: sum(streams.map((stream) => stream.perSecond)),
    callsPerSecond: sum(functions.map((fn) => fn.stats.perSecond)),
    lag: sum(streams.map((stream) => stream.lag)),
    deadLetters: sum(functions.map((fn) => fn.deadLetters)),
  };
}

function toRow([name, value]: readonly [string, unknown]): [string, string] {
  if (typeof value === 'number') return [name, rateText(value)];
  if (typeof value !== 'object' || value === null) return [name, String(value)];
  const parts = Object.entries(value).map(([key, inner]) => `${key} ${inner ?? 'off'}`);
  return [name, parts.join(', ')];
}
