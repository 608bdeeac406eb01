import { fn, http } from 'millrace';
import * as v from 'valibot';
import { payments, replies } from './streams.ts';

export { payments, replies };

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
const waiting = new Map<string, (score: Score) => void>();

/**
 * The HTTP door: takes a payment, puts it into the stream, and answers with its score. The score comes back through a
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
      const { reply, ...score } = event.value;
      waiting.get(reply)?.(score);
      waiting.delete(reply);
      return;
    }
    const reply = ctx.invocationId;
    const at = event.body.at ?? new Date().toISOString();
    const id = paymentId(at);
    const scored = wait(reply, ctx.signal);
    await ctx.emit(payments, { ...event.body, at, id, reply });
    const { score, reasons } = await scored;
    return { status: 200, body: { payment: id, score, reasons } };
  },
);

function wait(reply: string, signal: AbortSignal): Promise<Score> {
  return new Promise((resolve, reject) => {
    waiting.set(reply, resolve);
    signal.addEventListener('abort', () => {
      waiting.delete(reply);
      reject(new Error('No score within the time limit; the payment itself is stored and will be scored.'));
    });
  });
}

/** Recorded payments have small numbers; those that come in over HTTP get theirs from the clock and chance. */
function paymentId(at: string): number {
  return Date.parse(at) * 1000 + Math.floor(Math.random() * 1000);
}
