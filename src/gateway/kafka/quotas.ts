import type { Clock, Json, StateStore } from '../../kernel/index.ts';

/** What is bounded, by Apache Kafka's names: bytes a second that are written, and that are read. */
export const QUOTA_KEYS = ['producer_byte_rate', 'consumer_byte_rate'] as const;
export type QuotaKey = (typeof QUOTA_KEYS)[number];

/** Whom a quota is for. null: everybody who has none of their own; left out: whoever it is. */
export interface QuotaEntity {
  readonly user?: string | null;
  readonly clientId?: string | null;
}

export interface Quota {
  readonly entity: QuotaEntity;
  readonly values: { readonly [key in QuotaKey]?: number };
}

const TABLE = 'gateway.kafka.quotas';
const MOST_WAIT_MS = 30_000;
/** Clients whose use is remembered; the oldest is forgotten first, which lets it write a second's worth too much. */
const MOST_BUCKETS = 10_000;

interface Bucket {
  /** Bytes that may go at once: at most those of a second, less than nothing after too many. */
  bytes: number;
  atMs: number;
}

/**
 * Bytes a second for each client, by user and client id (KIP-13, KIP-55). Who is over it is answered all the same, told for
 * how long to be quiet, and not listened to for that long.
 */
export class Quotas {
  readonly #state: StateStore;
  readonly #clock: Clock;
  readonly #quotas = new Map<string, Quota>();
  readonly #buckets = new Map<string, Bucket>();

  constructor({ state, clock }: { readonly state: StateStore; readonly clock: Clock }) {
    this.#state = state;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    for (const { key, value } of await this.#state.list(TABLE, { limit: 10_000 })) {
      this.#quotas.set(key, value as unknown as Quota);
    }
  }

  list(): readonly Quota[] {
    return [...this.#quotas.values()];
  }

  /** Sets values (null removes one); durable when it resolves, in force at once. */
  async alter(entity: QuotaEntity, change: { readonly [key in QuotaKey]?: number | null }): Promise<void> {
    const key = keyOf(entity);
    const merged = { ...this.#quotas.get(key)?.values, ...change };
    const values = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
    if (Object.keys(values).length === 0) {
      await this.#state.transact([{ kind: 'delete', table: TABLE, key }]);
      this.#quotas.delete(key);
      return;
    }
    const quota = { entity: { ...entity }, values } as unknown as Quota;
    await this.#state.transact([{ kind: 'put', table: TABLE, key, value: quota as unknown as Json }]);
    this.#quotas.set(key, quota);
  }

  /** Counts bytes of a client; how long it is to be quiet, in milliseconds. */
  use(user: string, clientId: string, key: QuotaKey, bytes: number): number {
    if (this.#quotas.size === 0) return 0;
    const found = this.#find(user, clientId, key);
    if (!found) return 0;
    const { rate, scope } = found;
    const bucket = this.#bucket(`${key} ${scope}`, rate);
    const now = this.#clock.monotonic();
    bucket.bytes = Math.min(rate, bucket.bytes + ((now - bucket.atMs) * rate) / 1000) - bytes;
    bucket.atMs = now;
    return bucket.bytes >= 0 ? 0 : Math.min(MOST_WAIT_MS, Math.ceil((-bucket.bytes * 1000) / rate));
  }

  #bucket(key: string, rate: number): Bucket {
    let bucket = this.#buckets.get(key);
    if (bucket) return bucket;
    if (this.#buckets.size >= MOST_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(key, (bucket = { bytes: rate, atMs: this.#clock.monotonic() }));
    return bucket;
  }

  /** The rate that applies, and who shares it. The more special quota wins, users before client ids (KIP-55). */
  #find(user: string, clientId: string, key: QuotaKey): { rate: number; scope: string } | undefined {
    const candidates: readonly QuotaEntity[] = [
      ...[user, null].flatMap((who) => [
        { user: who, clientId },
        { user: who, clientId: null },
        { user: who },
      ]),
      { clientId },
      { clientId: null },
    ];
    for (const entity of candidates) {
      const rate = this.#quotas.get(keyOf(entity))?.values[key];
      if (rate === undefined) continue;
      const who = 'user' in entity ? user : '';
      return { rate, scope: JSON.stringify([who, 'clientId' in entity ? clientId : '']) };
    }
    return undefined;
  }
}

const keyOf = ({ user, clientId }: QuotaEntity): string =>
  JSON.stringify([user === undefined ? [] : [user], clientId === undefined ? [] : [clientId]]);
