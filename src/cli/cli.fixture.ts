import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const binary = new URL('../../bin/millrace.js', import.meta.url).pathname;

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

/** Runs the real binary to its end. */
export async function millrace(words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const running = launch(words, options);
  running.process.stdin?.end(options.input ?? '');
  return running.outcome;
}

export interface Launched {
  readonly process: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** Resolves when stdout holds what is looked for; throws when the process ends before. */
  seen(pattern: RegExp): Promise<string>;
}

/** Starts the real binary and leaves it running. */
export function launch(words: readonly string[], options: RunOptions = {}): Launched {
  const { MILLRACE_URL: _url, MILLRACE_TOKEN: _token, FORCE_COLOR: _color, ...env } = process.env;
  const child = spawn(process.execPath, [binary, ...words], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...env, ...options.env },
  });
  let stdout = '';
  let stderr = '';
  const changed = new Set<() => void>();
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    for (const wake of changed) wake();
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => undefined);
  const outcome = once(child, 'close').then(([exitCode]) => ({ exitCode, stdout, stderr }) as Outcome);
  return {
    process: child,
    outcome,
    async seen(pattern) {
      while (!pattern.test(stdout)) {
        const next = Promise.withResolvers<void>();
        changed.add(next.resolve);
        const ended = await Promise.race([next.promise, outcome]);
        changed.delete(next.resolve);
        if (ended && !pattern.test(stdout)) throw new Error(`It ended without ${pattern}: ${ended.stderr}`);
      }
      return stdout;
    },
  };
}

export interface TestPlatform extends AsyncDisposable {
  readonly url: string;
  readonly folder: string;
  readonly launched: Launched;
  run(words: readonly string[], options?: RunOptions): Promise<Outcome>;
}

/** `millrace start` in a folder of its own, on free ports. */
export async function startPlatform(more: readonly string[] = []): Promise<TestPlatform> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
  const words = [
    'start',
    '--json',
    '--data',
    join(folder, 'data'),
    '--api-port',
    '0',
    '--edge-port',
    '0',
    '--kafka-port',
    '0',
  ];
  const launched = launch([...words, ...more], { cwd: folder });
  const first = (await launched.seen(/\n/)).split('\n')[0]!;
  const { api } = JSON.parse(first) as { api: string };
  return {
    url: api,
    folder,
    launched,
    run: (line, options) => millrace([...line, '--url', api], { cwd: folder, ...options }),
    async [Symbol.asyncDispose]() {
      launched.process.kill('SIGTERM');
      await launched.outcome;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
