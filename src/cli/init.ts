import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import type { Command } from './command.ts';
import { CommandError, type ExitCode } from './exit.ts';
import { APP_SOURCE, packageSource, TEST_SOURCE, TSCONFIG_SOURCE } from './init-files.ts';

export const command: Command = {
  usage: 'init [dir]',
  about:
    'Makes a new app that runs: app.ts, package.json, tsconfig.json and a test. Files that exist are never overwritten.',
  options: {},
  words: [0, 1],
  examples: [
    ['millrace init', 'in this folder'],
    ['millrace init payments', 'in a new folder'],
  ],
  async run({ json, terminal, words: [word] }): Promise<ExitCode> {
    const folder = resolve(word ?? '.');
    const files = filesFor(folder);
    const taken = Object.keys(files).filter(
      (name) => name !== 'package.json' && existsSync(join(folder, name)),
    );
    if (taken.length > 0) {
      throw new CommandError(
        1,
        `${folder} has ${taken.join(' and ')} already. Name another folder: millrace init DIR.`,
      );
    }
    await mkdir(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    if (json) await terminal.out(`${JSON.stringify({ folder, files: Object.keys(files) })}\n`);
    else terminal.note(nextSteps(folder, Object.keys(files)));
    return 0;
  },
};

/** An existing package.json stays as it is, but for what the app needs and it lacks. */
function filesFor(folder: string): { readonly [name: string]: string } {
  const path = join(folder, 'package.json');
  const name =
    basename(folder)
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[^a-z0-9]+/, '') || 'app';
  return {
    'app.ts': APP_SOURCE,
    'app.test.ts': TEST_SOURCE,
    'tsconfig.json': TSCONFIG_SOURCE,
    'package.json': packageSource(name, ownVersion(), existsSync(path) ? readPackage(path) : {}),
  };
}

function readPackage(path: string): object {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as object;
  } catch (error) {
    throw new CommandError(1, `${path} is not valid JSON: ${(error as Error).message}. Mend it first.`);
  }
}

function ownVersion(): string {
  const candidates = ['../../package.json', '../package.json'].map((path) => new URL(path, import.meta.url));
  const found = candidates.find((url) => existsSync(url))!;
  return (JSON.parse(readFileSync(found, 'utf8')) as { version: string }).version;
}

function nextSteps(folder: string, files: readonly string[]): string {
  const here = relative(process.cwd(), folder);
  const enter = here === '' ? '' : `  cd ${here}\n`;
  const install = existsSync(join(folder, 'node_modules', 'millrace')) ? '' : '  npm install\n';
  return `Made ${files.join(', ')}.

Next:
${enter}${install}  npx millrace dev                                        run it; saved changes take effect at once
  curl -d '{"name":"Ada"}' http://127.0.0.1:7400/greetings   in another terminal
  npm test`;
}
