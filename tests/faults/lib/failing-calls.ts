import { spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from './log.ts';

export interface FailingCalls {
  /** What the process is started with so that its calls can fail for files whose path contains `part`. */
  environment(part: string): Record<string, string>;
  /** From now on these calls end with EIO. */
  fail(call: 'sync' | 'write'): Promise<void>;
  heal(): Promise<void>;
}

/** The shim that makes system calls fail; undefined where it cannot be built, which needs Linux and a C compiler (cc). */
export async function failingCalls(t: TestContext): Promise<FailingCalls | undefined> {
  if (process.platform !== 'linux') return undefined;
  const folder = await temporaryFolder(t);
  const library = join(folder, 'failing-calls.so');
  const trigger = join(folder, 'trigger');
  const source = join(import.meta.dirname, 'failing-calls.c');
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-w', '-o', library, source, '-ldl']);
  if (built.status !== 0) return undefined;
  return {
    environment: (part) => ({
      LD_PRELOAD: library,
      MILLRACE_FAIL_TRIGGER: trigger,
      MILLRACE_FAIL_PATH: part,
    }),
    fail: (call) => writeFile(trigger, call),
    heal: () => rm(trigger),
  };
}
