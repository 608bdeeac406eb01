import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type BuiltApp, createBuilder } from '../build/index.ts';
import { type CommandCall, textOption } from './command.ts';
import { CommandError, wrongUsage } from './exit.ts';

export const APP_OPTION = {
  app: { type: 'string', value: 'NAME', about: "name of the app, instead of its package.json's" },
} as const;

/** The path of an app's module from what was written: a file, a folder with an app.ts, or nothing for this folder. */
export function appModule(word: string | undefined): string {
  const path = resolve(word ?? '.');
  const candidates = /\.[cm]?[jt]s$/.test(path) ? [path] : [join(path, 'app.ts'), join(path, 'app.js')];
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found) return found;
  throw new CommandError(
    3,
    `There is no ${candidates[0]}. Name the app's module, or make one with \`millrace init\`.`,
  );
}

/** Builds the apps that a command names, once. */
export async function buildApps(call: CommandCall): Promise<readonly BuiltApp[]> {
  const modules = (call.words.length === 0 ? [undefined] : call.words).map(appModule);
  const app = textOption(call, 'app');
  if (app !== undefined && modules.length > 1)
    throw wrongUsage('--app names one app; give one module with it.');
  const builder = createBuilder();
  try {
    const built: BuiltApp[] = [];
    for (const module of modules) built.push(await builder.build(module, app === undefined ? {} : { app }));
    return built;
  } finally {
    await builder.close();
  }
}
