import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runBounded } from '../../tools/run-bounded.ts';

const HANG = 'setInterval(() => {}, 1000);';
/** Starts another process that holds our stdout, and prints its id. */
const PARENT = `const child = require('node:child_process').spawn(process.execPath, ['-e', '${HANG}'], { stdio: 'inherit' });
process.stdout.write(String(child.pid));`;

it('answers with what a program printed and its exit code', async () => {
  const words = ['-e', 'process.stdout.write("made"); process.exitCode = 3'];
  const run = await runBounded(process.execPath, words, { withinMs: 60_000, capture: true });
  assert.deepEqual(run, { status: 3, stdout: 'made', timedOut: false });
});

it('ends a program that hangs, and what that one started', async () => {
  const words = ['-e', `${PARENT} ${HANG}`];
  const run = await runBounded(process.execPath, words, { withinMs: 5_000, capture: true });
  assert.deepEqual([run.status, run.timedOut], [137, true]);
  await gone(run.stdout);
});

it('is not held up by a process that a program left behind', async () => {
  const words = ['-e', `${PARENT} setTimeout(() => process.exit(0), 50)`];
  const run = await runBounded(process.execPath, words, { withinMs: 60_000, capture: true });
  assert.deepEqual([run.status, run.timedOut], [0, false]);
  await gone(run.stdout);
});

async function gone(printed: string): Promise<void> {
  assert.match(printed, /^\d+$/, 'the second process was started');
  const alive = (): boolean => {
    try {
      return process.kill(Number(printed), 0);
    } catch {
      return false;
    }
  };
  for (let tries = 0; tries < 500 && alive(); tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(alive(), false, 'the second process is gone');
}
