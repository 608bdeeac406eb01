import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { scratchFolder } from './lib/calibration.ts';
import { bench, median } from './lib/harness.ts';
import { startPlatform } from './lib/http-load.ts';

const binary = new URL('../bin/millrace.js', import.meta.url).pathname;

await bench({
  name: 'start-to-ready',
  question: 'How long from the command line to a platform that answers, and what does it hold when idle?',
  leavesOut: 'a data folder with records in it; the first start on a cold file cache',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const rounds = short ? 3 : 15;
    const bare: number[] = [];
    const version: number[] = [];
    const help: number[] = [];
    const ready: number[] = [];
    let idleBytes = 0;
    for (let round = 0; round < rounds; round++) {
      bare.push(timed(['-e', '0']));
      version.push(timed([binary, '--version']));
      help.push(timed([binary, 'help']));
    }
    for (let round = 0; round < rounds; round++) {
      say(`start ${round + 1} of ${rounds}`);
      const begin = performance.now();
      await using platform = await startPlatform(join(scratch.path, `data-${round}`));
      ready.push(performance.now() - begin);
      if (round > 0) continue;
      await wait(short ? 1000 : 5000);
      idleBytes = residentBytes(platform.process.pid!);
    }
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
      { what: 'start to ready', value: median(ready), unit: 'ms', reach: { atMost: 500 } },
      { what: 'idle memory', value: idleBytes / 1e6, unit: 'MB', reach: { atMost: 120 } },
    ];
  },
});

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
