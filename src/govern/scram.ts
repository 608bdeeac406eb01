import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import {
  type GuardAction,
  type Json,
  MillraceError,
  type Principal,
  type Random,
  type StateStore,
} from '../kernel/index.ts';

/**
 * Users with passwords, for clients that authenticate by SCRAM (RFC 5802, RFC 7677), as Kafka's do.
 *
 * U1 What is stored lets the server check a proof and prove itself; neither the password nor what would do in its place
 *    (the salted password) is kept.
 * U2 Who asks for a user that is not there gets a challenge like any other, and learns only that the proof is wrong.
 * U3 These users may read and write; lists may allow them less. To administer takes a token.
 */
export const SCRAM_MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
export type ScramMechanism = (typeof SCRAM_MECHANISMS)[number];

export const SCRAM_SCOPES: readonly GuardAction[] = ['read', 'write'];
/** RFC 7677 asks for at least so many; more than the other bound would only keep clients busy. */
const ITERATIONS = { least: 4096, most: 16_384 } as const;
const TABLE = 'govern.scram';
const NONCE_BYTES = 24;
const DIGESTS = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const;

export interface ScramUsers {
  /** What each user has, by name in order. */
  list(): Promise<readonly { readonly user: string; readonly credentials: readonly ScramCredentialInfo[] }[]>;
  /** Sets the password, which the caller has salted. Throws INVALID_INPUT. */
  put(user: string, credential: ScramCredentialInfo & SaltedPassword): Promise<void>;
  /** Throws NOT_FOUND. */
  remove(user: string, mechanism: ScramMechanism): Promise<void>;
  /** A new authentication, for one connection. */
  begin(mechanism: ScramMechanism): ScramExchange;
}

export interface ScramCredentialInfo {
  readonly mechanism: ScramMechanism;
  readonly iterations: number;
}

export interface SaltedPassword {
  readonly salt: Uint8Array;
  readonly saltedPassword: Uint8Array;
}

export interface ScramExchange {
  /** Takes the client's first and then its final message; with the answer to that comes who it is. Throws UNAUTHENTICATED. */
  step(message: Uint8Array): Promise<{ readonly reply: Uint8Array; readonly principal?: Principal }>;
}

interface StoredCredential {
  readonly iterations: number;
  readonly salt: string;
  readonly storedKey: string;
  readonly serverKey: string;
}

type StoredUser = { readonly [mechanism in ScramMechanism]?: StoredCredential };

interface ScramParts {
  readonly state: StateStore;
  readonly random: Random;
  /** Makes the principal of a user who has proved who they are. */
  readonly admit: (user: string) => Principal;
}

export function createScramUsers(parts: ScramParts): ScramUsers {
  const { state, random } = parts;
  // Challenges for users that are not there: the same each time, as those of users that are.
  const secret = random.bytes(32);
  const load = async (user: string) => (user === '' ? undefined : await state.get(TABLE, user));
  const stored = async (user: string): Promise<StoredUser> =>
    ((await load(user))?.value ?? {}) as unknown as StoredUser;
  const save = async (user: string, value: StoredUser): Promise<void> => {
    const isEmpty = Object.keys(value).length === 0;
    await state.transact([
      isEmpty
        ? { kind: 'delete', table: TABLE, key: user }
        : { kind: 'put', table: TABLE, key: user, value: value as unknown as Json },
    ]);
  };
  return {
    async list() {
      const entries = await state.list(TABLE, { limit: 10_000 });
      return entries.map(({ key, value }) => ({
        user: key,
        credentials: SCRAM_MECHANISMS.flatMap((mechanism) => {
          const credential = (value as unknown as StoredUser)[mechanism];
          return credential ? [{ mechanism, iterations: credential.iterations }] : [];
        }),
      }));
    },
    async put(user, { mechanism, iterations, salt, saltedPassword }) {
      checkCredential(user, iterations);
      const keys = keysOf(mechanism, saltedPassword);
      const credential = { iterations, salt: Buffer.from(salt).toString('base64'), ...keys };
      await save(user, { ...(await stored(user)), [mechanism]: credential });
    },
    async remove(user, mechanism) {
      const { [mechanism]: removed, ...rest } = await stored(user);
      if (!removed) throw new MillraceError('NOT_FOUND', `User '${user}' has no password for ${mechanism}.`);
      await save(user, rest);
    },
    begin: (mechanism) =>
      new Exchange(mechanism, { ...parts, secret, find: async (user) => (await stored(user))[mechanism] }),
  };
}

function checkCredential(user: string, iterations: number): void {
  if (!/^[^\s,=]{1,200}$/.test(user)) {
    throw new MillraceError(
      'INVALID_INPUT',
      'A user has a name of 1 to 200 characters without spaces, , and =.',
    );
  }
  if (iterations < ITERATIONS.least || iterations > ITERATIONS.most) {
    const message = `Give ${ITERATIONS.least} to ${ITERATIONS.most} iterations, not ${iterations}.`;
    throw new MillraceError('INVALID_INPUT', message);
  }
}

const hmac = (mechanism: ScramMechanism, key: Uint8Array, text: string): Buffer =>
  createHmac(DIGESTS[mechanism], key).update(text).digest();
const hash = (mechanism: ScramMechanism, bytes: Uint8Array): Buffer =>
  createHash(DIGESTS[mechanism]).update(bytes).digest();

function keysOf(mechanism: ScramMechanism, saltedPassword: Uint8Array) {
  const clientKey = hmac(mechanism, saltedPassword, 'Client Key');
  return {
    storedKey: hash(mechanism, clientKey).toString('base64'),
    serverKey: hmac(mechanism, saltedPassword, 'Server Key').toString('base64'),
  };
}

function refused(): MillraceError {
  return new MillraceError('UNAUTHENTICATED', 'The user or the password is wrong.');
}

interface ExchangeParts extends ScramParts {
  readonly secret: Uint8Array;
  readonly find: (user: string) => Promise<StoredCredential | undefined>;
}

interface Challenge {
  readonly user: string;
  readonly clientFirst: string;
  readonly serverFirst: string;
  readonly nonce: string;
  readonly credential: StoredCredential | undefined;
}

/** The server's side of one authentication. */
class Exchange implements ScramExchange {
  readonly #mechanism: ScramMechanism;
  readonly #parts: ExchangeParts;
  #challenge: Challenge | undefined;

  constructor(mechanism: ScramMechanism, parts: ExchangeParts) {
    this.#mechanism = mechanism;
    this.#parts = parts;
  }

  async step(message: Uint8Array) {
    const text = Buffer.from(message).toString('utf8');
    return this.#challenge ? this.#finish(text, this.#challenge) : this.#begin(text);
  }

  /** `n,,n=user,r=nonce`: channel binding is not offered. An authorization identity must be the user's own. */
  async #begin(text: string) {
    const [, authorization, clientFirst, name, clientNonce] =
      /^[ny],(?:a=([^,]*))?,(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/.exec(text) ?? [];
    if (name === undefined || clientFirst === undefined) throw refused();
    const user = name.replaceAll('=2C', ',').replaceAll('=3D', '=');
    if (authorization !== undefined && authorization !== name) throw refused();
    const credential = await this.#parts.find(user);
    const nonce = clientNonce + Buffer.from(this.#parts.random.bytes(NONCE_BYTES)).toString('base64url');
    const salt = credential?.salt ?? this.#saltOfNobody(user);
    const serverFirst = `r=${nonce},s=${salt},i=${credential?.iterations ?? ITERATIONS.least}`;
    this.#challenge = { user, clientFirst, serverFirst, nonce, credential };
    return { reply: Buffer.from(serverFirst) };
  }

  #saltOfNobody(user: string): string {
    return createHmac('sha256', this.#parts.secret).update(user).digest().subarray(0, 16).toString('base64');
  }

  /** `c=biws,r=nonce,p=proof`. */
  async #finish(text: string, { user, clientFirst, serverFirst, nonce, credential }: Challenge) {
    const [, withoutProof, binding, repeated, proof] =
      /^((?:c=([^,]+)),r=([^,]+)(?:,.*)?),p=([^,]+)$/.exec(text) ?? [];
    this.#challenge = undefined;
    const isPlain =
      binding !== undefined && /^[ny],(?:a=[^,]*)?,$/.test(Buffer.from(binding, 'base64').toString());
    if (withoutProof === undefined || !isPlain || repeated !== nonce || !credential) throw refused();
    const storedKey = Buffer.from(credential.storedKey, 'base64');
    const authMessage = `${clientFirst},${serverFirst},${withoutProof}`;
    const signature = hmac(this.#mechanism, storedKey, authMessage);
    const given = Buffer.from(proof!, 'base64');
    if (given.length !== signature.length) throw refused();
    const clientKey = given.map((byte, index) => byte ^ signature[index]!);
    if (!timingSafeEqual(hash(this.#mechanism, clientKey), storedKey)) throw refused();
    const serverKey = Buffer.from(credential.serverKey, 'base64');
    const reply = `v=${hmac(this.#mechanism, serverKey, authMessage).toString('base64')}`;
    return { reply: Buffer.from(reply), principal: this.#parts.admit(user) };
  }
}
