// Functions without a trigger are called by name: from outside, and from other functions with `ctx.invoke`.
//   npx millrace dev examples/06-by-name/app.ts
//   npx millrace invoke quote --data '{"items":3}'
import { fn } from 'millrace';
import * as v from 'valibot';

export const price = fn('price', { input: v.object({ items: v.number() }) }, ({ items }) => items * 12.5);

export const quote = fn('quote', { input: v.object({ items: v.number() }) }, async (input, ctx) => {
  const net = await ctx.invoke(price, { items: input.items });
  return { net, gross: Math.round(net * 1.19 * 100) / 100 };
});
