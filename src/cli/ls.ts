import type { Command } from './command.ts';
import { table } from './terminal.ts';

interface StreamSummary {
  readonly name: string;
  readonly partitions: number;
  readonly records: number;
  readonly owner: string | null;
  readonly detached: boolean;
}

export const command: Command = {
  usage: 'ls [--all]',
  about: 'Lists the streams of the platform.',
  options: { all: { type: 'boolean', short: 'a', about: "the platform's own streams too" } },
  words: [0, 0],
  examples: [['millrace ls', 'every stream with its partitions and records']],
  async run({ client, json, terminal, values }) {
    const path = values.all === true ? '/streams?internal=true' : '/streams';
    const answer = await client.get<{ streams: readonly StreamSummary[] }>(path);
    if (json) await terminal.out(`${JSON.stringify(answer)}\n`);
    else if (answer.streams.length === 0) {
      terminal.note(
        'There are no streams yet. Make one: curl -d \'{"name":"a"}\' …/streams, or deploy an app.',
      );
    } else {
      const headings = ['stream', 'partitions', 'records', 'owner'];
      await terminal.out(table(headings, answer.streams.map(toRow), terminal.columns));
    }
    return 0;
  },
};

function toRow({ name, partitions, records, owner, detached }: StreamSummary): string[] {
  return [name, String(partitions), String(records), detached ? `${owner} (detached)` : (owner ?? '-')];
}
