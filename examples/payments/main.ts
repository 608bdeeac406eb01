/**
 * `npm start`: the platform, the three apps of this folder, and traffic for them.
 *   npm start                                  made-up payments until Ctrl-C
 *   npm start -- --for 30s --json              … for half a minute, telling programs how it went
 *   npm start -- --replay FILE --rate max      recorded payments, as fast as they go
 */
import { enableCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';

const HELP = `Runs Millrace with the payments example and traffic for it.

  npm start -- [options]

  --for TIME       stop by itself after this time, such as 30s
  --replay FILE    recorded payments: CSV, CSV.gz or NDJSON with the columns
                   transaction_id,time,customer_id,terminal_id,amount,fraud
  --rate RATE      payments a second (1000), 'recorded' for their own clock, 'max'
  --data DIR       folder that holds all data (.millrace)
  --seed N         another sequence of made-up payments (1)
  --inflate-from N from this day on (the first is 0) all that is made up costs
                   twice as much: the model drifts, and is trained anew
  --retrain        trains it anew as soon as there are enough labels, recorded
                   payments too; which payments raise alerts then depends on when
  --json           the addresses first and the summary last, as JSON on stdout
  --edge-port, --api-port, --kafka-port PORT   0: a free one, off: closed
`;

class UsageError extends Error {}

// What lives on this heap is small and what dies on it much: by default V8 lets it grow to four times what lives.
// The young generation is bounded by a flag of the start script, since V8 reads that one only before its heap is there.
setFlagsFromString('--heap-growing-percent=60');

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`millrace: ${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function main(): Promise<number> {
  const values = readFlags();
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const rate = readRate(values.rate ?? (values.replay ? 'max' : '1000'));
  const seed = readWholeNumber('--seed', values.seed ?? '1');
  enableCompileCache();
  const { buildApps } = await import('./build.ts');
  // Begun before the platform is even loaded: both take about as long, and there are cores for both.
  const building = new AbortController();
  const apps = buildApps(building.signal);
  try {
    const { parseDurationMs } = await import('../../src/kernel/index.ts');
    const { runPayments } = await import('./run.ts');
    return await runPayments({
      apps,
      replay: values.replay,
      rate,
      durationMs: values.for === undefined ? undefined : parseDurationMs(values.for),
      seed,
      inflateFrom: readInflation(values['inflate-from'], values.replay),
      retrain: values.retrain ?? false,
      json: values.json ?? false,
      flags: Object.fromEntries(
        Object.entries({
          data: values.data,
          'edge-port': values['edge-port'],
          'api-port': values['api-port'],
          'kafka-port': values['kafka-port'],
        }).filter(([, value]) => value !== undefined),
      ),
    });
  } finally {
    building.abort();
  }
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        for: { type: 'string' },
        replay: { type: 'string' },
        rate: { type: 'string' },
        seed: { type: 'string' },
        'inflate-from': { type: 'string' },
        retrain: { type: 'boolean' },
        json: { type: 'boolean' },
        data: { type: 'string' },
        'edge-port': { type: 'string' },
        'api-port': { type: 'string' },
        'kafka-port': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message} 'npm start -- --help' shows the options.`);
  }
}

function readRate(text: string): number | 'max' | 'recorded' {
  if (text === 'max' || text === 'recorded') return text;
  const rate = Number(text);
  if (rate > 0 && Number.isFinite(rate)) return rate;
  throw new UsageError(
    `--rate ${text} is not a rate. Give payments a second, such as 5000, or 'recorded' or 'max'.`,
  );
}

function readInflation(text: string | undefined, replay: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (replay === undefined) return readWholeNumber('--inflate-from', text);
  throw new UsageError('--inflate-from is for payments that are made up; leave it out with --replay.');
}

function readWholeNumber(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`${flag} ${text} is not a whole number.`);
}
