// What fails is tried again with growing pauses, then set aside with the reason; the rest goes on.
//   npx millrace dev examples/05-dead-letters/app.ts
//   npx millrace emit orders --data '{"id":"o1","quantity":0}'
//   npx millrace tail fulfil.dlq --from start
//   npx millrace redrive fulfil
import { fn, stream } from 'millrace';
import * as v from 'valibot';

const Order = v.object({ id: v.string(), quantity: v.number() });

export const orders = stream('orders', { schema: Order, key: 'id' });
export const shipments = stream('shipments', { schema: v.object({ id: v.string() }), key: 'id' });

export const fulfil = fn(
  'fulfil',
  { on: orders, retry: { attempts: 3, backoff: '100ms' } },
  async (record, ctx) => {
    const { id, quantity } = record.value;
    if (quantity < 1) throw new Error(`Order ${id} is for nothing`);
    await ctx.emit(shipments, { id });
  },
);
