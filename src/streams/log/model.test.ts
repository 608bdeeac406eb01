import { it } from 'node:test';
import fc from 'fast-check';
import { memoryLogStore, simulatedDisk } from '../../adapters/memory/index.ts';
import { seededRandom } from '../../kernel/index.ts';
import { type ModelSetup, runArbitrary, runModel } from '../contract/model.support.ts';
import { createEmbeddedLog } from './index.ts';

const setup: ModelSetup = {
  makeDisk: simulatedDisk,
  open: async (disk, clock, random) => {
    // Small files, so that a short run goes through rotations, checkpoints and several segments.
    const tuning = {
      walFileBytes: 8_192,
      checkpointBytes: 16_384,
      groupBytes: 4_096,
      flushBytes: 2_048,
      cacheBytes: 2_048,
    };
    const log = createEmbeddedLog({ disk, clock, random, tuning });
    await log.start?.();
    return { store: log, maintain: () => log.maintain(), checkpoint: () => log.checkpoint() };
  },
  oracle: (clock) => memoryLogStore({ clock, random: seededRandom(1) }),
};

// 200 runs with every test, 10,000 with the fault tests. A failure prints the command that repeats it.
const seed = Number(process.env.MILLRACE_SEED ?? 1);
const path = process.env.MILLRACE_PATH;
const runs = Number(process.env.MILLRACE_RUNS ?? 200);

it(`keeps its promises in ${path ? 'one run' : `${runs} random runs`} with crashes (seed ${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(runArbitrary, (run) => runModel(setup, run)),
    {
      seed,
      numRuns: runs,
      ...(path === undefined ? {} : { path, endOnFailure: true }),
      asyncReporter: async (result) => {
        if (!result.failed) return;
        const again = `MILLRACE_SEED=${result.seed} MILLRACE_PATH=${result.counterexamplePath} node --test src/streams/log/model.test.ts`;
        throw new Error(`${fc.defaultReportMessage(result)}\nRepeat it with: ${again}`, {
          cause: result.errorInstance,
        });
      },
    },
  );
});
