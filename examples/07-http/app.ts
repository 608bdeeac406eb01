// What an HTTP route can declare: parameters, a checked query, who may call and how often, and what may be cached.
//   npx millrace dev examples/07-http/app.ts
//   curl -i 'http://127.0.0.1:7400/rates/EUR?days=3'
import { fn, http } from 'millrace';
import * as v from 'valibot';

const Query = v.object({ days: v.optional(v.pipe(v.string(), v.regex(/^[0-9]{1,2}$/))) });

export const rates = fn(
  'rates',
  {
    on: http.get('/rates/:currency', {
      query: Query,
      cors: { origins: '*' },
      rateLimit: { requests: 100, per: '1m', by: 'ip' },
      cache: { ttl: '10s', vary: ['accept-language'] },
    }),
  },
  ({ params, query }) => {
    const days = Number(query.days ?? 1);
    const series = Array.from({ length: days }, (_, day) => ({ day, rate: 1 + day / 100 }));
    return { body: { currency: params.currency, series } };
  },
);

/** The body is read while it arrives and answered while it is read: nothing is held in memory. */
export const shout = fn('shout', { on: http.post('/shout', { stream: true }) }, (request) => {
  const decoder = new TextDecoder();
  async function* loud(): AsyncIterable<string> {
    for await (const chunk of request.body) yield decoder.decode(chunk, { stream: true }).toUpperCase();
  }
  return { headers: { 'content-type': 'text/plain; charset=utf-8' }, body: loud() };
});
