import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { scratchFolder } from './lib/calibration.ts';
import { bench, median } from './lib/harness.ts';
import { startArguments } from './lib/payments.ts';

interface Start {
  readonly readyMs: number;
  readonly scoredMs: number;
}

const SCORED_WITHIN_MS = 30_000;
/** What `score` reads: its positions move when a payment is scored. */
const [SCORED_STREAM, SCORERS] = ['terminal-events', 'scoring.score'];

/** Starts the program on `data`, and ends it when its first payment is scored. */
async function start(data: string): Promise<Start> {
  const begin = performance.now();
  const flags = ['--json', '--data', data, '--edge-port', '0', '--api-port', '0', '--kafka-port', '0'];
  const child = spawn(process.execPath, [...startArguments(), ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const { ready, api } = JSON.parse(line) as { ready?: boolean; api?: string };
      if (!ready) continue;
      const readyMs = performance.now() - begin;
      while (!(await isScored(api!))) {
        if (performance.now() - begin > SCORED_WITHIN_MS)
          throw new Error(`${SCORERS} has scored no payment.`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return { readyMs, scoredMs: performance.now() - begin };
    }
    throw new Error('The program ended before it was ready.');
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}

async function isScored(api: string): Promise<boolean> {
  const answer = await fetch(`${api}/streams/${SCORED_STREAM}`);
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  const { groups } = (await answer.json()) as {
    groups: readonly { group: string; partitions: readonly { offset: number | null }[] }[];
  };
  return groups.some(
    ({ group, partitions }) =>
      group === SCORERS && partitions.some(({ offset }) => offset !== null && offset > 0),
  );
}

await bench({
  name: 'npm-start',
  question:
    'How long from `npm start` to the first payment scored, with three apps built and deployed on the way?',
  leavesOut: 'npm itself (0.2 s); the very first start on a machine, whose file cache is cold.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const rounds = short ? 2 : 9;
    const fresh: Start[] = [];
    const again: Start[] = [];
    for (let round = 0; round < rounds; round++) {
      const data = join(folder.path, `data-${round}`);
      fresh.push(await start(data));
      again.push(await start(data));
      say(`round ${round + 1} of ${rounds}: ${Math.round(fresh.at(-1)!.scoredMs)} ms`);
    }
    const bare = performance.now();
    await once(spawn(process.execPath, ['-e', '0']), 'exit');
    const bareMs = performance.now() - bare;
    const of = (starts: readonly Start[], what: keyof Start): number =>
      median(starts.map((one) => one[what]));
    return [
      { what: 'calibration: bare Node, start to end', value: bareMs, unit: 'ms' },
      { what: 'new data folder: ready', value: of(fresh, 'readyMs'), unit: 'ms' },
      {
        what: 'new data folder: first payment scored',
        value: of(fresh, 'scoredMs'),
        unit: 'ms',
        reach: { atMost: 2000 },
      },
      { what: 'same data folder again: first payment scored', value: of(again, 'scoredMs'), unit: 'ms' },
    ];
  },
});
