import { type Command, type CommandCall, textOption } from './command.ts';
import type { ExitCode } from './exit.ts';
import { table } from './terminal.ts';

interface Release {
  readonly id: string;
  readonly model: string;
  readonly from: string | null;
  readonly to: string;
  readonly stage: string;
  readonly outcome: string | null;
  readonly created: string;
  readonly decisions: readonly {
    readonly time: string;
    readonly stage: string;
    readonly decision: string;
    readonly reason: string;
    readonly by: string;
  }[];
}

export const command: Command = {
  usage: 'release MODEL [VERSION]',
  about:
    'Releases a version of a model: gates, shadow, canary, watch. Without VERSION it shows how the releases of the model went, or one of them.',
  options: {
    show: { type: 'string', value: 'ID', about: 'every decision of a release, with its reason' },
    promote: {
      type: 'string',
      value: 'ID',
      about: 'give the version all traffic now, whatever the gates say',
    },
    abort: { type: 'string', value: 'ID', about: 'end the release; the version before serves again' },
  },
  words: [1, 2],
  examples: [
    ['millrace release risk 7', 'judge version 7 of the model risk and release it'],
    ['millrace release risk', 'how its releases went'],
  ],
  async run(call): Promise<ExitCode> {
    const { client, json, terminal, words } = call;
    const [model, version] = words;
    const path = `/models/${encodeURIComponent(model!)}/releases`;
    const one = await act(call, path, version);
    if (one) {
      await terminal.out(json ? `${JSON.stringify(one)}\n` : renderRelease(one, terminal.columns));
      return 0;
    }
    const { releases } = await client.get<{ releases: readonly Release[] }>(path);
    if (json) await terminal.out(`${JSON.stringify({ releases })}\n`);
    else if (releases.length === 0) terminal.note(`'${model}' has had no releases yet.`);
    else await terminal.out(table(HEADINGS, releases.map(toRow), terminal.columns));
    return 0;
  },
};

/** What the words and options ask for; undefined: the list. */
async function act(
  call: CommandCall,
  path: string,
  version: string | undefined,
): Promise<Release | undefined> {
  const { client } = call;
  const [show, promote, abort] = ['show', 'promote', 'abort'].map((name) => textOption(call, name));
  const at = (id: string): string => `${path}/${encodeURIComponent(id)}`;
  if (promote !== undefined) return client.send<Release>('POST', `${at(promote)}/promote`);
  if (abort !== undefined) return client.send<Release>('DELETE', at(abort));
  if (show !== undefined) return client.get<Release>(at(show));
  return version === undefined
    ? undefined
    : client.send<Release>('POST', path, {
        type: 'application/json',
        content: JSON.stringify({ version }),
      });
}

const HEADINGS = ['release', 'from', 'to', 'stage', 'outcome', 'begun', 'last decision'];

function toRow({ id, from, to, stage, outcome, created, decisions }: Release): string[] {
  const last = decisions.at(-1);
  return [id, from ?? '-', to, stage, outcome ?? '', created, last ? `${last.decision}: ${last.reason}` : ''];
}

function renderRelease(release: Release, columns: number): string {
  const { id, model, from, to, stage, outcome, decisions } = release;
  const facts = [
    ['release', id],
    ['model', model],
    ['from', from ?? '-'],
    ['to', to],
    ['stage', outcome ?? stage],
  ];
  // Reasons are sentences: a column of a table would cut them off.
  const lines = decisions.map(
    (each) => `${each.time} ${each.stage}: ${each.decision} (${each.by})\n  ${each.reason}\n`,
  );
  return `${table(['release', ''], facts, columns)}\n${lines.join('')}`;
}
