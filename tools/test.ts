/**
 * Runs the tests with Node's own runner. Without arguments: everything that needs nothing but Node.
 *   npm test                      unit tests beside the code, the whole program, the examples
 *   npm test -- src/kernel        only the test files whose path holds one of the words
 *   npm run test:faults           kills, torn writes, full disks, in full; `-- --sample` runs a few of each
 *   npm run test:browser          the pages in headless Chromium
 *   npm run test:conformance      outside clients and suites, where they are installed
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const arguments_ = process.argv.slice(2);
const flags = new Set(arguments_.filter((word) => word.startsWith('--')));
const words = arguments_.filter((word) => !word.startsWith('--'));
const faults = flags.has('--faults');

const browser = flags.has('--browser');
const conformance = flags.has('--conformance');

const known = new Set(['--faults', '--sample', '--browser', '--conformance']);
const unknown = [...flags].find((flag) => !known.has(flag));
if (unknown) {
  console.error(`Unknown option ${unknown}. Known: ${[...known].join(', ')}.`);
  process.exit(2);
}

const patterns = patternsOf();
const files = globSync(patterns, { exclude: ['**/node_modules/**', '**/dist/**'] })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`No test file matches ${words.join(' ')}.`);
  process.exit(1);
}

const full = faults && !flags.has('--sample');
const MINUTE_MS = 60_000;
/** Outside clients and fault runs take minutes where the machine is busy; a full fault run takes hours. */
const testWithinMs = full ? 60 * MINUTE_MS : faults || conformance ? 5 * MINUTE_MS : 2 * MINUTE_MS;
/**
 * Node's limit of a test does not end a process that spins, or one in which something goes on after its test has failed: that
 * is ended from here, with what it started. Outside clients and faults run file by file, everything else in one run.
 */
const runWithinMs = full ? 24 * 60 * MINUTE_MS : faults || conformance ? 20 * MINUTE_MS : 40 * MINUTE_MS;
const oneByOne = faults || conformance;
const concurrency = oneByOne ? 1 : Math.max(2, availableParallelism());

/** What a process may take to end by itself when it is asked to. */
const ENDS_WITHIN_MS = 3_000;
let interrupted = false;

const failed: string[] = [];
for (const run of oneByOne ? files.map((file) => [file]) : [files]) {
  if (interrupted || !(await passes(run))) failed.push(...run);
}
if (oneByOne && files.length > 1) {
  console.log(`${files.length - failed.length} of ${files.length} files passed.`);
  for (const file of failed) console.log(`✖ ${file}`);
}
process.exit(failed.length === 0 ? 0 : 1);

/** Runs the files in a process group of its own, so that it can be ended with all that belongs to it. */
async function passes(run: readonly string[]): Promise<boolean> {
  const options = ['--test', `--test-concurrency=${concurrency}`, `--test-timeout=${testWithinMs}`];
  const level = faults ? { MILLRACE_FAULTS: full ? 'full' : 'sample' } : {};
  const child = spawn(process.execPath, [...options, ...run], {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
    env: { ...process.env, ...level },
  });
  const end = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // Nothing of it is left.
    }
  };
  const interrupt = (signal: NodeJS.Signals): void => {
    interrupted = true;
    end(signal);
    setTimeout(() => end('SIGKILL'), ENDS_WITHIN_MS).unref();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  const timer = setTimeout(() => {
    console.error(`✖ not done after ${runWithinMs / MINUTE_MS} minutes, and ended: ${run.join(' ')}`);
    end('SIGKILL');
  }, runWithinMs);
  const [code] = await once(child, 'exit');
  clearTimeout(timer);
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  end('SIGKILL');
  return code === 0;
}

function patternsOf(): readonly string[] {
  if (faults) return ['tests/faults/**/*.test.ts'];
  if (browser) return ['tests/browser/**/*.test.ts'];
  if (conformance) return ['tests/conformance/**/*.test.ts'];
  return [
    'src/**/*.test.ts',
    'examples/**/*.test.ts',
    'tests/e2e/**/*.test.ts',
    'tests/repository/**/*.test.ts',
  ];
}
