import { createCipheriv, createDecipheriv } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { type Clock, MillraceError, type Random, type Secrets, type StateStore } from '../kernel/index.ts';

/** Secrets with what the platform's own API needs on top. */
export interface SecretStore extends Secrets {
  /** Throws INVALID_INPUT. */
  set(name: string, value: string): Promise<void>;
  /** Throws NOT_FOUND. */
  remove(name: string): Promise<void>;
}

/** AES-256-GCM; all three are base64. The name is authenticated with the value, so that entries cannot be swapped. */
interface Sealed {
  readonly iv: string;
  readonly tag: string;
  readonly data: string;
  readonly updatedMs: number;
}

const TABLE = 'govern.secrets';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const VALUE_BYTES = 64 * 1024;

function checkName(name: string): void {
  if (NAME.test(name)) return;
  const message = `'${name.slice(0, 80)}' is not a name for a secret. Use letters, digits and _, such as CRM_KEY.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/name', message }] });
}

function missing(name: string): MillraceError {
  return new MillraceError(
    'NOT_FOUND',
    `There is no secret '${name}'. Set it with \`millrace secret set ${name}\`.`,
  );
}

async function makeKey(path: string, random: Random): Promise<Uint8Array | undefined> {
  try {
    await using handle = await open(path, 'wx', 0o600);
    const key = random.bytes(KEY_BYTES);
    await handle.writeFile(`${Buffer.from(key).toString('hex')}\n`);
    await handle.sync();
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
}

/** The key that encrypts all secrets; made at first use, readable by its owner alone. */
async function loadKey(path: string, random: Random): Promise<Uint8Array> {
  const made = await makeKey(path, random);
  if (made) return made;
  const { mode } = await stat(path);
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    const message = `Others can read the key of the secrets. Run: chmod 600 ${path}`;
    throw new MillraceError('CONFIG_UNSAFE', message);
  }
  const text = (await readFile(path, 'utf8')).trim();
  if (/^[0-9a-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
  throw new MillraceError('DATA_DAMAGED', `${path} holds no valid key. Restore it from a backup.`);
}

function seal(key: Uint8Array, iv: Uint8Array, name: string, value: string): Omit<Sealed, 'updatedMs'> {
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(name));
  const data = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()]).toString('base64');
  return { iv: Buffer.from(iv).toString('base64'), tag: cipher.getAuthTag().toString('base64'), data };
}

function unseal(key: Uint8Array, name: string, { iv, tag, data }: Sealed): string {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64'), { authTagLength: 16 })
      .setAAD(Buffer.from(name))
      .setAuthTag(Buffer.from(tag, 'base64'));
    return decipher.update(data, 'base64', 'utf8') + decipher.final('utf8');
  } catch {
    const message =
      `The secret '${name}' cannot be decrypted: it or the key file was changed. ` +
      `Restore the key file, or set the secret again with \`millrace secret set ${name}\`.`;
    throw new MillraceError('DATA_DAMAGED', message);
  }
}

/** Secrets in the state store, encrypted at rest with a key that lies in the data folder. */
export function createSecrets(parts: {
  readonly state: StateStore;
  readonly clock: Clock;
  readonly random: Random;
  /** The key file; made when it is not there. */
  readonly keyPath: string;
}): SecretStore {
  const { state, clock, random, keyPath } = parts;
  let loading: Promise<Uint8Array> | undefined;
  // A failed attempt is not remembered: the remedy it names takes effect without a restart.
  const keyOf = (): Promise<Uint8Array> =>
    (loading ??= loadKey(keyPath, random).catch((error: unknown) => {
      loading = undefined;
      throw error;
    }));
  return {
    async read(name) {
      checkName(name);
      const entry = await state.get(TABLE, name);
      if (!entry) throw missing(name);
      return unseal(await keyOf(), name, entry.value as unknown as Sealed);
    },
    async names() {
      return (await state.list(TABLE, { limit: 10_000 })).map((entry) => entry.key);
    },
    async set(name, value) {
      checkName(name);
      if (Buffer.byteLength(value) > VALUE_BYTES) {
        const message = `The value of '${name}' is larger than ${VALUE_BYTES} bytes. Shorten it.`;
        throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/value', message }] });
      }
      const sealed = seal(await keyOf(), random.bytes(IV_BYTES), name, value);
      const stored = { ...sealed, updatedMs: clock.now() };
      await state.transact([{ kind: 'put', table: TABLE, key: name, value: stored }]);
    },
    async remove(name) {
      checkName(name);
      const entry = await state.get(TABLE, name);
      if (!entry) throw missing(name);
      await state.transact([{ kind: 'delete', table: TABLE, key: name }]);
    },
  };
}
