import type { Command } from './command.ts';
import type { ExitCode } from './exit.ts';
import { table } from './terminal.ts';

interface VersionsAnswer {
  readonly app: string;
  readonly versions: readonly {
    readonly version: string | null;
    readonly action: string;
    readonly time: string;
    readonly by: string;
    readonly active: boolean;
  }[];
}

export const command: Command = {
  usage: 'versions [APP]',
  about: 'What was deployed, newest first; without APP, of every app.',
  options: {},
  words: [0, 1],
  examples: [['millrace versions payments', 'the history of one app']],
  async run({ client, json, terminal, words: [name] }): Promise<ExitCode> {
    const listed =
      name === undefined ? await client.get<{ apps: readonly { app: string }[] }>('/apps') : undefined;
    const names = listed?.apps.map((each) => each.app) ?? [name!];
    const answers: VersionsAnswer[] = [];
    for (const app of names) answers.push(await client.get(`/apps/${encodeURIComponent(app)}/versions`));
    if (json) await terminal.out(`${JSON.stringify(name === undefined ? { apps: answers } : answers[0])}\n`);
    else if (answers.length === 0) terminal.note('There are no apps yet. Deploy one with `millrace deploy`.');
    else await terminal.out(table(HEADINGS, answers.flatMap(toRows), terminal.columns));
    return 0;
  },
};

const HEADINGS = ['app', 'version', 'active', 'action', 'time', 'by'];

function toRows({ app, versions }: VersionsAnswer): string[][] {
  return versions.map(({ version, active, action, time, by }) => [
    app,
    version ?? '-',
    active ? 'yes' : '',
    action,
    time,
    by,
  ]);
}
