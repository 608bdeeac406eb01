import { renderChanges, versionOf } from './changes.ts';
import type { Command } from './command.ts';
import type { DeploymentAnswer } from './deploy.ts';
import type { ExitCode } from './exit.ts';

export const command: Command = {
  usage: 'rollback APP [version]',
  about: 'Makes the version before run again, or the one that is named.',
  options: {},
  words: [1, 2],
  examples: [
    ['millrace rollback payments', 'to the version before'],
    ['millrace rollback payments 1cec1189f0b58eab', 'to a version that `millrace versions` lists'],
  ],
  async run({ client, json, terminal, words: [app, version] }): Promise<ExitCode> {
    const body = {
      type: 'application/json',
      content: JSON.stringify(version === undefined ? {} : { version }),
    };
    const path = `/apps/${encodeURIComponent(app!)}/rollback`;
    const done = await client.send<DeploymentAnswer>('POST', path, body);
    if (json) await terminal.out(`${JSON.stringify(done)}\n`);
    else {
      await terminal.out(renderChanges(done.changes, terminal.colors));
      terminal.note(`${done.app} runs version ${versionOf(done.to)}${done.changed ? '' : ' already'}.`);
    }
    return 0;
  },
};
