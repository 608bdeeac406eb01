import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import type { Builder, BuiltApp } from '../build/index.ts';

/**
 * Keeps one app of `dev` as its sources are: watches what its bundle was really made of, and on a save builds and hands
 * the result on. While a build fails, what runs goes on running.
 */
export interface Reloader {
  /** Builds and delivers once; from then on by itself, on every save. Never throws: failures go to `failed`. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface ReloaderOptions {
  readonly builder: Builder;
  readonly module: string;
  readonly app: string | undefined;
  deliver(built: BuiltApp): Promise<void>;
  failed(error: unknown): void;
}

/** Saves often come as several changes within a few milliseconds. */
const SETTLE_MS = 5;
const MODULES = `${sep}node_modules${sep}`;

/** Size and time of each file; a file that is not there counts too. */
function stampOf(files: Iterable<string>): string {
  const stamps: string[] = [];
  for (const file of files) {
    const stats = statSync(file, { throwIfNoEntry: false });
    stamps.push(stats ? `${stats.mtimeMs}:${stats.size}:${stats.ino}` : '-');
  }
  return stamps.join();
}

export function createReloader(options: ReloaderOptions): Reloader {
  const { builder, module, app, deliver, failed } = options;
  const watchers = new Map<string, FSWatcher>();
  let inputs = new Set([module]);
  let healthy = true;
  let dirty = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;

  const changed = (folder: string, name: string | null): void => {
    // After a failure any file may be the missing one; else only what the bundle was made of counts.
    if (name !== null && healthy && !inputs.has(join(folder, name))) return;
    clearTimeout(timer);
    timer = setTimeout(() => void again(), SETTLE_MS);
  };

  /** Folders are watched, not files: editors save by renaming a new file into place. */
  const watchInputs = (): void => {
    const folders = new Set(
      [...inputs].filter((file) => !file.includes(MODULES)).map((file) => dirname(file)),
    );
    for (const folder of folders) {
      if (!watchers.has(folder))
        watchers.set(
          folder,
          watchFolder(folder, (name) => changed(folder, name)),
        );
    }
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      watchers.delete(folder);
    }
  };

  /** A save that is still going on looks like an empty file, or changes under the build: it is looked at again. */
  const buildSettled = async (): Promise<BuiltApp | undefined> => {
    for (;;) {
      if (statSync(module, { throwIfNoEntry: false })?.size === 0) return undefined;
      const before = stampOf(inputs);
      const watched = inputs;
      const built = await builder.build(module, app === undefined ? {} : { app });
      if (stampOf(watched) !== before) continue;
      inputs = new Set([module, ...built.inputs]);
      return built;
    }
  };

  const runOnce = async (): Promise<void> => {
    try {
      const built = await buildSettled();
      if (built && !stopped) await deliver(built);
      healthy = true;
    } catch (error) {
      healthy = false;
      if (!stopped) failed(error);
    }
    if (!stopped) watchInputs();
  };

  const again = (): Promise<void> => {
    dirty = true;
    return (running ??= (async () => {
      while (dirty && !stopped) {
        dirty = false;
        await runOnce();
      }
    })().finally(() => {
      running = undefined;
    }));
  };

  return {
    start: again,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
      await running;
    },
  };
}

function watchFolder(folder: string, changed: (name: string | null) => void): FSWatcher {
  const watcher = watch(folder, (_event, name) => changed(name === null ? null : basename(name)));
  // The folder was removed: the next build says what is missing.
  watcher.on('error', () => changed(null));
  return watcher;
}
