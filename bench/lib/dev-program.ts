import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface DevProgram extends AsyncDisposable {
  readonly api: string;
  readonly edge: string | null;
}

/** `millrace dev` on free ports, in a folder with an app. */
export async function startDev(folder: string): Promise<DevProgram> {
  const program = new URL('../../bin/millrace.js', import.meta.url).pathname;
  const words = ['dev', '--api-port', '0', '--edge-port', '0', '--kafka-port', '0', '--json'];
  const child = spawn(process.execPath, [program, ...words], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let notes = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    notes = (notes + text).slice(-10_000);
  });
  const ready = await firstLine(child);
  if (ready === undefined) throw new Error(`dev did not start:\n${notes}`);
  const { api, edge } = JSON.parse(ready) as { api: string; edge: string | null };
  return {
    api,
    edge,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function firstLine(child: ChildProcess): Promise<string | undefined> {
  for await (const line of createInterface({ input: child.stdout! })) return line;
  return undefined;
}
