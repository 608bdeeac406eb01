/**
 * Runs the tests with Node's own runner. Without arguments: everything that needs nothing but Node.
 *   npm test                      unit tests beside the code, the whole program, the examples
 *   npm test -- src/kernel        only the test files whose path holds one of the words
 *   npm run test:faults           kills, torn writes, full disks, in full; `-- --sample` runs a few of each
 *   npm run test:browser          the pages in headless Chromium
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const arguments_ = process.argv.slice(2);
const flags = new Set(arguments_.filter((word) => word.startsWith('--')));
const words = arguments_.filter((word) => !word.startsWith('--'));
const faults = flags.has('--faults');

const browser = flags.has('--browser');

const known = new Set(['--faults', '--sample', '--browser']);
const unknown = [...flags].find((flag) => !known.has(flag));
if (unknown) {
  console.error(`Unknown option ${unknown}. Known: ${[...known].join(', ')}.`);
  process.exit(2);
}

const patterns = faults
  ? ['tests/faults/**/*.test.ts']
  : browser
    ? ['tests/browser/**/*.test.ts']
    : [
        'src/**/*.test.ts',
        'examples/**/*.test.ts',
        'tests/e2e/**/*.test.ts',
        'tests/repository/**/*.test.ts',
      ];
const files = globSync(patterns, { exclude: ['**/node_modules/**', '**/dist/**'] })
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`No test file matches ${words.join(' ')}.`);
  process.exit(1);
}

const run = spawnSync(
  process.execPath,
  [
    '--test',
    `--test-concurrency=${faults ? 1 : Math.max(2, availableParallelism())}`,
    `--test-timeout=${faults ? 3_600_000 : 120_000}`,
    ...files,
  ],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      ...(faults ? { MILLRACE_FAULTS: flags.has('--sample') ? 'sample' : 'full' } : {}),
    },
  },
);
process.exit(run.status ?? 1);
