/**
 * Runs the tests with Node's own runner. Without arguments: everything that needs nothing but Node.
 *   npm test                      unit tests beside the code, the whole program, the examples
 *   npm test -- src/kernel        only the test files whose path holds one of the words
 *   npm run test:faults           kills, torn writes, full disks, in full; `-- --sample` runs a few of each
 *   npm run test:browser          the pages in headless Chromium
 *   npm run test:conformance      outside clients and suites, where they are installed
 */
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { runBounded } from './run-bounded.ts';

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

const MINUTE_MS = 60_000;
const sample = flags.has('--sample');

/** A test that hangs fails by name; a process that does not end after its tests is ended with all that it started. */
const { testMs, wholeMs } = bounds();

const run = await runBounded(
  process.execPath,
  [
    '--test',
    `--test-concurrency=${faults || conformance ? 1 : Math.max(2, availableParallelism())}`,
    `--test-timeout=${testMs}`,
    ...files,
  ],
  {
    withinMs: wholeMs,
    env: { ...process.env, ...(faults ? { MILLRACE_FAULTS: sample ? 'sample' : 'full' } : {}) },
  },
);
if (run.timedOut) console.error(`Ended: the tests were not through within ${wholeMs / MINUTE_MS} minutes.`);
process.exit(run.status);

/** Full fault runs take hours; all else has to fit the budget of `.ci/run`. */
function bounds(): { readonly testMs: number; readonly wholeMs: number } {
  if (faults && !sample) return { testMs: 60 * MINUTE_MS, wholeMs: 24 * 60 * MINUTE_MS };
  if (faults || conformance) return { testMs: 5 * MINUTE_MS, wholeMs: 25 * MINUTE_MS };
  return { testMs: 2 * MINUTE_MS, wholeMs: 15 * MINUTE_MS };
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
