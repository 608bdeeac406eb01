import { ARTIFACT_TYPE, packArtifact } from '../build/index.ts';
import { APP_OPTION, buildApp } from './app-source.ts';
import { type PlannedChange, renderChanges } from './changes.ts';
import type { Command } from './command.ts';
import type { ExitCode } from './exit.ts';

export interface DeploymentAnswer {
  readonly app: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly changed: boolean;
  readonly changes: readonly PlannedChange[];
}

export const command: Command = {
  usage: 'deploy [app.ts]',
  about:
    'Builds an app and makes it run. Work in flight finishes on the version it began on; either all takes effect or nothing.',
  options: APP_OPTION,
  words: [0, 1],
  examples: [
    ['millrace deploy', 'the app in this folder'],
    [
      'millrace deploy intake/app.ts --url https://mill.example:7401 --token $TOKEN',
      'to a platform elsewhere',
    ],
  ],
  async run(call): Promise<ExitCode> {
    const { client, json, terminal } = call;
    const built = await buildApp(call);
    const { app, version } = built.manifest;
    const body = { type: ARTIFACT_TYPE, content: packArtifact(built) };
    const done = await client.send<DeploymentAnswer>('PUT', `/apps/${app}`, body);
    if (json) await terminal.out(`${JSON.stringify(done)}\n`);
    else {
      await terminal.out(renderChanges(done.changes, terminal.colors));
      terminal.note(
        done.changed ? `${app} runs version ${version}.` : `${app} ran version ${version} already.`,
      );
    }
    return 0;
  },
};
