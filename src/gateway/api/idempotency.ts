import { createHash, type Hash } from 'node:crypto';
import { type Clock, isMillraceError, MillraceError, type StateStore } from '../../kernel/index.ts';
import type { ProducerIdentity, Streams } from '../../streams/index.ts';

/**
 * Requests with an `Idempotency-Key` take effect once, across crashes too:
 * I1 before anything is appended, the key is stored with a hash of the request and a producer of its own;
 * I2 records are appended under that producer, so that the log recognises them when the same request comes again;
 * I3 the answer is stored afterwards; a request that finds it gets it, one that finds only I1 does I2 again.
 * Keys are forgotten after a day, and there are at most `MOST_KEYS`.
 */
export interface Idempotency {
  /**
   * Runs `act` unless the request was answered before. The same key with another request throws
   * IDEMPOTENCY_KEY_REUSED; while the first is still running, the same request waits for its answer.
   */
  once(
    request: IdempotentRequest,
    act: (producer: ProducerIdentity) => Promise<string>,
  ): Promise<{ readonly text: string; readonly replayed: boolean }>;
}

export interface IdempotentRequest {
  readonly principal: string;
  readonly key: string;
  readonly operation: string;
  /** All that makes two requests the same. */
  readonly content: readonly (string | Uint8Array)[];
}

type Entry = {
  readonly hash: string;
  readonly producerId: number;
  readonly epoch: number;
  readonly answer: string | null;
};

interface Running {
  readonly hash: string;
  readonly answer: Promise<string>;
}

const TABLE = 'api-idempotency';
const KEEP_MS = 86_400_000;
const MOST_KEYS = 100_000;
const LONGEST_KEY = 255;

export interface IdempotencyOptions {
  readonly state: StateStore;
  readonly streams: Streams;
  readonly clock: Clock;
  readonly mostKeys?: number;
}

export function createIdempotency(options: IdempotencyOptions): Idempotency {
  const running = new Map<string, Running>();
  const lead = createLeader(options);
  return {
    async once(request, act) {
      const { id, hash } = identify(request);
      const other = running.get(id);
      if (other) {
        if (other.hash !== hash) throw reused();
        return { text: await other.answer, replayed: true };
      }
      const led = lead(id, hash, act);
      const answer = led.then((result) => result.text);
      // Who waits for it sees the failure; without waiters nobody needs to.
      answer.catch(() => undefined);
      running.set(id, { hash, answer });
      try {
        return await led;
      } finally {
        running.delete(id);
      }
    },
  };
}

type Act = (producer: ProducerIdentity) => Promise<string>;
type Lead = (id: string, hash: string, act: Act) => Promise<{ text: string; replayed: boolean }>;

/** I1 to I3 for the one request of a key that runs at a time. */
function createLeader({ state, streams, clock, mostKeys = MOST_KEYS }: IdempotencyOptions): Lead {
  const bound = createKeyBound(state, clock, mostKeys);

  const store = (key: string, value: Entry): Promise<void> =>
    state.transact([{ kind: 'put', table: TABLE, key, value, expiresAtMs: clock.now() + KEEP_MS }]);

  const begin = async (id: string, hash: string): Promise<Entry> => {
    await bound.claim();
    const { producerId, epoch } = await streams.log.producers.init({});
    const entry: Entry = { hash, producerId, epoch, answer: null };
    await store(id, entry);
    return entry;
  };

  const run = async (id: string, entry: Entry, act: Act): Promise<string> => {
    try {
      const answer = await act({ producerId: entry.producerId, epoch: entry.epoch });
      await store(id, { ...entry, answer });
      return answer;
    } catch (error) {
      // A request that was refused has had no effect: it may be mended and sent again under its key.
      if (isMillraceError(error) && error.action === 'fix') {
        await state.transact([{ kind: 'delete', table: TABLE, key: id }]);
      }
      throw error;
    }
  };

  return async (id, hash, act) => {
    const found = (await state.get(TABLE, id))?.value as Entry | undefined;
    if (found && found.hash !== hash) throw reused();
    if (found && found.answer !== null) return { text: found.answer, replayed: true };
    return { text: await run(id, found ?? (await begin(id, hash)), act), replayed: false };
  };
}

function identify(request: IdempotentRequest): { id: string; hash: string } {
  if (request.key === '' || request.key.length > LONGEST_KEY) {
    throw new MillraceError(
      'BAD_REQUEST',
      `An Idempotency-Key has 1 to ${LONGEST_KEY} characters. Send another.`,
    );
  }
  return {
    id: digest([request.principal, request.operation, request.key]),
    hash: digest(request.content),
  };
}

function digest(parts: readonly (string | Uint8Array)[]): string {
  const hash: Hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('base64url');
}

function reused(): MillraceError {
  return new MillraceError(
    'IDEMPOTENCY_KEY_REUSED',
    'This Idempotency-Key came before with another request. Use a fresh key for each request.',
  );
}

/** Counts the keys that are kept, in the order in which they will be forgotten. */
function createKeyBound(state: StateStore, clock: Clock, most: number): { claim(): Promise<void> } {
  let loading: Promise<number[]> | undefined;

  const load = async (): Promise<number[]> => {
    const times: number[] = [];
    for (let after = '', done = false; !done; ) {
      const page = await state.list(TABLE, { after, limit: 10_000 });
      for (const entry of page) times.push(entry.expiresAtMs ?? 0);
      after = page.at(-1)?.key ?? '';
      done = page.length === 0;
    }
    return times.sort((a, b) => a - b);
  };

  return {
    async claim() {
      const times = await (loading ??= load());
      const now = clock.now();
      const gone = times.findIndex((expiresAtMs) => expiresAtMs > now);
      times.splice(0, gone < 0 ? times.length : gone);
      if (times.length >= most) {
        throw new MillraceError(
          'TOO_MANY_REQUESTS',
          `${most} idempotency keys are being kept, and no more fit. Publish without a key, or wait.`,
          { retryAfterMs: times[0]! - now },
        );
      }
      times.push(now + KEEP_MS);
    },
  };
}
