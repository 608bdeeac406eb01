import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaUnavailable, startKafka } from '../../tests/support/kafka-cluster.ts';

/** `millrace start` with its Kafka port open, in a process of its own. */
export interface StartedBroker extends AsyncDisposable {
  readonly address: string;
  /** Resident memory now. */
  residentBytes(): number;
}

const PROGRAM = new URL('../../bin/millrace.js', import.meta.url).pathname;

/** With `--cpu-prof` when MILLRACE_BENCH_PROFILE names a folder. */
export async function startBroker(data: string): Promise<StartedBroker> {
  const profile = process.env.MILLRACE_BENCH_PROFILE;
  const nodeFlags = profile ? ['--cpu-prof', '--cpu-prof-dir', profile] : [];
  const isOwn = (name: string): boolean => name.startsWith('MILLRACE_BENCH_');
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOwn(name)));
  const ports = ['--kafka-port', '0', '--api-port', 'off', '--edge-port', 'off', '--inference-port', 'off'];
  const words = [...nodeFlags, PROGRAM, 'start', '--json', '--data', data, ...ports];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'], env });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const { kafka } = JSON.parse(line.toString()) as { kafka: string };
  return {
    address: kafka,
    residentBytes: () => residentBytes(child),
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function residentBytes({ pid }: ChildProcess): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return pages * 4096;
}

/** Why there is no kcat, or undefined where there is. */
export const kcatUnavailable = (): string | undefined =>
  spawnSync('kcat', ['-V']).status === 0 ? undefined : 'kcat is not installed (apt-get install kcat)';

/** A file of so many lines of that size, the newline not counted. */
export function writeLines(folder: string, count: number, bytes: number): string {
  const path = join(folder, `lines-${bytes}`);
  const block = `${'0123456789'.repeat(Math.ceil(bytes / 10)).slice(0, bytes)}\n`.repeat(1000);
  const file = openSync(path, 'w');
  for (let written = 0; written < count; written += 1000) writeSync(file, block);
  closeSync(file);
  return path;
}

/** How long kcat takes, in seconds, from its start to its end. Throws with what it says when it fails. */
export async function timeKcat(words: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = spawn('kcat', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`kcat ${words.join(' ')} ended with ${code}: ${said}`);
  return (performance.now() - began) / 1000;
}

/** Runs `measure` against an Apache Kafka of one node on this machine; undefined, with the reason said, where there is none. */
export async function besideKafka<Result>(
  say: (line: string) => void,
  measure: (address: string) => Promise<Result>,
): Promise<Result | undefined> {
  const reason = await kafkaUnavailable();
  if (reason !== undefined) {
    say(`Apache Kafka is left out: ${reason}`);
    return undefined;
  }
  await using cluster = await startKafka({ heapMb: 1024 });
  return await measure(cluster.brokers[0]!);
}
