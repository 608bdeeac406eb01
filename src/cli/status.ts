import type { Command } from './command.ts';
import { table } from './terminal.ts';

interface Status {
  readonly state: string;
  readonly version: string;
  readonly [field: string]: unknown;
}

export const command: Command = {
  usage: 'status',
  about: 'Shows how the platform is: its state, addresses, uptime, memory and how much it holds.',
  options: {},
  words: [0, 0],
  examples: [['millrace status --json', 'the same as one JSON document']],
  async run({ client, json, terminal }) {
    const status = await client.get<Status>('/status');
    if (json) await terminal.out(`${JSON.stringify(status)}\n`);
    else await terminal.out(table(['what', 'is'], Object.entries(status).map(toRow), terminal.columns));
    return 0;
  },
};

function toRow([name, value]: readonly [string, unknown]): [string, string] {
  if (typeof value !== 'object' || value === null) return [name, String(value)];
  const parts = Object.entries(value).map(([key, inner]) => `${key} ${inner ?? 'off'}`);
  return [name, parts.join(', ')];
}
