import { performance } from 'node:perf_hooks';
import { type BuiltApp, createBuilder } from '../build/index.ts';
import type { Platform } from '../main.ts';
import { APP_OPTION, appModule } from './app-source.ts';
import { type Command, type CommandCall, textOption } from './command.ts';
import { type ExitCode, wrongUsage } from './exit.ts';
import { createReloader, type Reloader } from './reloader.ts';
import { announce, CONFIGURATION, configurationFlags, watchSignals } from './start.ts';
import type { Terminal } from './terminal.ts';

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
  const builder = createBuilder({ repeated: true });
  const pending = createPending(terminal);
  const reloaders = modules.map((module) => {
    const failed = (error: unknown): void => terminal.note(`millrace: ${(error as Error).message}`);
    const deliver = (built: BuiltApp): Promise<void> => pending.deliver(module, built);
    return createReloader({ builder, module, app, deliver, failed });
  });
  try {
    // The apps are built while the platform starts.
    const building = startInTurn(reloaders);
    const platform = await startPlatform(call);
    await building;
    await pending.open(platform);
    await announce(call, platform);
    terminal.note(`millrace: ${await signals.first}; stopping (again to end at once)`);
    await Promise.all(reloaders.map((reloader) => reloader.stop()));
    await platform.stop();
    return 0;
  } finally {
    await Promise.all(reloaders.map((reloader) => reloader.stop()));
    await builder.close();
  }
}

async function startInTurn(reloaders: readonly Reloader[]): Promise<void> {
  for (const reloader of reloaders) await reloader.start();
}

async function startPlatform(call: CommandCall): Promise<Platform> {
  const { createPlatform, loadConfig, onFunctionLog, onLog } = await import('../main.ts');
  const folder = process.cwd();
  const config = await loadConfig({ flags: configurationFlags(call), env: process.env, folder });
  onLog((line) => call.terminal.note(line));
  onFunctionLog((line) => call.terminal.note(line));
  const platform = createPlatform(config, { fallbackPorts: true });
  await platform.start();
  return platform;
}

interface Pending {
  deliver(module: string, built: BuiltApp): Promise<void>;
  /** From now on what is delivered is deployed at once; what came before is deployed as one. Never throws. */
  open(platform: Platform): Promise<void>;
}

/** Apps that refer to each other come together: what cannot be deployed yet waits for the next that is built. */
function createPending(terminal: Terminal): Pending {
  const waiting = new Map<string, BuiltApp>();
  let delivery: Platform['delivery'] | undefined;

  const deploy = async (modules: readonly string[]): Promise<void> => {
    const startedMs = performance.now();
    const built = modules.map((module) => waiting.get(module)!);
    const done = await delivery!.deployTogether(built, 'dev');
    for (const module of modules) waiting.delete(module);
    const tookMs = Math.round(performance.now() - startedMs);
    for (const { app, to, changed } of done) {
      terminal.note(
        `millrace: ${app} runs version ${to}${changed ? ` (deployed in ${tookMs} ms)` : ' as before'}`,
      );
    }
  };

  /** One app that is refused must not hold back the others: then each is tried alone. */
  const deployWaiting = async (): Promise<void> => {
    const modules = [...waiting.keys()];
    if (modules.length <= 1) return modules.length === 1 ? deploy(modules) : undefined;
    try {
      return await deploy(modules);
    } catch {
      for (const module of modules) {
        await deploy([module]).catch((error: unknown) =>
          terminal.note(`millrace: ${(error as Error).message}`),
        );
      }
    }
  };

  return {
    async deliver(module, built) {
      waiting.set(module, built);
      if (delivery) await deployWaiting();
    },
    async open(platform) {
      delivery = platform.delivery;
      await deployWaiting().catch((error: unknown) => terminal.note(`millrace: ${(error as Error).message}`));
    },
  };
}
