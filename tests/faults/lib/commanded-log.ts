import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

export interface CommandedLog {
  /** One command to the log in its own process: the words of its answer. */
  ask(
    command: 'append' | 'read' | 'delete',
    argument?: string | number,
  ): Promise<{ code: string; text: string }>;
  kill(): Promise<void>;
}

/** A log (or what else `name` runs) over `folder` in a process of its own, with `env` added to its environment. */
export async function commandLog(
  t: TestContext,
  folder: string,
  env: Record<string, string> = {},
  name = 'faulty-log.child.ts',
): Promise<CommandedLog> {
  const script = join(import.meta.dirname, name);
  const child = spawn(process.execPath, [script, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  t.after(kill);
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('The log ended by itself.');
    return value;
  };
  await next();
  return {
    kill,
    async ask(command, argument = '') {
      child.stdin.write(`${command} ${argument}\n`);
      const [code, ...rest] = (await next()).split(' ');
      return { code: code!, text: rest.join(' ') };
    },
  };
}
