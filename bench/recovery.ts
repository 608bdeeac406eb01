import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { scratchFolder } from './lib/calibration.ts';
import { openLog, stopLog } from './lib/embedded-log.ts';
import { bench } from './lib/harness.ts';

const PARTITIONS = 16;

/** Fills a log and goes on writing until it is killed; says `full` when it has its size. */
const CHILD = `
  const { openLog, batchMaker } = await import(process.argv[1]);
  const log = await openLog(process.argv[2]);
  await log.topics.create({ name: 'bench', partitions: ${PARTITIONS}, config: { retentionMs: null } });
  const make = batchMaker(100, 1024);
  let left = Number(process.argv[3]);
  const acked = new Array(${PARTITIONS}).fill(0);
  const caller = async (partition) => {
    for (;;) {
      const { lastOffset } = await log.append({ topic: 'bench', partition, batch: make(), trusted: true });
      acked[partition] = lastOffset + 1;
      left -= 103_000;
      if (left < 0) process.stdout.write(JSON.stringify(acked) + '\\n');
    }
  };
  await Promise.all(acked.map((_, partition) => caller(partition)));
`;

await bench({
  name: 'recovery',
  question: 'How long is a log not available after its process was killed under full load?',
  leavesOut: 'Power loss with a cold page cache; the start of the rest of the platform.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const path = `${folder.path}/log`;
    const totalBytes = (short ? 1 : 10) * 1024 ** 3;
    const library = new URL('./lib/embedded-log.ts', import.meta.url).pathname;
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', CHILD, library, path, String(totalBytes)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (output.split('\n').length > 40) child.kill('SIGKILL');
    });
    await once(child, 'exit');
    const acked = JSON.parse(output.split('\n').at(-2)!) as number[];
    say('killed');
    const started = performance.now();
    const log = await openLog(path);
    const recoveryMs = performance.now() - started;
    const ends = acked.map((_, partition) => log.bounds({ topic: 'bench', partition }).highWatermark);
    const lost = acked.reduce((sum, end, partition) => sum + Math.max(0, end - ends[partition]!), 0);
    await stopLog(log);
    return [
      { what: 'size of the log', value: totalBytes / 1e9, unit: 'GB' },
      { what: 'recovery', value: recoveryMs, unit: 'ms', reach: { atMost: 2000 } },
      { what: 'acknowledged records that are gone', value: lost, unit: 'records', reach: { atMost: 0 } },
    ];
  },
});
