// A model of texts behind a route.
//   npx millrace dev examples/10-sentiment/app.ts
//   curl localhost:7400/sentiment -H 'content-type: application/json' -d '{"text":"not slow at all, highly recommended"}'
//   node examples/10-sentiment/train.ts      # makes sentiment.onnx again
import { fn, http, model } from 'millrace';
import * as v from 'valibot';
import { NGRAMS } from './ngrams.ts';

const Review = v.object({ text: v.pipe(v.string(), v.minLength(1), v.maxLength(10_000)) });

/** Made by `train.ts`. The platform counts the words of a text before the model sees it. */
export const sentiment = model('sentiment', {
  file: 'sentiment.onnx',
  input: Review,
  inputs: { counts: { kind: 'hashed-ngrams', from: 'text', ...NGRAMS } },
  output: v.object({ label: v.picklist(['negative', 'positive']), probabilities: v.array(v.number()) }),
  card: 'Tells praise from complaint. Trained on made-up English reviews by `train.ts`; it knows few words.',
});

export const rate = fn('rate', { on: http.post('/sentiment', { body: Review }) }, async (request, ctx) => {
  const [answer] = await ctx.model(sentiment).predict([request.body]);
  const { label, probabilities } = answer!;
  return { body: { sentiment: label, confidence: Math.max(...probabilities) } };
});
