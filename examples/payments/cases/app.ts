import { type Context, type Cursor, fn, http } from 'millrace';
import * as v from 'valibot';
import { alerts, verdicts } from '../scoring/streams.ts';
import { apply, type Cases, worstFirst } from './model.ts';
import { BUDGET, Rankings } from './ranking.ts';
import { caseEvents } from './streams.ts';

export { caseEvents };

/** The write side: an alert becomes an event. */
export const openCase = fn(
  'open-case',
  { on: alerts, from: 'start', batch: { size: 500, wait: '20ms' } },
  async (records, ctx) => {
    for (const { value } of records) {
      const { card, at, payment, amount, score, reason } = value;
      await ctx.emit(caseEvents, { type: 'alerted', card, at, payment, amount, score, reason });
    }
  },
);

/** What has become of the payments: it says how good the rankings were. */
export const noteVerdict = fn(
  'note-verdict',
  { on: verdicts, from: 'start', batch: { size: 500, wait: '20ms' } },
  async (records, ctx) => {
    for (const { value } of records) {
      const { card, at, payment, alerted, fraud } = value;
      await ctx.emit(caseEvents, { type: 'known', card, at, payment, alerted, fraud });
    }
  },
);

const Closing = v.object({
  verdict: v.picklist(['fraud', 'genuine']),
  analyst: v.pipe(v.string(), v.minLength(1)),
});

/** The analyst's decision is an event too: nothing is overwritten, and who closed what stays on record. */
export const closeCase = fn(
  'close-case',
  { on: http.post('/cases/:card/close', { body: Closing }) },
  async (request, ctx) => {
    const { card } = request.params;
    const { cases } = await current(ctx);
    if (!cases.has(card)) return { status: 404, body: { error: `Card ${card} has no open case.` } };
    await ctx.emit(caseEvents, { type: 'closed', card, at: new Date().toISOString(), ...request.body });
    return { status: 200, body: { card, closed: request.body.verdict } };
  },
);

/** The read side. */
export const listCases = fn(
  'list-cases',
  { on: http.get('/cases', { query: v.object({ limit: v.optional(v.string()) }) }) },
  async (request, ctx) => {
    const { cases, rankings } = await current(ctx);
    const limit = Math.min(1000, Math.max(1, Number(request.query.limit ?? 20) || 20));
    const ranking = { cardsPerDay: BUDGET, days: rankings.latest(DAYS_SHOWN) };
    return { body: { open: cases.size, worst: worstFirst(cases, limit), ranking } };
  },
);

const DAYS_SHOWN = 14;

/** The cards that the day's budget is for, the likeliest frauds first, and what became of them. Without a day, the latest. */
export const ranking = fn(
  'ranking',
  { on: http.get('/ranking', { query: v.object({ day: v.optional(v.pipe(v.string(), v.isoDate())) }) }) },
  async (request, ctx) => {
    const { rankings } = await current(ctx);
    const ranked = rankings.of(request.query.day);
    if (!ranked) {
      const { day = 'the latest day' } = request.query;
      return { status: 404, body: { error: `There is no ranking of ${day}: no alerts, or too long ago.` } };
    }
    return { body: ranked };
  },
);

const model: { cases: Cases; rankings: Rankings; cursor: Cursor | undefined; folding: Promise<unknown> } = {
  cases: new Map(),
  rankings: new Rankings(),
  cursor: undefined,
  folding: Promise.resolve(),
};

/**
 * Brings the read model up to date and gives it. A new instance folds the whole history once; afterwards each call
 * folds what has come since. Calls line up, so that no event is folded twice.
 */
async function current(ctx: Context): Promise<{ readonly cases: Cases; readonly rankings: Rankings }> {
  const folded = model.folding.then(async () => {
    for (let more = true; more; ) {
      const page = await ctx.read(caseEvents, model.cursor);
      for (const { value } of page.records) {
        apply(model.cases, value);
        model.rankings.apply(value);
      }
      model.cursor = page.cursor;
      more = page.more;
    }
  });
  model.folding = folded.catch(() => undefined);
  await folded;
  return model;
}
