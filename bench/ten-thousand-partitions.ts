import { spawnSync } from 'node:child_process';
import { scratchFolder } from './lib/calibration.ts';
import { batchMaker, openLog, stopLog } from './lib/embedded-log.ts';
import { bench } from './lib/harness.ts';

async function fill(folder: string, partitions: number): Promise<void> {
  const log = await openLog(folder);
  await log.topics.create({ name: 'wide', partitions });
  const make = batchMaker(1, 100);
  const appends: Promise<unknown>[] = [];
  for (let partition = 0; partition < partitions; partition++) {
    appends.push(log.append({ topic: 'wide', partition, batch: make(), trusted: true }));
  }
  await Promise.all(appends);
  await stopLog(log);
}

const CHILD = `
  const { openLog } = await import(process.argv[1]);
  const started = performance.now();
  const log = await openLog(process.argv[2]);
  const startMs = performance.now() - started;
  const end = log.bounds({ topic: 'wide', partition: Number(process.argv[3]) - 1 }).highWatermark;
  globalThis.gc();
  console.log(JSON.stringify({ startMs, rss: process.memoryUsage.rss(), end }));
  process.exit(0);
`;

await bench({
  name: 'ten-thousand-partitions',
  question: 'What do 10,000 idle partitions with a record each cost?',
  leavesOut: 'The rest of the platform; traffic.',
  async run({ short, say }) {
    const partitions = short ? 1000 : 10_000;
    using folder = scratchFolder();
    const path = `${folder.path}/log`;
    const began = performance.now();
    await fill(path, partitions);
    say(`filled in ${Math.round(performance.now() - began)} ms`);
    const library = new URL('./lib/embedded-log.ts', import.meta.url).pathname;
    const child = spawnSync(
      process.execPath,
      ['--expose-gc', '--input-type=module', '-e', CHILD, library, path, String(partitions)],
      {
        encoding: 'utf8',
      },
    );
    if (child.status !== 0) throw new Error(child.stderr);
    const { startMs, rss, end } = JSON.parse(child.stdout) as { startMs: number; rss: number; end: number };
    if (end !== 1) throw new Error('The records are not there.');
    return [
      { what: 'partitions', value: partitions, unit: 'partitions' },
      { what: 'start', value: startMs, unit: 'ms', reach: { atMost: 3000 } },
      { what: 'memory of the process (RSS)', value: rss / 1e6, unit: 'MB', reach: { atMost: 300 } },
    ];
  },
});
