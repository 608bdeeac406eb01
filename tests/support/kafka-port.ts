import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A platform in a process of its own, for outside clients of its Kafka port. */
export interface KafkaPort extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly bootstrap: string;
  /** Address of the API port. */
  readonly api: string;
  readonly data: string;
  /** Ends the process at once, as a power cut would; the data stays. */
  kill(): Promise<void>;
}

const PROGRAM = new URL('../../bin/millrace.js', import.meta.url).pathname;
const START_MS = 30_000;
/** Longer than the platform takes to drain. */
const STOP_MS = 60_000;

/** `data`: a folder to go on with; it is left in place then. */
export async function startKafkaPort(options: { readonly data?: string } = {}): Promise<KafkaPort> {
  const data = options.data ?? (await mkdtemp(join(tmpdir(), 'millrace-kafka-')));
  const ports = ['--kafka-port', '0', '--api-port', '0', '--edge-port', 'off'];
  const child = spawn(process.execPath, [PROGRAM, 'start', '--json', '--data', data, ...ports], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { kafka, api } = await addresses(child);
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await exited;
    clearTimeout(late);
  };
  return {
    bootstrap: kafka,
    api,
    data,
    kill: () => end('SIGKILL'),
    async [Symbol.asyncDispose]() {
      await end('SIGTERM');
      if (options.data === undefined) await rm(data, { recursive: true, force: true });
    },
  };
}

async function addresses(child: ChildProcess): Promise<{ kafka: string; api: string }> {
  let problems = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    problems = (problems + chunk.toString()).slice(-4_000);
  });
  const lines = createInterface({ input: child.stdout! });
  const ready = once(lines, 'line', { signal: AbortSignal.timeout(START_MS) });
  const failed = once(child, 'exit').then(() => Promise.reject(new Error(`It did not start: ${problems}`)));
  const [line] = (await Promise.race([ready, failed])) as [string];
  failed.catch(() => undefined); // its end is the test's business from here on
  return JSON.parse(line);
}
