import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { scratchFolder } from './lib/calibration.ts';
import { bench, median } from './lib/harness.ts';
import { startPlatform } from './lib/http-load.ts';

const root = new URL('..', import.meta.url).pathname;

await bench({
  name: 'start-to-ready',
  question:
    'How long from the command line to a platform of the published package that answers, and what does it hold when idle?',
  leavesOut:
    'a data folder with records in it; the first start on a cold file cache. The working tree is the second reading: its threads carry the code that takes the types off.',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const rounds = short ? 3 : 15;
    say('building the package');
    const binary = buildPackage(scratch.path);
    const bare: number[] = [];
    const version: number[] = [];
    const help: number[] = [];
    for (let round = 0; round < rounds; round++) {
      bare.push(timed(['-e', '0']));
      version.push(timed([binary, '--version']));
      help.push(timed([binary, 'help']));
    }
    const plan = { folder: scratch.path, rounds, idleMs: short ? 1000 : 5000, say };
    const [published, tree] = await measureStarts([binary, join(root, 'bin/millrace.js')], plan);
    const bareMs = median(bare);
    return [
      { what: 'calibration: bare Node, start to end', value: bareMs, unit: 'ms' },
      { what: 'calibration: bare Node, idle memory', value: await bareMemory(), unit: 'MB' },
      {
        what: '--version over bare Node',
        value: median(version) - bareMs,
        unit: 'ms',
        reach: { atMost: 20 },
      },
      { what: 'help over bare Node', value: median(help) - bareMs, unit: 'ms' },
      { what: 'start to ready', value: published.readyMs, unit: 'ms', reach: { atMost: 500 } },
      { what: 'idle memory', value: published.idleBytes / 1e6, unit: 'MB', reach: { atMost: 120 } },
      { what: 'working tree: start to ready', value: tree.readyMs, unit: 'ms' },
      { what: 'working tree: idle memory', value: tree.idleBytes / 1e6, unit: 'MB' },
    ];
  },
});

interface StartPlan {
  readonly folder: string;
  readonly rounds: number;
  readonly idleMs: number;
  readonly say: (line: string) => void;
}

/** What is published, in `folder`, with this repository's dependencies beside it; the path of its command. */
function buildPackage(folder: string): string {
  const target = join(folder, 'package');
  execFileSync(process.execPath, [join(root, 'tools/build.ts'), target], { stdio: 'inherit' });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(target, 'bin/millrace.js');
}

/** The median start of two commands on empty data folders, by turns; memory once nothing has happened for `idleMs`. */
async function measureStarts(
  binaries: readonly [string, string],
  plan: StartPlan,
): Promise<[Starts, Starts]> {
  const starts = binaries.map(() => ({ readyMs: [] as number[], idleBytes: Number.NaN }));
  for (let round = 0; round < plan.rounds; round++) {
    plan.say(`start ${round + 1} of ${plan.rounds}`);
    for (const [index, binary] of binaries.entries()) {
      const begin = performance.now();
      await using platform = await startPlatform(join(plan.folder, 'data'), binary);
      starts[index]!.readyMs.push(performance.now() - begin);
      // The first start fills the compile cache, and holds what it compiled.
      if (round !== 1) continue;
      await wait(plan.idleMs);
      starts[index]!.idleBytes = residentBytes(platform.process.pid!);
    }
  }
  const [first, second] = starts.map((each) => ({ ...each, readyMs: median(each.readyMs) }));
  return [first!, second!];
}

interface Starts {
  readonly readyMs: number;
  readonly idleBytes: number;
}

function timed(args: readonly string[]): number {
  const begin = performance.now();
  const run = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (run.status !== 0) throw new Error(`node ${args.join(' ')} ended with ${run.status}.`);
  return performance.now() - begin;
}

async function bareMemory(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log(1)']);
  await once(child.stdout, 'data');
  const bytes = residentBytes(child.pid!);
  const exited = once(child, 'exit');
  child.kill();
  await exited;
  return bytes / 1e6;
}

/** Linux tells the resident set of a process in /proc. */
function residentBytes(pid: number): number {
  const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? Number.NaN) * 1024;
}
