/**
 * Runs every bench, one process each, one after the other.
 *   npm run bench                    full runs; prints the readings
 *   npm run bench -- --short         a short run of each: fails when one does not work any more, never on a figure
 *   npm run bench -- --write         full runs, and the readings go into bench/README.md with machine and date
 *   npm run bench -- append recovery only the benches whose name holds one of the words
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runBounded } from '../tools/run-bounded.ts';
import { type BenchReport, formatReach, formatValue } from './lib/harness.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
});

const folder = new URL('./', import.meta.url).pathname;
const files = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .filter((file) => positionals.length === 0 || positionals.some((word) => file.includes(word)))
  .sort();

const reports: BenchReport[] = [];
const broken: string[] = [];
for (const file of files) {
  process.stderr.write(`${file}\n`);
  const words = [folder + file, '--json', ...(values.short ? ['--short'] : [])];
  const withinMs = values.short ? 120_000 : 1_200_000;
  const run = await runBounded(process.execPath, words, { withinMs, capture: true });
  const last = run.stdout.trim().split('\n').at(-1) ?? '';
  if (run.status !== 0 || !last.startsWith('{')) {
    broken.push(file);
    process.stderr.write(
      `  failed (${run.timedOut ? `not through within ${withinMs / 1000} s` : `exit ${run.status}`})\n${run.stdout}`,
    );
    continue;
  }
  const report = JSON.parse(last) as BenchReport;
  reports.push(report);
  process.stdout.write(`${table(report)}\n`);
}

if (values.write && !values.short) write(reports);
if (broken.length > 0) {
  process.stderr.write(`Benches that do not work: ${broken.join(', ')}\n`);
  process.exit(1);
}

function table(report: BenchReport): string {
  const rows = report.readings.map((reading) => {
    const mark = reading.reached === undefined ? '' : reading.reached ? 'reached' : '**short**';
    return `| ${reading.what} | ${formatValue(reading.value)} ${reading.unit} | ${formatReach(reading)} | ${mark} |`;
  });
  return [
    `### ${report.name}`,
    '',
    `${report.question} Leaves out: ${report.leavesOut}`,
    '',
    `${report.date}, ${report.machine}${report.short ? ', short run' : ''}. Again: \`npm run bench -- ${report.name}\`.`,
    '',
    '| figure | reading | reach | |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

/** Replaces each bench's section between the markers of bench/README.md; others stay. */
function write(fresh: readonly BenchReport[]): void {
  const path = `${folder}README.md`;
  const text = readFileSync(path, 'utf8');
  const [before, , after] = text.split(/<!-- readings (?:begin|end) -->/);
  const sections = new Map<string, string>();
  for (const section of (text.split('<!-- readings begin -->')[1] ?? '')
    .split('<!-- readings end -->')[0]!
    .split(/^(?=### )/m)) {
    const name = /^### (\S+)/.exec(section)?.[1];
    if (name) sections.set(name, section.trim());
  }
  for (const report of fresh) sections.set(report.name, table(report).trim());
  const body = [...sections.keys()]
    .sort()
    .map((name) => sections.get(name))
    .join('\n\n');
  writeFileSync(path, `${before}<!-- readings begin -->\n\n${body}\n\n<!-- readings end -->${after ?? '\n'}`);
}
