import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { MillraceError } from '../../kernel/index.ts';
import type { SaslOptions } from './options.ts';

/** Sends one message of the exchange and resolves to the broker's. */
export type Exchange = (message: Uint8Array) => Promise<Uint8Array>;

/** Proves to the broker who this is; with SCRAM the broker proves that it knows the password too. Throws UNAUTHENTICATED. */
export async function authenticate(sasl: SaslOptions, exchange: Exchange): Promise<void> {
  if (sasl.mechanism === 'PLAIN') {
    // RFC 4616: no authorisation identity, then name and password.
    await exchange(Buffer.from(`\0${sasl.username}\0${sasl.password}`));
    return;
  }
  await scram(sasl, sasl.mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512', exchange);
}

const HASH_BYTES = { sha256: 32, sha512: 64 } as const;
/** A broker that asks for more would hold up the connection for minutes. */
const MOST_ITERATIONS = 1_000_000;

/** RFC 5802, without channel binding. */
async function scram(sasl: SaslOptions, hash: 'sha256' | 'sha512', exchange: Exchange): Promise<void> {
  const nonce = randomBytes(24).toString('base64');
  const name = sasl.username.replaceAll('=', '=3D').replaceAll(',', '=2C');
  const first = `n=${name},r=${nonce}`;
  const challenge = Buffer.from(await exchange(Buffer.from(`n,,${first}`))).toString();
  const fields = fieldsOf(challenge);
  const serverNonce = fields.get('r') ?? '';
  const iterations = Number(fields.get('i'));
  if (!serverNonce.startsWith(nonce) || !(iterations >= 4096 && iterations <= MOST_ITERATIONS)) {
    throw refused(`its challenge '${challenge.slice(0, 100)}' is not SCRAM's`);
  }
  const hmac = (key: Uint8Array, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const salt = Buffer.from(fields.get('s') ?? '', 'base64');
  const salted = await promisify(pbkdf2)(sasl.password, salt, iterations, HASH_BYTES[hash], hash);
  const clientKey = hmac(salted, 'Client Key');
  const storedKey = createHash(hash).update(clientKey).digest();
  const last = `c=biws,r=${serverNonce}`;
  const signed = `${first},${challenge},${last}`;
  const signature = hmac(storedKey, signed);
  const proof = clientKey.map((byte, index) => byte ^ signature[index]!);
  const answer = await exchange(Buffer.from(`${last},p=${Buffer.from(proof).toString('base64')}`));
  const verifier = Buffer.from(fieldsOf(Buffer.from(answer).toString()).get('v') ?? '', 'base64');
  const expected = hmac(hmac(salted, 'Server Key'), signed);
  if (verifier.length !== expected.length || !timingSafeEqual(verifier, expected)) {
    throw refused('the broker does not know the password');
  }
}

function fieldsOf(message: string): Map<string, string> {
  return new Map(message.split(',').map((field) => [field.slice(0, 1), field.slice(2)]));
}

export function refused(why: string): MillraceError {
  return new MillraceError(
    'UNAUTHENTICATED',
    `The Kafka cluster does not let Millrace in: ${why}. Check the mechanism, name and password of kafka({ sasl }).`,
  );
}
