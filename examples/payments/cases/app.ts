import { type Context, type Cursor, fn, http } from 'millrace';
import * as v from 'valibot';
import { alerts } from '../scoring/streams.ts';
import { apply, type Cases, worstFirst } from './model.ts';
import { caseEvents } from './streams.ts';

export { caseEvents };

/** The write side: an alert becomes an event. */
export const openCase = fn(
  'open-case',
  { on: alerts, from: 'start', batch: { size: 500, wait: '20ms' } },
  async (records, ctx) => {
    for (const { value } of records) {
      const { card, at, payment, amount, reason } = value;
      await ctx.emit(caseEvents, { type: 'alerted', card, at, payment, amount, reason });
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
    const cases = await current(ctx);
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
    const cases = await current(ctx);
    const limit = Math.min(1000, Math.max(1, Number(request.query.limit ?? 20) || 20));
    return { body: { open: cases.size, worst: worstFirst(cases, limit) } };
  },
);

const model: { cases: Cases; cursor: Cursor | undefined; folding: Promise<unknown> } = {
  cases: new Map(),
  cursor: undefined,
  folding: Promise.resolve(),
};

/**
 * Brings the read model up to date and gives it. A new instance folds the whole history once; afterwards each call
 * folds what has come since. Calls line up, so that no event is folded twice.
 */
async function current(ctx: Context): Promise<Cases> {
  const folded = model.folding.then(async () => {
    for (let more = true; more; ) {
      const page = await ctx.read(caseEvents, model.cursor);
      for (const record of page.records) apply(model.cases, record.value);
      model.cursor = page.cursor;
      more = page.more;
    }
  });
  model.folding = folded.catch(() => undefined);
  await folded;
  return model.cases;
}
