import { APP_OPTION, buildApps } from './app-source.ts';
import { type PlanAnswer, renderChanges, versionOf } from './changes.ts';
import type { Command } from './command.ts';
import type { ExitCode } from './exit.ts';

export const command: Command = {
  usage: 'plan [app.ts]',
  about:
    'Builds an app and shows how it differs from what runs. Nothing is changed. Exits with 1 when it would be refused.',
  options: APP_OPTION,
  words: [0, 1],
  examples: [
    ['millrace plan', 'the app in this folder'],
    ['millrace plan intake/app.ts --json', 'the differences as JSON'],
  ],
  async run(call): Promise<ExitCode> {
    const { client, json, terminal } = call;
    const [built] = await buildApps(call);
    const { manifest } = built!;
    const body = { type: 'application/json', content: JSON.stringify(manifest) };
    const plan = await client.send<PlanAnswer>('POST', `/apps/${manifest.app}/plan`, body);
    if (json) await terminal.out(`${JSON.stringify(plan)}\n`);
    else {
      const head =
        plan.from === plan.to
          ? 'runs this version already'
          : `${versionOf(plan.from)} → ${versionOf(plan.to)}`;
      await terminal.out(`${plan.app}: ${head}\n${renderChanges(plan.changes, terminal.colors)}`);
    }
    return plan.refused ? 1 : 0;
  },
};
