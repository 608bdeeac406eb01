import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { scratchFolder } from './calibration.ts';

/** When JetStream's files reach the disk: two minutes later at most, its default, or before each acknowledgement. */
export type NatsSync = 'default' | 'always';

/** A NATS server with JetStream on this machine, and the client in `bench/nats` to measure it with. */
export interface NatsPeer {
  /** Records a second, each acknowledged by the end; many wait for their acknowledgement at a time. */
  publish(stream: string, bytes: number, count: number): Promise<number>;
  /** Records a second that one reader gets, from the stream's beginning. */
  consume(stream: string, count: number): Promise<number>;
  /** How long each acknowledgement took, in ms, one record at a time. */
  acks(stream: string, bytes: number, count: number): Promise<number[]>;
  /** From when a record was due until it was read, in ms, at so many a second. */
  flow(stream: string, bytes: number, rate: number, seconds: number): Promise<number[]>;
}

const SOURCE = new URL('../nats/', import.meta.url).pathname;
const SERVER = 'github.com/nats-io/nats-server/v2';
const run = promisify(execFile);

/**
 * Runs `measure` against a NATS server; undefined, with the reason said, where there is none. A short run takes it along where it
 * has been built before: building takes minutes.
 */
export async function besideNats<Result>(
  { short, say }: { readonly short: boolean; readonly say: (line: string) => void },
  sync: NatsSync,
  measure: (peer: NatsPeer) => Promise<Result>,
): Promise<Result | undefined> {
  const folder = await natsPrograms(short);
  if (typeof folder !== 'string') {
    say(`NATS JetStream is left out: ${folder.unavailable}`);
    return undefined;
  }
  say(`NATS JetStream, sync_interval ${sync}`);
  await using server = await startNats(folder, sync);
  return await measure(server.peer);
}

/** The folder of the two programs, built once for each state of their sources by Go, in the user's cache folder. */
async function natsPrograms(short: boolean): Promise<string | { readonly unavailable: string }> {
  const files = ['go.mod', 'go.sum', 'main.go'].map((name) => readFileSync(join(SOURCE, name)));
  const hash = createHash('sha256').update(Buffer.concat(files)).digest('hex').slice(0, 16);
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'millrace');
  const folder = join(cache, `nats-${hash}`);
  if (existsSync(folder)) return folder;
  if (short) return { unavailable: 'it is built by a full run' };
  const go = ['go', '/usr/local/go/bin/go'].find((path) => spawnSync(path, ['version']).status === 0);
  if (go === undefined)
    return { unavailable: 'it is built with Go, which is not installed (https://go.dev/dl)' };
  mkdirSync(cache, { recursive: true });
  const building = mkdtempSync(join(cache, 'nats-building-'));
  try {
    for (const what of ['.', SERVER]) {
      const output = join(building, what === '.' ? 'client' : 'server');
      await run(go, ['build', '-o', output, what], { cwd: SOURCE, timeout: 900_000 });
    }
    // Under its name only once it is whole.
    renameSync(building, folder);
    return folder;
  } catch (error) {
    return { unavailable: `it cannot be built: ${(error as Error).message}` };
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
}

async function startNats(folder: string, sync: NatsSync): Promise<{ peer: NatsPeer } & AsyncDisposable> {
  const scratch = scratchFolder();
  const config = join(scratch.path, 'nats.conf');
  const jetstream = `store_dir: "${scratch.path}"${sync === 'always' ? ', sync_interval: always' : ''}`;
  writeFileSync(
    config,
    `listen: "127.0.0.1:-1"\nports_file_dir: "${scratch.path}"\njetstream { ${jetstream} }\n`,
  );
  const child = spawn(join(folder, 'server'), ['-c', config], { stdio: ['ignore', 'ignore', 'ignore'] });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
    scratch[Symbol.dispose]();
  };
  try {
    const url = await addressIn(scratch.path);
    return { peer: peerAt(join(folder, 'client'), url), [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The server writes the port it was given into a file, once it listens. */
async function addressIn(folder: string): Promise<string> {
  for (let tries = 0; tries < 200; tries++) {
    const name = readdirSync(folder).find((file) => file.endsWith('.ports'));
    const text = name === undefined ? '' : readFileSync(join(folder, name), 'utf8');
    if (text.endsWith('}')) return (JSON.parse(text) as { nats: string[] }).nats[0]!;
    await delay(50);
  }
  throw new Error('The NATS server does not listen after 10 seconds.');
}

function peerAt(client: string, url: string): NatsPeer {
  const ask = async <Answer>(command: string, options: { readonly [name: string]: string | number }) => {
    const words = Object.entries({ url, ...options }).map(([name, value]) => `-${name}=${value}`);
    const { stdout } = await run(client, [command, ...words], {
      maxBuffer: 64 * 1024 ** 2,
      timeout: 600_000,
    });
    return JSON.parse(stdout) as Answer;
  };
  const rateOf = ({ count, seconds }: { count: number; seconds: number }): number => count / seconds;
  return {
    publish: async (stream, bytes, count) => rateOf(await ask('publish', { stream, bytes, count })),
    consume: async (stream, count) => rateOf(await ask('consume', { stream, count })),
    acks: async (stream, bytes, count) =>
      (await ask<{ timesMs: number[] }>('acks', { stream, bytes, count })).timesMs,
    flow: async (stream, bytes, rate, seconds) =>
      (await ask<{ timesMs: number[] }>('flow', { stream, bytes, rate, count: rate * seconds })).timesMs,
  };
}
