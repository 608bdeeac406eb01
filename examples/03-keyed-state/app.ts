// Payments come in over HTTP, a stream function adds them up per card, and a card that spends over 900 raises an alert.
// The sum is keyed state: local to the partition, and written in the same commit as the alerts and the position.
//   npx millrace dev examples/03-keyed-state/app.ts
//   curl -d '{"card":"c1","amount":950,"at":"2026-01-01T00:00:00Z"}' -H 'content-type: application/json' http://127.0.0.1:7400/payments
//   npx millrace tail alerts --from start
import { every, fn, http, state, stream } from 'millrace';
import * as v from 'valibot';

const Payment = v.object({ card: v.string(), amount: v.number(), at: v.string() });

export const payments = stream('payments', { schema: Payment, key: 'card', partitions: 4, retention: '7d' });
export const alerts = stream('alerts');

export const accept = fn('accept', { on: http.post('/payments', { body: Payment }) }, async (req, ctx) => {
  await ctx.emit(payments, req.body);
  return { status: 202, body: { accepted: true } };
});

const spent = state('spent', { schema: v.number() });

export const score = fn(
  'score',
  {
    on: payments,
    from: 'end',
    batch: { size: 500, wait: '20ms' },
    instances: { min: 0, max: 10 },
    perInstance: 80,
    timeout: '10s',
    memory: '256mb',
    cpu: 1,
    tmp: '512mb',
    retry: { attempts: 5, backoff: '200ms' },
    env: { LIMIT: '900' },
  },
  async (records, ctx) => {
    for (const r of records) {
      const sum = ((await ctx.state(spent, r).get()) ?? 0) + r.value.amount;
      await ctx.state(spent, r).set(sum);
      if (sum > Number(ctx.env.LIMIT)) await ctx.emit(alerts, { card: r.value.card, sum });
    }
  },
);

export const sweep = fn('sweep', { on: every('5m') }, async (_tick, ctx) => {
  ctx.log.info('swept');
});
