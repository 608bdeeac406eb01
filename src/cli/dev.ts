import { performance } from 'node:perf_hooks';
import { type Builder, type BuiltApp, createBuilder } from '../build/index.ts';
import type { Platform } from '../main.ts';
import { APP_OPTION, appModule } from './app-source.ts';
import { type Command, type CommandCall, textOption } from './command.ts';
import { type ExitCode, wrongUsage } from './exit.ts';
import { createReloader, type Reloader } from './reloader.ts';
import { announce, CONFIGURATION, configurationFlags, watchSignals } from './start.ts';

export const command: Command = {
  usage: 'dev [app.ts …]',
  about:
    'Runs the platform with apps in one process. A save of any of their files takes effect at once; while one does not compile, its last version goes on. Ports that are taken are replaced by free ones.',
  options: { ...APP_OPTION, ...CONFIGURATION },
  words: [0, 50],
  examples: [
    ['millrace dev', 'the app in this folder'],
    ['millrace dev intake/app.ts scoring/app.ts', 'several apps that meet through streams'],
  ],
  run: (call) => dev(call),
};

async function dev(call: CommandCall): Promise<ExitCode> {
  const { terminal } = call;
  const modules = (call.words.length === 0 ? [undefined] : call.words).map(appModule);
  const app = textOption(call, 'app');
  if (app !== undefined && modules.length > 1)
    throw wrongUsage('--app names one app; give one module with it.');
  const signals = watchSignals();
  const { createPlatform, loadConfig, onFunctionLog, onLog } = await import('../main.ts');
  const config = await loadConfig({
    flags: configurationFlags(call),
    env: process.env,
    folder: process.cwd(),
  });
  onLog((line) => terminal.note(line));
  onFunctionLog((line) => terminal.note(line));
  const platform = createPlatform(config, { fallbackPorts: true });
  await platform.start();
  const builder = createBuilder({ repeated: true });
  const apps = modules.map((module) => reloadInto(platform, builder, call, module, app));
  await startAll(apps);
  await announce(call, platform);
  const name = await signals.first;
  terminal.note(`millrace: ${name}; stopping (again to end at once)`);
  for (const { reloader } of apps) await reloader.stop();
  await builder.close();
  await platform.stop();
  return 0;
}

interface DevApp {
  readonly reloader: Reloader;
  /** Whether its last deployment was refused because an app it refers to is not there yet. */
  waits(): boolean;
}

function reloadInto(
  platform: Platform,
  builder: Builder,
  { terminal }: CommandCall,
  module: string,
  app: string | undefined,
): DevApp {
  let waits = false;
  const deliver = async (built: BuiltApp): Promise<void> => {
    const startedMs = performance.now();
    waits = false;
    const { app: name, to, changed } = await platform.delivery.deploy(built, 'dev');
    const tookMs = Math.round(performance.now() - startedMs);
    if (changed) terminal.note(`millrace: ${name} runs version ${to} (deployed in ${tookMs} ms)`);
  };
  const failed = (error: unknown): void => {
    waits = (error as { code?: unknown }).code === 'REFERENCE_MISSING';
    terminal.note(`millrace: ${(error as Error).message}`);
  };
  return { reloader: createReloader({ builder, module, app, deliver, failed }), waits: () => waits };
}

/** Apps that refer to each other come in any order: one that waits for another is tried again after it. */
async function startAll(apps: readonly DevApp[]): Promise<void> {
  for (const { reloader } of apps) await reloader.start();
  for (let waiting = apps.filter((each) => each.waits()); waiting.length > 0; ) {
    for (const { reloader } of waiting) await reloader.again();
    const still = waiting.filter((each) => each.waits());
    if (still.length === waiting.length) return;
    waiting = still;
  }
}
