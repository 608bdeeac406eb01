import type { Command, CommandCall } from './command.ts';
import { type FunctionSummary, type Kind, kindsOf, readInventory } from './inventory.ts';
import { rateText } from './ls.ts';
import { type ModelDetails, renderModel } from './show-model.ts';
import { type ModelWatchDetails, renderModelWatch } from './show-model-watch.ts';
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

interface App {
  readonly app: string;
  readonly version: string;
  readonly streams: readonly { readonly name: string; readonly partitions?: number }[];
  readonly functions: readonly { readonly name: string; readonly version: string }[];
}

interface Trigger {
  readonly kind: string;
  readonly stream?: string;
  readonly method?: string;
  readonly path?: string;
  readonly everyMs?: number;
  readonly expression?: string;
}

export const command: Command = {
  usage: 'show NAME',
  about:
    'Shows one thing in full, whatever it is: an app, a function, a stream or a model. Names are global; app/NAME, function/NAME, stream/NAME and model/NAME ask for one kind.',
  options: {},
  words: [1, 1],
  examples: [['millrace show payments', 'partitions, offsets, groups and lag of the stream payments']],
  async run(call) {
    const { client, json, terminal, words } = call;
    const inventory = await readInventory(client);
    const name = words[0]!.replace(/^(?:app|function|stream|model)\//, '');
    const texts: string[] = [];
    for (const kind of kindsOf(inventory, words[0]!)) {
      const fn = inventory.functions.find((each) => each.name === name);
      texts.push(await describe(call, kind, name, fn));
    }
    await terminal.out(json ? texts.join('') : texts.join('\n'));
    return 0;
  },
};

async function describe(call: CommandCall, kind: Kind, name: string, fn?: FunctionSummary): Promise<string> {
  const { client, json, terminal } = call;
  const document = await client.get<object>(`/${kind}s/${encodeURIComponent(name)}`);
  if (json) {
    const more = kind === 'function' ? { deadLetters: fn!.deadLetters } : {};
    return `${JSON.stringify({ kind, ...document, ...more })}\n`;
  }
  if (kind === 'app') return renderApp(document as App, terminal.columns);
  if (kind === 'stream') return renderStream(document as Stream, terminal.columns);
  if (kind === 'model') {
    const watch = await client.get<ModelWatchDetails>(`/models/${encodeURIComponent(name)}/watch`);
    const parts = [
      renderModel(document as ModelDetails, terminal.columns),
      ...renderModelWatch(watch, terminal.columns),
    ];
    return parts.join('\n');
  }
  return renderFunction(call, fn!);
}

function renderApp({ app, version, streams, functions }: App, columns: number): string {
  const parts = [
    table(
      ['app', ''],
      [
        ['name', app],
        ['version', version],
      ],
      columns,
    ),
  ];
  const versions = functions.map((fn) => [fn.name, fn.version]);
  if (versions.length > 0) parts.push(table(['function', 'version'], versions, columns));
  if (streams.length > 0)
    parts.push(
      table(
        ['stream'],
        streams.map(({ name }) => [name]),
        columns,
      ),
    );
  return parts.join('\n');
}

async function renderFunction({ client, terminal }: CommandCall, fn: FunctionSummary): Promise<string> {
  const { stats, configuration } = fn;
  const triggers = (configuration.triggers ?? []) as readonly Trigger[];
  const latency = stats.latencyMs;
  const facts = [
    ['name', fn.name],
    ['app', fn.app],
    ['version', fn.version],
    ['triggers', triggers.length === 0 ? 'called by name' : triggers.map(triggerText).join(', ')],
    ['instances', `${fn.instances} (${fn.inFlight} calls in flight, ${fn.queued} waiting)`],
    ['calls', `${rateText(stats.perSecond)} a second, ${rateText(stats.errorRate * 100)} % fail`],
    [
      'latency',
      latency === null
        ? 'not called yet'
        : `p50 ${rateText(latency.p50)} ms, p99 ${rateText(latency.p99)} ms`,
    ],
    ['dead letters', fn.deadLetters === 0 ? 'none' : `${fn.deadLetters} in ${fn.name}.dlq`],
  ];
  const read = triggers.flatMap(({ stream }) => (stream === undefined ? [] : [stream]));
  const lags: string[][] = [];
  for (const name of read) {
    const { groups } = await client.get<Stream>(`/streams/${encodeURIComponent(name)}`);
    const own = groups.find(({ group }) => group === `${fn.app}.${fn.name}`);
    lags.push([name, own?.state ?? '-', own === undefined ? '-' : String(own.lag)]);
  }
  const parts = [table(['function', ''], facts, terminal.columns)];
  if (lags.length > 0) parts.push(table(['reads', 'state', 'lag'], lags, terminal.columns));
  return parts.join('\n');
}

function triggerText({ kind, stream, method, path, everyMs, expression }: Trigger): string {
  if (kind === 'stream') return `stream ${stream}`;
  if (kind === 'http') return `${method} ${path}`;
  return kind === 'every' ? `every ${everyMs! / 1000} s` : `cron ${expression}`;
}

function renderStream(stream: Stream, columns: number): string {
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
