import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import type { RetrainRun } from '../../src/models/index.ts';

const CHILD = join(import.meta.dirname, 'retraining.child.ts');
const STEPS = ['data', 'train', 'release', 'watch-gates', 'watch-shadow', 'watch-canary', 'watch-watch'];
const FULL = process.env.MILLRACE_FAULTS === 'full';

interface Done {
  readonly runs: readonly RetrainRun[];
  readonly releases: number;
  readonly latest: number;
  readonly production: string;
}

const start = (folder: string): ChildProcess =>
  spawn(process.execPath, [CHILD, folder], { stdio: ['ignore', 'pipe', 'inherit'] });

/** Runs the platform until it says that it is done, or is killed at the step; the steps that it went through. */
async function run(
  folder: string,
  killAt?: string,
): Promise<{ readonly steps: string[]; readonly done?: Done }> {
  const child = start(folder);
  const ended = once(child, 'exit');
  const steps: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line.startsWith('done ')) {
      await ended;
      return { steps, done: JSON.parse(line.slice(5)) as Done };
    }
    steps.push(line.slice(5));
    if (line === `step ${killAt}`) child.kill('SIGKILL');
  }
  await ended;
  return { steps };
}

describe('a platform that is killed while it retrains a model', () => {
  for (const step of FULL ? STEPS : STEPS.filter((_, at) => at % 3 === 1)) {
    it(`at '${step}' trains one version and releases it once`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'millrace-retraining-'));
      try {
        const killed = await run(folder, step);
        // A step that is over in less than a look passes unseen; then there was nothing to kill.
        const { done } = killed.done ? killed : await run(folder);
        assert.ok(done, `it went through ${killed.steps.join(', ')}`);
        assert.deepEqual(
          done.runs.map(({ step, outcome, fact }) => [step, outcome, fact]),
          [['done', 'released', 'records/1600']],
          JSON.stringify(done.runs),
        );
        assert.deepEqual([done.releases, done.latest, done.production], [1, 2, done.runs[0]!.version]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
