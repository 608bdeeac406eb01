import { fn, http } from 'millrace';
import * as v from 'valibot';
import { payments, replies, terminalEvents } from './streams.ts';

export { payments, replies, terminalEvents };

const Request = v.object({
  card: v.pipe(v.string(), v.minLength(1)),
  terminal: v.pipe(v.string(), v.minLength(1)),
  amount: v.pipe(v.number(), v.minValue(0)),
  at: v.optional(v.pipe(v.string(), v.isoTimestamp())),
});

interface Score {
  readonly score: number;
  readonly reasons: readonly string[];
}

/** Who waits for which payment: one instance takes the requests and the replies, so they meet in its memory. */
const waiting = new Map<string, { parts: Score[]; resolve: (score: Score) => void }>();

/**
 * The HTTP door: takes a payment, puts it into the streams, and answers with its score. The score comes back through a
 * stream as everything else does; `on` holds both, and `kind` tells them apart.
 */
export const accept = fn(
  'accept',
  {
    on: [http.post('/payments', { body: Request }), replies],
    instances: { min: 1, max: 1 },
    perInstance: 1000,
    timeout: '10s',
  },
  async (event, ctx) => {
    if (event.kind === 'record') {
      settle(event.value.reply, event.value);
      return;
    }
    const reply = ctx.invocationId;
    const at = event.body.at ?? new Date().toISOString();
    const payment = { ...event.body, at, id: paymentId(at), reply };
    const scored = wait(reply, ctx.signal);
    await Promise.all([
      ctx.emit(payments, payment),
      ctx.emit(terminalEvents, { kind: 'payment', ...payment }),
    ]);
    const { score, reasons } = await scored;
    return { status: 200, body: { payment: payment.id, score, reasons } };
  },
);

function wait(reply: string, signal: AbortSignal): Promise<Score> {
  return new Promise((resolve, reject) => {
    waiting.set(reply, { parts: [], resolve });
    signal.addEventListener('abort', () => {
      waiting.delete(reply);
      reject(new Error('No score within the time limit; the payment itself is stored and will be scored.'));
    });
  });
}

/** The card's and the terminal's scorer answer apart; the higher score counts. */
function settle(reply: string, part: Score): void {
  const waiter = waiting.get(reply);
  if (!waiter) return;
  waiter.parts.push(part);
  if (waiter.parts.length < 2) return;
  waiting.delete(reply);
  waiter.resolve({
    score: Math.max(...waiter.parts.map((each) => each.score)),
    reasons: waiter.parts.flatMap((each) => each.reasons),
  });
}

/** Recorded payments have small numbers; those that come in over HTTP get theirs from the clock and chance. */
function paymentId(at: string): number {
  return Date.parse(at) * 1000 + Math.floor(Math.random() * 1000);
}
