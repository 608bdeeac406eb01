// A model that is watched: every 500 rows, what it was given is compared with what it was trained on. What drifts is a record
// of millrace.drift, and a function that hangs on that stream calls for help. (make-model.ts wrote risk.onnx.)
//   npx millrace dev examples/09-model-drift/app.ts
//   npx millrace tail calls --from start
//   npx millrace show risk
import { fn, http, model, stream } from 'millrace';
import * as v from 'valibot';

const Payment = v.object({ amount: v.number(), hour: v.number() });

export const risk = model('risk', {
  file: 'risk.onnx',
  input: Payment,
  output: v.object({ risk: v.number() }),
  watch: { window: { rows: 500 } },
});

export const score = fn(
  'score',
  { on: http.post('/score', { body: v.array(Payment) }) },
  async (req, ctx) => ({ status: 200, body: await ctx.model(risk).predict(req.body) }),
);

/** The platform's own stream: every app may read it. */
const drifts = stream('millrace.drift', {
  schema: v.object({ type: v.string(), model: v.string(), began: v.array(v.string()) }),
});
export const calls = stream('calls');

export const callForHelp = fn('call-for-help', { on: drifts, from: 'start' }, async (record, ctx) => {
  const { type, model, began } = record.value;
  if (type !== 'drift.detected') return;
  await ctx.emit(calls, { text: `${began.join(' and ')} of ${model} are not what they were in training.` });
});
