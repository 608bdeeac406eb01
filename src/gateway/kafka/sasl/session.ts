import {
  SCRAM_MECHANISMS,
  type ScramExchange,
  type ScramMechanism,
  type ScramUsers,
} from '../../../govern/index.ts';
import type { Clock, Guard, Principal } from '../../../kernel/index.ts';
import { KafkaError } from '../errors.ts';

export const MECHANISMS: readonly string[] = ['PLAIN', ...SCRAM_MECHANISMS];

/** Longest that a client may go on without proving again who it is (KIP-368): a password that was changed ends by then. */
const SESSION_MS = 3_600_000;

interface SessionParts {
  readonly guard: Guard;
  readonly scram: ScramUsers;
  readonly clock: Clock;
  /** Who a connection is that does not authenticate; undefined where it has to. */
  readonly principal: Principal | undefined;
}

export interface Step {
  readonly reply: Uint8Array;
  /** Until the client has to authenticate again; 0 while it is not done. */
  readonly lifetimeMs: number;
}

/** Who a connection is: SASL in the messages of Kafka (KIP-43, KIP-152), with PLAIN or SCRAM. */
export class Session {
  readonly #parts: SessionParts;
  #principal: Principal | undefined;
  #endsAtMs: number;
  #mechanism: string | undefined;
  #exchange: ScramExchange | undefined;
  /** After version 0 of SaslHandshake, tokens come as frames of their own instead of in SaslAuthenticate. */
  raw = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#principal = parts.principal;
    this.#endsAtMs = parts.principal?.expiresAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** undefined before the client has authenticated, and when the time of that is over. */
  get principal(): Principal | undefined {
    return this.#parts.clock.now() < this.#endsAtMs ? this.#principal : undefined;
  }

  /** Chooses the mechanism; also to authenticate anew. Throws KafkaError UNSUPPORTED_SASL_MECHANISM. */
  begin(mechanism: string): void {
    if (!MECHANISMS.includes(mechanism)) throw new KafkaError('UNSUPPORTED_SASL_MECHANISM');
    this.#mechanism = mechanism;
    this.#exchange = (SCRAM_MECHANISMS as readonly string[]).includes(mechanism)
      ? this.#parts.scram.begin(mechanism as ScramMechanism)
      : undefined;
  }

  /** Takes the client's next message. Throws KafkaError ILLEGAL_SASL_STATE and MillraceError UNAUTHENTICATED. */
  async step(message: Uint8Array): Promise<Step> {
    const mechanism = this.#mechanism;
    if (mechanism === undefined) throw new KafkaError('ILLEGAL_SASL_STATE', 'Choose a mechanism first.');
    const { reply, principal } = this.#exchange
      ? await this.#exchange.step(message)
      : await this.#plain(message);
    if (!principal) return { reply, lifetimeMs: 0 };
    return { reply, lifetimeMs: this.#done(principal) };
  }

  /** `authorization\0user\0password` (RFC 4616); a token is the password. */
  async #plain(message: Uint8Array): Promise<{ reply: Uint8Array; principal: Principal }> {
    const [authorization, user, password, ...rest] = Buffer.from(message).toString('utf8').split('\0');
    const isSelf = authorization === '' || authorization === user;
    if (!user || !password || !isSelf || rest.length > 0) {
      throw new KafkaError('SASL_AUTHENTICATION_FAILED', 'Give a user and a password.');
    }
    const principal = await this.#parts.guard.identify({ user, password, loopback: false });
    return { reply: new Uint8Array(0), principal };
  }

  #done(principal: Principal): number {
    const now = this.#parts.clock.now();
    const before = this.#principal;
    // Who a connection is by itself gives way to who it says it is.
    const byItself = before?.kind === 'local' || before?.kind === 'certificate';
    if (before && !byItself && before.id !== principal.id) {
      throw new KafkaError('SASL_AUTHENTICATION_FAILED', 'A connection stays with the user it began with.');
    }
    this.#principal = principal;
    this.#mechanism = undefined;
    this.#exchange = undefined;
    this.raw = false;
    this.#endsAtMs = Math.min(now + SESSION_MS, principal.expiresAtMs ?? Number.POSITIVE_INFINITY);
    return this.#endsAtMs - now;
  }
}
