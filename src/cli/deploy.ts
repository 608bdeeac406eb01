import { ARTIFACT_TYPE, ARTIFACTS_TYPE, type BuiltApp, packArtifact, packArtifacts } from '../build/index.ts';
import { APP_OPTION, buildApps } from './app-source.ts';
import { type PlannedChange, renderChanges } from './changes.ts';
import type { ApiClient } from './client.ts';
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
  usage: 'deploy [app.ts …]',
  about:
    'Builds an app and makes it run. Work in flight finishes on the version it began on; either all takes effect or nothing.',
  options: APP_OPTION,
  words: [0, 50],
  examples: [
    ['millrace deploy', 'the app in this folder'],
    ['millrace deploy intake scoring cases', 'apps that refer to each other, all or none'],
    [
      'millrace deploy intake/app.ts --url https://mill.example:7401 --token $TOKEN',
      'to a platform elsewhere',
    ],
  ],
  async run(call): Promise<ExitCode> {
    const { client, json, terminal } = call;
    const done = await send(client, await buildApps(call));
    if (json) await terminal.out(`${JSON.stringify(done.length === 1 ? done[0] : { deployments: done })}\n`);
    else {
      for (const { app, to, changed, changes } of done) {
        await terminal.out(renderChanges(changes, terminal.colors));
        terminal.note(changed ? `${app} runs version ${to}.` : `${app} ran version ${to} already.`);
      }
    }
    return 0;
  },
};

async function send(client: ApiClient, built: readonly BuiltApp[]): Promise<readonly DeploymentAnswer[]> {
  const [only] = built;
  if (built.length === 1) {
    const body = { type: ARTIFACT_TYPE, content: packArtifact(only!) };
    return [await client.send<DeploymentAnswer>('PUT', `/apps/${only!.manifest.app}`, body)];
  }
  const body = { type: ARTIFACTS_TYPE, content: packArtifacts(built) };
  const answer = await client.send<{ deployments: readonly DeploymentAnswer[] }>('POST', '/apps', body);
  return answer.deployments;
}
