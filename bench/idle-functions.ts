import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchFolder } from './lib/calibration.ts';
import { deployApp } from './lib/deploy.ts';
import { bench } from './lib/harness.ts';
import { startPlatform } from './lib/http-load.ts';

const MEGABYTE = 1024 ** 2;

await bench({
  name: 'idle-functions',
  question: 'How much memory do 5,000 deployed functions take that nobody calls?',
  leavesOut:
    'functions with a minimum of instances, or with triggers that poll; memory is that of the process after deploying',
  async run({ short, say }) {
    const functions = short ? 500 : 5000;
    using scratch = scratchFolder();
    await using platform = await startPlatform(join(scratch.path, 'data'));
    await settle();
    const empty = residentBytes(platform.process.pid!);
    say(`deploying ${functions} functions`);
    const lines = ["import { fn } from 'millrace';"];
    for (let index = 0; index < functions; index++) {
      lines.push(
        `export const f${index} = fn('f${index}', {}, async (input) => ({ input, index: ${index} }));`,
      );
    }
    await deployApp(join(scratch.path, 'app'), platform.api, lines.join('\n'));
    await settle();
    const full = residentBytes(platform.process.pid!);
    const answer = await fetch(`${platform.api}/functions/f${functions - 1}`, { method: 'POST', body: '1' });
    if (!answer.ok) throw new Error(await answer.text());
    return [
      { what: 'calibration: the empty platform', value: empty / MEGABYTE, unit: 'MB' },
      {
        what: `${functions} idle functions over it`,
        value: (full - empty) / MEGABYTE,
        unit: 'MB',
        reach: { atMost: 300 },
      },
    ];
  },
});

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2000));
}

/** VmRSS of /proc/PID/status, in kB (proc_pid_status(5)). */
function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024;
}
