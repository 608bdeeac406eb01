import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Server } from 'node:net';
import { createSecureContext, type Server as SecureServer } from 'node:tls';
import { type Clock, MillraceError, signal } from '../../kernel/index.ts';

/** PEM files; they are read again when they change. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities whose clients' certificates count. */
  readonly clientCaFile?: string;
}

/** Files and the state (`fingerprint`) in which they were loaded. */
export interface WatchedTlsFiles extends TlsFiles {
  readonly seen: string;
}

interface SecureContextInput {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

const CHECK_EVERY_MS = 2000;

/** Reads the files and checks that they fit each other. Throws CONFIG_INVALID with the remedy. */
export async function loadSecureContext(files: TlsFiles): Promise<SecureContextInput> {
  const ca = files.clientCaFile === undefined ? {} : { ca: await readAuthorities(files.clientCaFile) };
  try {
    const [cert, key] = await Promise.all([readFile(files.certFile), readFile(files.keyFile)]);
    createSecureContext({ cert, key });
    new X509Certificate(cert);
    return { cert, key, ...ca };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(
      'CONFIG_INVALID',
      `The TLS certificate ${files.certFile} with the key ${files.keyFile} cannot be used: ${reason}. Give PEM files that belong together.`,
      { cause },
    );
  }
}

/** Throws CONFIG_INVALID with the remedy. */
async function readAuthorities(path: string): Promise<Buffer> {
  try {
    const ca = await readFile(path);
    new X509Certificate(ca);
    return ca;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError(
      'CONFIG_INVALID',
      `The certificate authorities of clients in ${path} cannot be used: ${reason}. Give a PEM file with their certificates.`,
      { cause },
    );
  }
}

/**
 * Looks at the files every two seconds and swaps the context when they changed: connections that are open go on, new
 * ones see the new certificate. Files that cannot be used are reported and the old context stays. Returns the stop.
 */
export function watchTlsFiles(server: Server, files: WatchedTlsFiles, clock: Clock): () => void {
  let stopped = false;
  let timer = clock.after(CHECK_EVERY_MS, check);
  let { seen } = files;

  async function reload(): Promise<void> {
    const now = await fingerprint(files);
    if (now === seen) return;
    seen = now;
    try {
      (server as SecureServer).setSecureContext(await loadSecureContext(files));
      signal('platform.log', {
        level: 'info',
        room: 'gateway',
        message: 'The TLS certificate was reloaded.',
      });
    } catch (error) {
      const message = `${(error as Error).message} The old certificate stays in use.`;
      signal('platform.log', { level: 'error', room: 'gateway', message });
    }
  }

  function check(): void {
    void reload().then(() => {
      if (!stopped) timer = clock.after(CHECK_EVERY_MS, check);
    });
  }

  return () => {
    stopped = true;
    timer.cancel();
  };
}

/** The files' state; taken before they are loaded, so that a change in between counts as one. */
export async function fingerprint(files: TlsFiles): Promise<string> {
  const parts = await Promise.all(
    [files.certFile, files.keyFile, ...(files.clientCaFile === undefined ? [] : [files.clientCaFile])].map(
      stateOf,
    ),
  );
  return parts.join('|');
}

/** A file that is missing for a moment (it is being replaced) counts as another state, and is reported as such. */
async function stateOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found ? `${found.mtimeNs}:${found.size}:${found.ino}` : 'missing';
}
