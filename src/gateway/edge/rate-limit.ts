import type { Clock } from '../../kernel/index.ts';

/** How a request stands with its allowance. */
export interface Allowance {
  readonly allowed: boolean;
  readonly limit: number;
  /** What is left in this window. */
  readonly remaining: number;
  /** Until an allowance comes back, milliseconds. */
  readonly resetMs: number;
}

export interface RateLimiter {
  /** Counts one request of `client`, unless it is refused. */
  take(client: string): Allowance;
}

/** Requests that came within one part of the window, counted together. */
interface Slot {
  firstMs: number;
  lastMs: number;
  count: number;
}

/** Slots of one client, oldest first, with their sum. */
interface Client {
  readonly slots: Slot[];
  total: number;
}

const SLOTS = 60;
export const MOST_CLIENTS = 10_000;

/**
 * A sliding window: in no stretch of `perMs`, wherever it begins, are more than `requests` let through, and a burst of
 * exactly `requests` is. A fixed window lets twice as many through at its edge, and a token bucket (GCRA) refills while a
 * burst runs, so neither is exact. Requests within a sixtieth of the window are counted together and leave it with the
 * last of them: an allowance may come back that much later, never earlier, and a client costs at most 61 counters.
 *
 * Taking is synchronous, so concurrency cannot make it count wrong. At most `mostClients` are remembered; beyond that
 * the one that was seen longest ago is forgotten.
 */
export function createRateLimiter(
  { requests, perMs }: { readonly requests: number; readonly perMs: number },
  clock: Clock,
  mostClients: number = MOST_CLIENTS,
): RateLimiter {
  const slotMs = perMs / SLOTS;
  const clients = new Map<string, Client>();

  const clientOf = (name: string): Client => {
    const known = clients.get(name);
    if (known) clients.delete(name);
    else if (clients.size >= mostClients) clients.delete(clients.keys().next().value!);
    const client = known ?? { slots: [], total: 0 };
    // Last in the order of the map: the first is the one seen longest ago.
    clients.set(name, client);
    return client;
  };

  return {
    take(name) {
      const nowMs = clock.monotonic();
      const client = clientOf(name);
      forget(client, nowMs - perMs);
      const oldest = client.slots[0];
      const allowed = client.total < requests;
      if (allowed) count(client, nowMs, slotMs);
      return {
        allowed,
        limit: requests,
        remaining: Math.max(0, requests - client.total),
        resetMs: (oldest?.lastMs ?? nowMs) + perMs - nowMs,
      };
    },
  };
}

function forget(client: Client, untilMs: number): void {
  while (client.slots.length > 0 && client.slots[0]!.lastMs <= untilMs) {
    client.total -= client.slots.shift()!.count;
  }
}

function count(client: Client, nowMs: number, slotMs: number): void {
  client.total++;
  const newest = client.slots.at(-1);
  if (newest && nowMs - newest.firstMs < slotMs) {
    newest.lastMs = nowMs;
    newest.count++;
  } else client.slots.push({ firstMs: nowMs, lastMs: nowMs, count: 1 });
}

/** `RateLimit-*` as the IETF draft's first versions and most of the web write them; seconds, rounded up. */
export function allowanceHeaders(allowance: Allowance): string[] {
  return [
    'RateLimit-Limit',
    String(allowance.limit),
    'RateLimit-Remaining',
    String(allowance.remaining),
    'RateLimit-Reset',
    String(Math.ceil(allowance.resetMs / 1000)),
  ];
}
