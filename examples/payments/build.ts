import { fork } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import type { BuiltApp } from '../../src/build/index.ts';

/** Intake first: the others read its streams. */
const APPS = ['intake', 'scoring', 'cases'];

type Answer = { readonly built: readonly BuiltApp[] } | { readonly error: string };

/**
 * Builds the three apps in a process of its own: it works while the platform starts, and the bundler's memory, which is
 * more than the platform's, goes with it.
 */
export function buildApps(signal: AbortSignal): Promise<readonly BuiltApp[]> {
  const child = fork(new URL(import.meta.url), { serialization: 'advanced', signal });
  const { promise, resolve, reject } = Promise.withResolvers<readonly BuiltApp[]>();
  child.on('error', reject);
  child.on('message', (answer: Answer) =>
    'built' in answer ? resolve(answer.built) : reject(new Error(answer.error)),
  );
  child.on('exit', (code) => reject(new Error(`The build of the apps ended with ${code}.`)));
  promise.catch(() => undefined); // its caller may still be starting the platform
  return promise;
}

async function answer(): Promise<Answer> {
  const { createBuilder } = await import('../../src/build/index.ts');
  const builder = createBuilder();
  try {
    const entries = APPS.map((app) => new URL(`./${app}/app.ts`, import.meta.url).pathname);
    return { built: await Promise.all(entries.map((entry) => builder.build(entry))) };
  } catch (error) {
    return { error: (error as Error).message };
  } finally {
    await builder.close();
  }
}

if (process.send && import.meta.url === pathToFileURL(process.argv[1]!).href) {
  const found = await answer();
  process.send?.(found, () => process.exit());
}
