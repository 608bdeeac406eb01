import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fsBlobStore, fsDisk, fsLogArchive, fsSampleStore } from '../adapters/fs/index.ts';
import {
  memoryBlobStore,
  memoryLogArchive,
  memoryLogStore,
  memorySampleStore,
  memoryStateStore,
} from '../adapters/memory/index.ts';
import { sqliteStateStore } from '../adapters/sqlite/index.ts';
import {
  type BlobStore,
  type Clock,
  type DataFolder,
  openDataFolder,
  type Random,
  type Service,
  type StateStore,
} from '../kernel/index.ts';
import type { LogArchive, SampleStore } from '../observe/index.ts';
import { createEmbeddedLog, type Decompress, type LogStore } from '../streams/index.ts';

/** What samples may take on disk, and what logs may. */
const OBSERVE_BYTES = 64 * 1024 * 1024;
const LOG_AGE_MS = 7 * 24 * 3_600_000;

/** What holds data. */
export interface Substrate {
  /** The folder, or 'memory'. */
  readonly place: string;
  readonly log: LogStore;
  readonly store: StateStore;
  readonly blobs: BlobStore;
  readonly samples: SampleStore;
  readonly logs: LogArchive;
  /** Local folder for what can be made again. */
  readonly cacheFolder: string;
  readonly services: readonly Service[];
}

export function memorySubstrate(clock: Clock, random: Random): Substrate {
  const log = memoryLogStore({ clock, random });
  const store = memoryStateStore({ clock });
  const blobs = memoryBlobStore({ clock });
  const cacheFolder = join(tmpdir(), `millrace-${randomUUID()}`);
  const cache: Service = {
    name: 'cache folder',
    stop: () => rm(cacheFolder, { recursive: true, force: true }),
  };
  const samples = memorySampleStore();
  const logs = memoryLogArchive();
  const services = [cache, store, blobs, log];
  return { place: 'memory', log, store, blobs, samples, logs, cacheFolder, services };
}

export function diskSubstrate(
  path: string,
  clock: Clock,
  random: Random,
  parts: { readonly decompress: Decompress; readonly log?: LogStore },
): Substrate {
  const { decompress } = parts;
  const log = parts.log ?? createEmbeddedLog({ disk: fsDisk(join(path, 'log')), clock, random, decompress });
  const store = sqliteStateStore({ path: join(path, 'state.db'), clock });
  const blobs = fsBlobStore({ folder: join(path, 'blobs') });
  const samples = fsSampleStore({ folder: join(path, 'observe', 'samples'), mostBytes: OBSERVE_BYTES });
  const logs = fsLogArchive({
    folder: join(path, 'observe', 'logs'),
    mostBytes: OBSERVE_BYTES,
    mostAgeMs: LOG_AGE_MS,
  });
  const services = [dataFolder(path, clock), store, blobs, log];
  return { place: path, log, store, blobs, samples, logs, cacheFolder: join(path, 'cache'), services };
}

/** Holds the lock for as long as anything uses the folder. */
export function dataFolder(path: string, clock: Clock): Service {
  let folder: DataFolder | undefined;
  return {
    name: 'data folder',
    async start() {
      folder = await openDataFolder({ path, clock });
      await Promise.all(['log', 'blobs'].map((name) => folder!.folder(name)));
    },
    async stop() {
      folder?.close();
    },
  };
}
