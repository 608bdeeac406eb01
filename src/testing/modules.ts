import { fileURLToPath } from 'node:url';
import { identifyApp } from '../build/index.ts';
import type { AppModule, TestAppOptions } from './test-app.types.ts';

/** One app of a test: its name and what its module exports. */
export interface LoadedApp {
  readonly app: string;
  readonly exports: { readonly [name: string]: unknown };
  /** Folder that files of models lie in. */
  readonly root: string;
}

/** The apps that `testApp` was given. The first has the name of the package that the test belongs to. */
export async function loadApps(
  given: AppModule | Promise<AppModule>,
  options: TestAppOptions,
  callerFile: string | undefined,
): Promise<LoadedApp[]> {
  const modules = await Promise.all(Array.isArray(given) ? given : [given]);
  const own = callerFile === undefined ? undefined : identifyApp(callerFile);
  const first = options.app ?? own?.name ?? 'app';
  const root = own?.root ?? process.cwd();
  return modules.map((module, index) => ({
    app: index === 0 ? first : `${first}-${index + 1}`,
    exports: module as { readonly [name: string]: unknown },
    root,
  }));
}

/** The file of the test that called `testApp`: the first frame of the stack outside this folder. */
export function callerOf(stack: string | undefined): string | undefined {
  for (const line of stack?.split('\n').slice(1) ?? []) {
    const url = /(file:\/\/[^)]*?):\d+:\d+\)?$/.exec(line)?.[1];
    if (url !== undefined && !url.startsWith(new URL('.', import.meta.url).href)) return fileURLToPath(url);
  }
  return undefined;
}

/**
 * States that were made in this process, by name. They need not be exported, so no module leads to them; the SDK notes
 * them. Of those of one name the one made last counts, as a module that was loaded anew has it.
 */
export function notedStates(exports: LoadedApp['exports']): object[] {
  const noted = (globalThis as { [key: symbol]: unknown })[Symbol.for('millrace.states')];
  const exported = new Set(Object.values(exports).flatMap(nameOfState));
  const byName = new Map<string, object>();
  for (const state of Array.isArray(noted) ? (noted as { name: string }[]) : []) {
    if (!exported.has(state.name)) byName.set(state.name, state);
  }
  return [...byName.values()];
}

function nameOfState(value: unknown): string[] {
  const resource = value as { millrace?: unknown; kind?: unknown; name?: unknown } | null | undefined;
  return resource?.millrace === 1 && resource.kind === 'state' ? [String(resource.name)] : [];
}
