/**
 * `npm run payments:model -- --train FILE --test FILE [--json]`: trains the fraud model on recorded payments and measures
 * it as the Fraud Detection Handbook does.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureWeek, type WeekResult } from './measure.ts';
import { DAY_MS, type Quality } from './protocol.ts';

const HELP = `Trains the fraud model on recorded payments and measures it.

  npm run payments:model -- --train FILE [--test FILE] [options]

  --train FILE   payments up to the end of the week after the one trained on
  --test FILE    the payments that follow, with the week tested on
                 Both are CSV, CSV.gz or NDJSON with the columns
                 transaction_id,time,customer_id,terminal_id,amount,fraud.
                 Without --test, everything is in the first.
  --from DATE    first day of the week trained on (2018-07-25); the week tested
                 on begins 14 days later
  --weeks N      does the same for N weeks, the last of them the one of --from
  --out FILE     writes the model as ONNX
  --json         the figures as one line of JSON on stdout
`;

class UsageError extends Error {}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`payments:model: ${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}

async function main(): Promise<number> {
  const values = readFlags();
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.train === undefined)
    throw new UsageError('name the file to train on: --train FILE (see --help).');
  const files = [values.train, ...(values.test === undefined ? [] : [values.test])];
  const last = readDate(values.from ?? '2018-07-25');
  const weeks = readWeeks(values.weeks ?? '1');
  const begins = Array.from({ length: weeks }, (_, week) => last - (weeks - 1 - week) * 7 * DAY_MS);
  const results = await measureWeek(files, begins, (line) => void process.stderr.write(`${line}\n`));
  if (values.out !== undefined) writeFileSync(values.out, results.at(-1)!.onnx);
  process.stdout.write(values.json ? `${JSON.stringify(figures(results))}\n` : render(results));
  return 0;
}

function readFlags() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = { train: text, test: text, from: text, weeks: text, out: text, json: flag, help: flag };
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message} (see --help)`);
  }
}

function readDate(text: string): number {
  const dayMs = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(dayMs)) throw new UsageError(`'${text}' is not a date; write it like 2018-07-25.`);
  return dayMs;
}

function readWeeks(text: string): number {
  const weeks = Number(text);
  if (!Number.isInteger(weeks) || weeks < 1 || weeks > 100)
    throw new UsageError(`--weeks ${text}: give 1 to 100.`);
  return weeks;
}

/** The quality of the one week, or of several with their mean. */
function figures(results: readonly WeekResult[]): unknown {
  if (results.length === 1) return results[0]!.quality;
  return { mean: mean(results), weeks: results.map(({ from, quality }) => ({ from, ...quality })) };
}

function mean(results: readonly WeekResult[]): Quality {
  const of = (name: keyof Quality): number =>
    results.reduce((sum, { quality }) => sum + quality[name] / results.length, 0);
  return {
    averagePrecision: of('averagePrecision'),
    auc: of('auc'),
    cardPrecisionAt100: of('cardPrecisionAt100'),
  };
}

function render(results: readonly WeekResult[]): string {
  const line = (name: string, { averagePrecision, auc, cardPrecisionAt100 }: Quality): string =>
    `${name}  average precision ${averagePrecision.toFixed(3)}  AUC ${auc.toFixed(3)}  card precision@100 ${cardPrecisionAt100.toFixed(3)}\n`;
  const lines = results.map(({ from, quality }) => line(`trained from ${from}`, quality));
  return lines.join('') + (results.length > 1 ? line('mean                   ', mean(results)) : '');
}
