import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';

/** What the generator is to do; it sends the same bytes over and over, one request at a time on each connection. */
export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  readonly path: string;
  readonly contentType: string;
  /** Base64, for it travels to another process. */
  readonly bodyBase64: string;
  readonly warmupMs: number;
  readonly durationMs: number;
  /** Requests of all connections together; left out: as fast as answers come. */
  readonly ratePerSecond?: number;
}

export interface LoadResult {
  /** Those that were answered, but for refusals with 429. */
  readonly requests: number;
  readonly throttled: number;
  readonly seconds: number;
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs the plan in a process of its own, so that client and server share no event loop. */
export async function runLoad(plan: LoadPlan): Promise<LoadResult> {
  const child = fork(new URL('./http-load.worker.ts', import.meta.url));
  child.send(plan);
  const [result] = (await once(child, 'message')) as [LoadResult];
  await once(child, 'exit');
  return result;
}

export interface RunningServer extends AsyncDisposable {
  readonly port: number;
  readonly process: ChildProcess;
}

/** A bare node:http server that reads the body and answers with a few bytes: what the platform is measured against. */
export async function startBareServer(): Promise<RunningServer> {
  const child = fork(new URL('./bare-server.worker.ts', import.meta.url));
  const [message] = (await once(child, 'message')) as [{ port: number }];
  return { port: message.port, process: child, [Symbol.asyncDispose]: () => end(child) };
}

export interface StartedPlatform extends RunningServer {
  readonly api: string;
  readonly edge: string;
  readonly startedInMs: number;
}

const workingTree = new URL('../../bin/millrace.js', import.meta.url).pathname;

/** `millrace start` on a folder of its own, as users run it; with `--cpu-prof` when MILLRACE_BENCH_PROFILE names a folder. */
export async function startPlatform(dataFolder: string, binary = workingTree): Promise<StartedPlatform> {
  const profile = process.env.MILLRACE_BENCH_PROFILE;
  const nodeFlags = profile ? ['--cpu-prof', '--cpu-prof-dir', profile] : [];
  const ports = ['--api-port', '0', '--edge-port', '0', '--kafka-port', 'off'];
  const isOwn = (name: string): boolean => name.startsWith('MILLRACE_BENCH_');
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOwn(name)));
  const child = spawn(
    process.execPath,
    [...nodeFlags, binary, 'start', '--json', '--data', dataFolder, ...ports],
    { stdio: ['ignore', 'pipe', 'inherit'], env },
  );
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const ready = JSON.parse(line.toString()) as Pick<StartedPlatform, 'api' | 'edge' | 'startedInMs'>;
  return {
    ...ready,
    port: Number(new URL(ready.api).port),
    process: child,
    async [Symbol.asyncDispose]() {
      await end(child);
      rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Creates a stream over HTTP. */
export async function createStream(api: string, definition: object): Promise<void> {
  const response = await fetch(`${api}/streams`, { method: 'POST', body: JSON.stringify(definition) });
  if (!response.ok) throw new Error(`The stream was not created: ${await response.text()}`);
}
