import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const PROGRAM = join(ROOT, 'bin', 'millrace.js');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A program that goes on, such as `start` and `dev`. */
export interface Running {
  /** The first line on stdout, as JSON. */
  readonly ready: Promise<{ readonly api: string; readonly edge: string | null }>;
  /** Resolves with the first line on stderr that matches and was not awaited before. */
  line(pattern: RegExp): Promise<string>;
  stop(): Promise<Ended>;
}

/** A folder with the repository's packages at hand, where the real program runs; all that it started ends with it. */
export interface Desk extends AsyncDisposable {
  readonly folder: string;
  write(files: { readonly [path: string]: string }): Promise<void>;
  run(...words: readonly string[]): Promise<Ended>;
  start(...words: readonly string[]): Running;
}

function collect(child: ChildProcess): {
  readonly ended: Promise<Ended>;
  onLine(listener: (line: string) => void): void;
} {
  const texts = { out: '', err: '' };
  const listeners: ((line: string) => void)[] = [];
  let rest = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    texts.err += text;
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) for (const listener of listeners) listener(line);
  });
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...texts })));
  return { ended, onLine: (listener) => void listeners.push(listener) };
}

function follow(child: ChildProcess): Running {
  const { ended, onLine } = collect(child);
  const seen: string[] = [];
  const waiting: { readonly pattern: RegExp; readonly resolve: (line: string) => void }[] = [];
  onLine((line) => {
    const at = waiting.findIndex(({ pattern }) => pattern.test(line));
    if (at < 0) seen.push(line);
    else waiting.splice(at, 1)[0]!.resolve(line);
  });
  const ready = new Promise<{ api: string; edge: string | null }>((resolve, reject) => {
    let out = '';
    child.stdout!.on('data', (text: string) => {
      out += text;
      const [line, more] = out.split('\n');
      if (more !== undefined) resolve(JSON.parse(line!) as { api: string; edge: string | null });
    });
    void ended.then(({ err }) => reject(new Error(`it ended: ${err}`)));
  });
  ready.catch(() => undefined);
  return {
    ready,
    line(pattern) {
      const at = seen.findIndex((line) => pattern.test(line));
      if (at >= 0) return Promise.resolve(seen.splice(at, 1)[0]!);
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      waiting.push({ pattern, resolve });
      void ended.then(({ err }) => reject(new Error(`it ended before ${pattern}: ${err}`)));
      return promise;
    },
    async stop() {
      child.kill('SIGINT');
      return ended;
    },
  };
}

export async function createDesk(): Promise<Desk> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-desk-'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const children: ChildProcess[] = [];
  const launch = (words: readonly string[]): ChildProcess => {
    const env = { ...process.env, NO_COLOR: '1' };
    const child = spawn(process.execPath, [PROGRAM, ...words], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    return child;
  };
  return {
    folder,
    async write(files) {
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), content);
      }
    },
    run: (...words) => collect(launch(words)).ended,
    start: (...words) =>
      follow(launch([...words, '--api-port', '0', '--edge-port', '0', '--kafka-port', '0', '--json'])),
    async [Symbol.asyncDispose]() {
      for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
