import {
  type Clock,
  type Json,
  type ModelGates,
  siblingModule,
  VALUE_METRICS,
  type Workers,
} from '../../kernel/index.ts';
import type { Answers, HeldBack } from '../releases/held-back.ts';
import type { Models } from '../service.ts';
import { scoreOf, type TableRow } from './rows.ts';
import { PAGE_ROWS, type Prepared, type PrepareInput } from './tasks.ts';

const TASKS = siblingModule(import.meta.url, './tasks');

/** Rows that are predicted one by one, to see how long that takes. */
const TIMED_ROWS = 400;
const WARM_UP_ROWS = 50;

/** Has both versions answer the held-back rows. Rows without a truth are left out. */
export async function answerHeldBack(
  models: Models,
  { model, to, from }: { readonly model: string; readonly to: string; readonly from: string | null },
  gates: ModelGates,
  bytes: Uint8Array,
  { clock, workers }: { readonly clock: Clock; readonly workers: Workers },
): Promise<HeldBack> {
  const input: PrepareInput = { bytes, label: gates.label, by: gates.fairness?.by ?? null };
  const { rows, pages, labels, groups } = await workers.run<Prepared>(
    { module: TASKS, task: 'prepare' },
    input,
  );
  const versions = from === null ? [to] : [to, from];
  const scores = new Map<string, Float64Array>();
  for (const version of versions) {
    scores.set(version, await predictAll(models, model, version, { pages, rows }, gates));
  }
  const timed = pages.slice(0, 2).flatMap(rowsOf);
  const latencies = await time(models, model, versions, timed, clock);
  const values = gates.metrics.some(({ metric }) => VALUE_METRICS.has(metric));
  const answers = (version: string): Answers => {
    const given = scores.get(version)!;
    const decide = (score: number): number =>
      Number.isNaN(score) ? Number.NaN : score >= gates.threshold ? 1 : 0;
    return {
      scores: given,
      decisions: values ? given : given.map(decide),
      latenciesMs: latencies.get(version)!,
    };
  };
  return {
    labels,
    kind: values ? 'values' : 'classes',
    groups,
    candidate: answers(to),
    current: from === null ? null : answers(from),
  };
}

const rowsOf = (page: Uint8Array): TableRow[] => JSON.parse(Buffer.from(page).toString('utf8')) as TableRow[];

async function predictAll(
  models: Models,
  model: string,
  version: string,
  { pages, rows }: Pick<Prepared, 'pages' | 'rows'>,
  { output }: ModelGates,
): Promise<Float64Array> {
  const scores = new Float64Array(rows).fill(Number.NaN);
  const put = async (start: number, part: readonly TableRow[]): Promise<void> => {
    const { predictions } = await models.predict(model, part, { version, unobserved: true });
    for (const [at, prediction] of predictions.entries()) scores[start + at] = scoreOf(prediction, output);
  };
  for (const [number, page] of pages.entries()) {
    const part = rowsOf(page);
    const start = number * PAGE_ROWS;
    try {
      await put(start, part);
    } catch {
      // One row that it refuses spoils the page: each by itself, and what is refused stays without an answer.
      for (const [at, row] of part.entries()) await put(start + at, [row]).catch(() => undefined);
    }
  }
  return scores;
}

/** Single rows, the versions in turns, so that what else the machine does hits them alike. */
async function time(
  models: Models,
  model: string,
  versions: readonly string[],
  rows: readonly { readonly [column: string]: Json }[],
  clock: Clock,
): Promise<Map<string, Float64Array>> {
  const taken = new Map(versions.map((version) => [version, [] as number[]]));
  const total = rows.length === 0 ? 0 : WARM_UP_ROWS + TIMED_ROWS;
  for (let turn = 0; turn < total; turn++) {
    for (const version of versions) {
      const sinceMs = clock.monotonic();
      const answered = await models
        .predict(model, [rows[turn % rows.length]!], { version, unobserved: true })
        .catch(() => undefined);
      if (answered && turn >= WARM_UP_ROWS) taken.get(version)!.push(clock.monotonic() - sinceMs);
    }
  }
  return new Map([...taken].map(([version, times]) => [version, Float64Array.from(times)]));
}
