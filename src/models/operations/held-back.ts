import { type Clock, type Json, type ModelGates, VALUE_METRICS } from '../../kernel/index.ts';
import type { Answers, HeldBack } from '../releases/held-back.ts';
import type { Models } from '../service.ts';
import { parseRows, scoreOf, type TableRow, truthOf } from './rows.ts';

/** Rows that are predicted one by one, to see how long that takes. */
const TIMED_ROWS = 400;
const WARM_UP_ROWS = 50;
/** Rows of one call. */
const BATCH = 500;

/** Has both versions answer the held-back rows. Rows without a truth are left out. */
export async function answerHeldBack(
  models: Models,
  { model, to, from }: { readonly model: string; readonly to: string; readonly from: string | null },
  gates: ModelGates,
  bytes: Uint8Array,
  clock: Clock,
): Promise<HeldBack> {
  const rows = parseRows(bytes).filter((row) => !Number.isNaN(truthOf(row[gates.label])));
  const inputs = rows.map(({ [gates.label]: _, ...row }) => row);
  const versions = from === null ? [to] : [to, from];
  const scores = new Map<string, Float64Array>();
  for (const version of versions)
    scores.set(version, await predictAll(models, model, version, inputs, gates));
  const latencies = await time(models, model, versions, inputs, clock);
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
  const { fairness } = gates;
  return {
    labels: Float64Array.from(rows, (row) => truthOf(row[gates.label])),
    kind: values ? 'values' : 'classes',
    groups: fairness ? rows.map((row) => String(row[fairness.by] ?? '')) : null,
    candidate: answers(to),
    current: from === null ? null : answers(from),
  };
}

async function predictAll(
  models: Models,
  model: string,
  version: string,
  rows: readonly TableRow[],
  { output }: ModelGates,
): Promise<Float64Array> {
  const scores = new Float64Array(rows.length).fill(Number.NaN);
  const put = async (start: number, part: readonly TableRow[]): Promise<void> => {
    const { predictions } = await models.predict(model, part, { version, unobserved: true });
    for (const [at, prediction] of predictions.entries()) scores[start + at] = scoreOf(prediction, output);
  };
  for (let start = 0; start < rows.length; start += BATCH) {
    const part = rows.slice(start, start + BATCH);
    try {
      await put(start, part);
    } catch {
      // One row that it refuses spoils the batch: each by itself, and what is refused stays without an answer.
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
