import { spawn } from 'node:child_process';
import { constants } from 'node:os';

export interface BoundedRun {
  /** Exit code, or 128 and the number of the signal that ended it, as a shell says. */
  readonly status: number;
  /** What it printed, where `capture` was asked for. */
  readonly stdout: string;
  /** It was ended because its time was up. */
  readonly timedOut: boolean;
}

export interface BoundedRunOptions {
  readonly withinMs: number;
  /** Stdout is collected instead of shown. */
  readonly capture?: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Runs a program in a process group of its own and ends the whole group when its time is up or when we are told to stop: a
 * process that hangs, or one that it left behind, holds up nobody.
 */
export async function runBounded(
  file: string,
  words: readonly string[],
  { withinMs, capture = false, env = process.env }: BoundedRunOptions,
): Promise<BoundedRun> {
  const child = spawn(file, words, {
    stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
    detached: true,
    env,
  });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => void chunks.push(chunk));
  const endGroup = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {} // All of them are gone.
  };
  const stopped = (signal: NodeJS.Signals): void => {
    endGroup();
    process.exit(128 + constants.signals[signal]);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, stopped);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup();
  }, withinMs);
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    // What it left behind may hold its stdout open: the rest of the group goes with it.
    child.once('exit', endGroup);
    child.once('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  }).finally(() => {
    clearTimeout(timer);
    for (const signal of signals) process.removeListener(signal, stopped);
  });
  return { status, stdout: Buffer.concat(chunks).toString(), timedOut };
}
