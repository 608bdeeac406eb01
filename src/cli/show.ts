import type { Command } from './command.ts';
import { table } from './terminal.ts';

interface Stream {
  readonly name: string;
  readonly key: string | null;
  readonly owner: string | null;
  readonly retentionMs: number | null;
  readonly schemaVersion: number;
  readonly offsets: readonly { partition: number; start: number; end: number }[];
  readonly groups: readonly {
    group: string;
    state: string;
    members: readonly unknown[];
    lag: number;
  }[];
}

export const command: Command = {
  usage: 'show NAME',
  about:
    'Shows one stream in full: its partitions with their offsets, and the groups that read it with their lag.',
  options: {},
  words: [1, 1],
  examples: [['millrace show payments', 'partitions, offsets, groups and lag of the stream payments']],
  async run({ client, json, terminal, words }) {
    const name = words[0]!.replace(/^stream\//, '');
    const stream = await client.get<Stream>(`/streams/${encodeURIComponent(name)}`);
    await terminal.out(json ? `${JSON.stringify(stream)}\n` : render(stream, terminal.columns));
    return 0;
  },
};

function render(stream: Stream, columns: number): string {
  const facts = [
    ['key', stream.key ?? 'given by the publisher'],
    ['owner', stream.owner ?? 'made by hand'],
    ['schema', stream.schemaVersion > 0 ? `version ${stream.schemaVersion}` : 'none'],
    ['kept', stream.retentionMs === null ? 'for ever' : `${stream.retentionMs / 86_400_000} days`],
  ];
  const offsets = stream.offsets.map(({ partition, start, end }) => [
    String(partition),
    String(start),
    String(end),
  ]);
  const groups = stream.groups.map(({ group, state, members, lag }) => [
    group,
    state,
    String(members.length),
    String(lag),
  ]);
  const parts = [
    table(['stream', ''], [['name', stream.name], ...facts], columns),
    table(['partition', 'start', 'end'], offsets, columns),
    ...(groups.length === 0 ? [] : [table(['group', 'state', 'members', 'lag'], groups, columns)]),
  ];
  return parts.join('\n');
}
