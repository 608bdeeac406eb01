// A model behind a route and inside a stream function. The file was made by make-model.ts; any ONNX file will do.
//   npx millrace dev examples/08-models/app.ts
//   curl -d '{"distance":3.2,"hour":8}' http://127.0.0.1:7400/eta
//   curl -d '[{"distance":3.2,"hour":8}]' 'http://127.0.0.1:7401/models/eta/predict?explain'
//   npx millrace show eta
import { fn, http, model, stream } from 'millrace';
import * as v from 'valibot';

const Ride = v.object({ distance: v.number(), hour: v.number() });

export const eta = model('eta', {
  file: 'eta.onnx',
  input: Ride,
  output: v.object({ minutes: v.number() }),
  cache: { ttl: '1m' },
  card: 'Minutes of a ride by its distance in kilometres and the hour of the day. Knows nothing of rain.',
  tags: { team: 'rides' },
});

export const estimate = fn('estimate', { on: http.post('/eta', { body: Ride }) }, async (req, ctx) => {
  const [answer] = await ctx.model(eta).predict([req.body]);
  return { body: { minutes: Math.round(answer!.minutes * 10) / 10 } };
});

export const rides = stream('rides', { schema: Ride });
export const estimates = stream('estimates', { schema: v.object({ minutes: v.number() }) });

/** A batch is one call of the model, whatever its size. */
export const score = fn('score', { on: rides, batch: { size: 500, wait: '20ms' } }, async (records, ctx) => {
  const answers = await ctx.model(eta).predict(records.map((record) => record.value));
  for (const { minutes } of answers) await ctx.emit(estimates, { minutes });
});
