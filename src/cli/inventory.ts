import type { ApiClient } from './client.ts';
import { CommandError } from './exit.ts';
import { nearestName } from './nearest.ts';
import type { Overview } from './overview.ts';

export interface AppSummary {
  readonly app: string;
  readonly version: string;
  readonly streams: number;
  readonly functions: number;
}

export interface StreamSummary {
  readonly name: string;
  readonly partitions: number;
  readonly records: number;
  readonly owner: string | null;
  readonly internal: boolean;
  readonly detached: boolean;
  /** Of the last 10 to 20 s; null for a stream that is not among the busiest when there are very many. */
  readonly perSecond: number | null;
  /** Records that the groups which read it have not read yet, together. */
  readonly lag: number | null;
}

export interface FunctionSummary {
  readonly name: string;
  readonly app: string;
  readonly version: string;
  readonly instances: number;
  readonly starting: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly stats: {
    readonly perSecond: number;
    readonly errorRate: number;
    readonly latencyMs: { readonly p50: number; readonly p99: number } | null;
  };
  readonly configuration: { readonly [field: string]: unknown };
  /** Records in its dead-letter stream. */
  readonly deadLetters: number;
}

export interface ModelSummary {
  readonly name: string;
  readonly owner: string | null;
  readonly description: string;
  readonly tags: { readonly [name: string]: string };
  readonly aliases: { readonly [alias: string]: string };
  /** How many versions there have been. */
  readonly latest: number;
}

/** Everything that runs, of every kind. */
export interface Inventory {
  readonly apps: readonly AppSummary[];
  readonly functions: readonly FunctionSummary[];
  readonly streams: readonly StreamSummary[];
  readonly models: readonly ModelSummary[];
}

export async function readInventory(client: ApiClient): Promise<Inventory> {
  const [{ apps }, { functions }, { streams }, { models }, overview] = await Promise.all([
    client.get<{ apps: readonly AppSummary[] }>('/apps'),
    client.get<{ functions: readonly FunctionSummary[] }>('/functions'),
    client.get<{ streams: readonly StreamSummary[] }>('/streams?internal=true'),
    client.get<{ models: readonly ModelSummary[] }>('/models'),
    client.get<Overview>('/overview?internal=true'),
  ]);
  const now = new Map(overview.streams.map((each) => [each.name, each]));
  const held = new Map(streams.map(({ name, records }) => [name, records]));
  return {
    apps,
    models,
    functions: functions.map((fn) => ({ ...fn, deadLetters: held.get(`${fn.name}.dlq`) ?? 0 })),
    streams: streams.map((stream) => {
      const live = now.get(stream.name);
      return { ...stream, perSecond: live?.perSecond ?? null, lag: live?.lag ?? null };
    }),
  };
}

export type Kind = 'app' | 'function' | 'stream' | 'model';

/** The kinds of things that bear the name; `stream/a` asks for that kind alone. Throws with exit code 3 when there are none. */
export function kindsOf(inventory: Inventory, word: string): readonly Kind[] {
  const [, wanted, name] = /^(?:(app|function|stream|model)\/)?(.*)$/.exec(word)!;
  const names: Readonly<Record<Kind, readonly string[]>> = {
    app: inventory.apps.map(({ app }) => app),
    function: inventory.functions.map((fn) => fn.name),
    stream: inventory.streams.map((stream) => stream.name),
    model: inventory.models.map((model) => model.name),
  };
  const asked = (wanted === undefined ? Object.keys(names) : [wanted]) as Kind[];
  const found = asked.filter((kind) => names[kind].includes(name!));
  if (found.length > 0) return found;
  const near = nearestName(
    name!,
    asked.flatMap((kind) => names[kind]),
  );
  const hint = near === undefined ? '`millrace ls` lists what there is.' : `Did you mean ${near}?`;
  throw new CommandError(
    3,
    `There is no ${wanted ?? 'app, function, stream or model'} named ${name}. ${hint}`,
  );
}
