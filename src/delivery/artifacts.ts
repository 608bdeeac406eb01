import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type AppVersion,
  type Artifact,
  type BlobStore,
  type Manifest,
  MillraceError,
  sha256Aside,
} from '../kernel/index.ts';

/**
 * Artifacts of apps: durable in the BlobStore, file by file under its hash, and in a local folder for instances to load.
 * A version's folder appears by a rename when it is complete, and is never changed after that.
 */
export interface Artifacts {
  /** Throws APP_INVALID when a file is not there or does not match its hash. */
  verify(artifact: Artifact): Promise<void>;
  /** Stores what is not there yet. */
  store(artifact: Artifact): Promise<void>;
  /** Throws VERSION_NOT_FOUND. */
  manifest(app: string, version: string): Promise<Manifest>;
  /**
   * The version with its files in a local folder; from `files` when they are at hand, else from the store. What `like`
   * has too is linked, so that many versions take little room.
   */
  materialise(manifest: Manifest, files?: Artifact['files'], like?: AppVersion): Promise<AppVersion>;
  /** Where `materialise` puts it. */
  locate(manifest: Manifest): AppVersion;
  /**
   * Removes local folders of all but these versions, and what a crash left half laid out. For the start: while the platform
   * runs, instances of functions that did not change may load from the folder of any earlier version.
   */
  clean(active: readonly AppVersion[]): Promise<void>;
  /** Removes all versions of the app but those in `keep` from the store. */
  prune(app: string, keep: readonly string[]): Promise<void>;
}

export interface ArtifactOptions {
  readonly blobs: BlobStore;
  /** Local folder for files that can be made again. */
  readonly cacheFolder: string;
}

const fileKey = (app: string, hash: string): string => `artifacts/${app}/files/${hash}`;
const manifestKey = (app: string, version: string): string => `artifacts/${app}/versions/${version}`;

export function createArtifacts({ blobs, cacheFolder }: ArtifactOptions): Artifacts {
  const apps = join(cacheFolder, 'apps');
  const locate = (manifest: Manifest): AppVersion => {
    const { app, version } = manifest;
    return { app, version, manifest, folder: join(apps, app, version) };
  };

  /** Keys known to be there: asking the store reads the whole blob. */
  const stored = new Set<string>();
  let marked: Promise<void> | undefined;
  /** All chunks are ES modules; without this Node would parse each twice and warn. */
  const markModules = async (): Promise<void> => {
    await mkdir(apps, { recursive: true });
    await writeFile(join(cacheFolder, 'package.json'), '{"type":"module"}\n');
  };

  /** Folders whose files were seen to be right: after a power failure a complete folder may hold empty files. */
  const intact = new Set<string>();
  const isIntact = async ({ folder, manifest }: AppVersion): Promise<boolean> => {
    if (intact.has(folder)) return true;
    for (const { path, sha256 } of manifest.files) {
      const bytes = await readFile(join(folder, path)).catch(() => undefined);
      if (!bytes || (await sha256Aside(bytes)) !== sha256) return false;
    }
    return true;
  };

  return {
    locate,
    async clean(active) {
      const kept = new Set(active.map((version) => version.folder));
      const old = (await readdir(apps).catch(() => [])).map(async (app) => {
        for (const version of await readdir(join(apps, app)).catch(() => [])) {
          const folder = join(apps, app, version);
          if (!kept.has(folder)) await rm(folder, { recursive: true, force: true });
        }
      });
      await Promise.all(old);
    },
    async verify({ manifest, files }) {
      for (const { path, sha256: expected } of manifest.files) {
        const bytes = files.get(path);
        if (!bytes || (await sha256Aside(bytes)) !== expected) throw damaged(path);
      }
    },
    async store({ manifest, files }) {
      const { app, version } = manifest;
      const putNew = async (key: string, bytes: Uint8Array): Promise<void> => {
        if (stored.has(key)) return;
        if (!(await blobs.info(key))) await blobs.put(key, bytes);
        stored.add(key);
      };
      // Files of the same content share a blob.
      const byKey = new Map(manifest.files.map((file) => [fileKey(app, file.sha256), files.get(file.path)!]));
      byKey.set(manifestKey(app, version), Buffer.from(JSON.stringify(manifest)));
      await someAtOnce(byKey, ([key, bytes]) => putNew(key, bytes));
    },
    async manifest(app, version) {
      const key = manifestKey(app, version);
      if (!(await blobs.info(key))) {
        const message = `There is no version '${version}' of '${app}'. 'millrace versions ${app}' lists what there is.`;
        throw new MillraceError('VERSION_NOT_FOUND', message);
      }
      return JSON.parse(Buffer.from(await blobs.get(key)).toString()) as Manifest;
    },
    async materialise(manifest, files, like) {
      const { app } = manifest;
      const version = locate(manifest);
      await (marked ??= markModules());
      if (existsSync(version.folder)) {
        if (await isIntact(version)) {
          intact.add(version.folder);
          return version;
        }
        await rm(version.folder, { recursive: true });
      }
      const building = join(apps, app, `.${randomUUID()}`);
      await mkdir(building, { recursive: true });
      const folders = new Set(manifest.files.map((file) => dirname(join(building, file.path))));
      for (const folder of folders) await mkdir(folder, { recursive: true });
      const before = new Map(like?.manifest.files.map((file) => [file.path, file.sha256]));
      await someAtOnce(manifest.files, async ({ path, sha256 }) => {
        const same = before.get(path) === sha256;
        if (same && (await linked(join(like!.folder, path), join(building, path)))) return;
        const bytes = files?.get(path) ?? (await blobs.get(fileKey(manifest.app, sha256)));
        await writeFile(join(building, path), bytes);
      });
      await rename(building, version.folder);
      intact.add(version.folder);
      return version;
    },
    async prune(app, keep) {
      const kept = new Set(keep.map((version) => manifestKey(app, version)));
      for (const version of keep) {
        const found = await this.manifest(app, version);
        for (const file of found.files) kept.add(fileKey(app, file.sha256));
      }
      for (const folder of ['versions', 'files']) {
        const gone = await pruneBlobs(blobs, `artifacts/${app}/${folder}/`, kept);
        for (const key of gone) stored.delete(key);
      }
    },
  };
}

const AT_ONCE = 32;

/** An app may have thousands of files: a bounded number of them is open at a time. */
async function someAtOnce<Item>(items: Iterable<Item>, each: (item: Item) => Promise<void>): Promise<void> {
  const rest = Iterator.from(items);
  const lane = async (): Promise<void> => {
    for (const item of rest) await each(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

function damaged(path: string): MillraceError {
  const message = `The file '${path}' of the artifact does not match its hash. Deploy again.`;
  return new MillraceError('APP_INVALID', message, { errors: [{ path: `/files/${path}`, message }] });
}

/** Whether `to` is now another name of the file `from`; not every file system can. */
function linked(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    () => false,
  );
}

/** Answers what it deleted. */
async function pruneBlobs(blobs: BlobStore, prefix: string, keep: ReadonlySet<string>): Promise<string[]> {
  const gone: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await blobs.list(prefix, after === undefined ? {} : { after });
    for (const { key } of page) {
      if (keep.has(key)) continue;
      gone.push(key);
      await blobs.delete(key);
    }
    after = page.at(-1)?.key;
    if (after === undefined) return gone;
  }
}
