/**
 * What users write, as the type checker sees it. Nothing here runs: `types.test.ts` gives this file to tsc. A line under
 * `@ts-expect-error` must not compile; if it ever does, tsc reports the comment.
 */
import { type } from 'arktype';
import * as v from 'valibot';
import { z } from 'zod';
import { cron, defineConfig, every, type Fn, fn, http, model, state, stream } from './index.ts';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only when both types are the same. */
function same<A, B>(_same: Same<A, B>): void {}

const Payment = v.object({ card: v.string(), amount: v.number(), at: v.string() });
type PaymentValue = { card: string; amount: number; at: string };

const payments = stream('payments', { schema: Payment, key: 'card', partitions: 4, retention: '7d' });
const alerts = stream('alerts');
const orders = stream('orders', {
  schema: z.object({ id: z.string(), customer: z.object({ id: z.string() }) }),
  key: 'customer.id',
});
const visits = stream('visits', { schema: type({ page: 'string', ms: 'number' }), key: 'page' });
const spent = state('spent', { schema: v.number(), ttl: '90d' });

// Records carry the schema's type, whichever library made it.
fn('one', { on: payments }, async (record, ctx) => {
  same<typeof record.value, PaymentValue>(true);
  same<typeof record.stream, 'payments'>(true);
  same<typeof record.key, string | undefined>(true);
  const sum = (await ctx.state(spent, record).get()) ?? 0;
  same<typeof sum, number>(true);
  await ctx.state(spent, record).set(sum + record.value.amount);
  // @ts-expect-error: the state holds numbers
  await ctx.state(spent, record).set('much');
  // @ts-expect-error: payments have no `total`
  record.value.total;
});
fn('zod', { on: orders }, (record) => {
  same<typeof record.value.customer.id, string>(true);
});
fn('ark', { on: visits }, (record) => {
  same<typeof record.value, { page: string; ms: number }>(true);
});

// With `batch`, an array; without a schema, unknown.
fn('many', { on: payments, batch: { size: 500, wait: '20ms' } }, async (records) => {
  for (const record of records) same<typeof record.value, PaymentValue>(true);
  return { failed: [0] };
});
fn('untyped', { on: alerts }, (record) => {
  same<typeof record.value, unknown>(true);
});
// @ts-expect-error: only handlers of batches name what failed
fn('wrong-result', { on: payments }, () => ({ failed: [0] }));

// Requests: params from the path, body and query from their schemas.
const accept = fn('accept', { on: http.post('/payments', { body: Payment }) }, async (request, ctx) => {
  same<typeof request.body, PaymentValue>(true);
  same<typeof request.method, 'POST'>(true);
  await ctx.emit(payments, request.body);
  // @ts-expect-error: a payment needs its card
  await ctx.emit(payments, { amount: 1, at: '' });
  // @ts-expect-error: state belongs to stream functions
  ctx.state;
  return { status: 202, body: { accepted: true } };
});
fn('params', { on: http.get('/cards/:card/days/:day/*rest') }, (request) => {
  same<keyof typeof request.params, 'card' | 'day' | 'rest'>(true);
  same<typeof request.params.day, string>(true);
  // @ts-expect-error: the path has no `month`
  request.params.month;
});
fn('query', { on: http.get('/search', { query: v.object({ limit: v.number() }) }) }, (request) => {
  same<typeof request.query.limit, number>(true);
});
fn('upload', { on: http.put('/files/:name', { stream: true }) }, async (request) => {
  for await (const chunk of request.body) same<typeof chunk, Uint8Array>(true);
  return new Response('kept');
});
// @ts-expect-error: a reply has status, headers and body
fn('wrong-reply', { on: http.get('/x') }, () => ({ state: 202 }));
// @ts-expect-error: a GET has no body
http.get('/x', { body: Payment });
// @ts-expect-error: there is no such option
http.post('/x', { bodyLimit: '1mb' });

// Several triggers: a union told apart by `kind` and `stream`.
fn('union', { on: [payments, orders, http.get('/now'), every('5m')] }, (event) => {
  if (event.kind === 'tick') same<typeof event.missed, number>(true);
  else if (event.kind === 'http') same<typeof event.route, '/now'>(true);
  else if (event.stream === 'payments') same<typeof event.value, PaymentValue>(true);
  else same<typeof event.value.id, string>(true);
});
fn(
  'mixed',
  { on: [payments, cron('0 3 * * *', { timezone: 'Europe/Berlin' })], batch: { size: 10 } },
  (event) => {
    if (Array.isArray(event)) same<(typeof event)[0]['value'], PaymentValue>(true);
    else same<typeof event.scheduledMs, number>(true);
  },
);

// Functions by name: input and output flow to the caller.
const double = fn('double', { input: v.object({ n: v.number() }) }, async (input) => {
  same<typeof input, { n: number }>(true);
  return { twice: input.n * 2 };
});
const ping = fn('ping', {}, () => 'pong' as const);
const sweep = fn('sweep', { on: every('5m') }, async (tick, ctx) => {
  ctx.log.info('swept', { missed: tick.missed });
});
fn('caller', {}, async (_input, ctx) => {
  const { twice } = await ctx.invoke(double, { n: 2 });
  same<typeof twice, number>(true);
  same<Awaited<ReturnType<typeof callPing>>, 'pong'>(true);
  await ctx.invoke(sweep);
  const reply = await ctx.invoke(accept, { card: 'c', amount: 1, at: '' });
  same<typeof reply, { status: number; body: { accepted: boolean } }>(true);
  // @ts-expect-error: n is a number
  await ctx.invoke(double, { n: '2' });
  // @ts-expect-error: the input is missing
  await ctx.invoke(double);
  // @ts-expect-error: a stream is not a function
  await ctx.invoke(payments, {});
  function callPing() {
    return ctx.invoke(ping);
  }
});
const anyFunction: Fn = double;
void anyFunction;

// Environment and secrets are what the function declares.
fn('settings', { env: { LIMIT: '900' }, secrets: ['CRM_KEY'] }, async (_input, ctx) => {
  same<typeof ctx.env.LIMIT, string>(true);
  same<Awaited<ReturnType<typeof ctx.secret>>, string>(true);
  // @ts-expect-error: it is not in `env`
  ctx.env.HOME;
  // @ts-expect-error: it is not in `secrets`
  await ctx.secret('OTHER');
});

// Options that do not exist, and values that cannot be.
// @ts-expect-error: payments have no `cart`
stream('x', { schema: Payment, key: 'cart' });
// @ts-expect-error: `ms` of a nested object that is not there
stream('x', { schema: Payment, key: 'card.ms' });
stream('x', { schema: Payment, key: '/card' });
// @ts-expect-error: no such option
stream('x', { partition: 4 });
// @ts-expect-error: not a duration
stream('x', { retention: 'seven days' });
// @ts-expect-error: no such option
fn('x', { timeOut: '1s' }, () => {});
// @ts-expect-error: not a size
fn('x', { memory: '256 megabytes' }, () => {});
// @ts-expect-error: only a trigger may stand in `on`
fn('x', { on: spent }, () => {});
// @ts-expect-error: not a duration
every('5 minutes');
// @ts-expect-error: a name comes first
stream({ name: 'x' });
// @ts-expect-error: no such key
defineConfig({ edgeport: 1 });
// @ts-expect-error: no such key, beside one that there is
defineConfig({ edgePort: 1, edgeport: 2 });
// @ts-expect-error: not a port
defineConfig({ edgePort: 'closed' });
defineConfig({ edgePort: 'off', apiPort: 0, drain: '5s' });

// Models: rows and predictions have the types of their schemas.
const risk = model('risk', { file: 'risk.onnx', input: Payment, output: v.object({ risk: v.number() }) });
fn('scored', { on: payments, batch: { size: 500 } }, async (records, ctx) => {
  const answers = await ctx.model(risk).predict(records.map((record) => record.value));
  same<typeof answers, { risk: number }[]>(true);
  await ctx.model(risk).predict([{ card: 'c', amount: 1, at: '' }], { key: 'c', explain: true });
  // @ts-expect-error: a row needs its amount
  await ctx.model(risk).predict([{ card: 'c', at: '' }]);
  // @ts-expect-error: a list of rows
  await ctx.model(risk).predict({ card: 'c', amount: 1, at: '' });
  // @ts-expect-error: a stream is no model
  ctx.model(payments);
});
// @ts-expect-error: no such option
model('x', { files: 'x.onnx' });
// @ts-expect-error: an image needs its size
model('x', { inputs: { pixels: { kind: 'image', from: 'photo' } } });
