import { MillraceError, type Random } from '../../kernel/index.ts';
import type { Disk, DiskFile } from '../../streams/disk.port.ts';
import { SimulatedFile } from './simulated-file.ts';

export type DiskOperation = 'read' | 'write' | 'sync' | 'name';

/** A `Disk` in memory that can be told to fail, to fill up, to flip bits and to lose power. */
export interface SimulatedDisk extends Disk {
  /** Changes (writes, syncs, changes of names) done so far: where a crash can be injected. */
  readonly changes: number;
  /** Whether an injected crash has happened; from then on every operation fails. */
  readonly crashed: boolean;
  /** Bytes of all files. */
  readonly usedBytes: number;
  /** The power fails inside the `nth` change from now (1: the next). */
  crashAt(nth: number): void;
  /** The `nth` such operation from now (1: the next) on a path that contains `pathPart` fails with an I/O error. */
  failAt(operation: DiskOperation, nth: number, pathPart?: string): void;
  /** Leaves space for `bytes` more, then DISK_FULL; without a number space is unlimited again. */
  limitSpace(bytes?: number): void;
  /** Flips the bits of `mask` in one stored byte. */
  flip(path: string, position: number, mask?: number): void;
  /** The disk as the machine finds it after power loss; this one is off from then on. */
  crash(random: Random): SimulatedDisk;
  /** The disk as the next process finds it after this one was killed: all completed changes are there. */
  kill(): SimulatedDisk;
}

/** A change of one name that a power loss may undo until one of `folders` was synced. */
interface UnsyncedName {
  readonly folders: readonly string[];
  readonly names: readonly (readonly [path: string, file: SimulatedFile | undefined])[];
}

interface Names {
  readonly current: Map<string, SimulatedFile>;
  readonly durable: Map<string, SimulatedFile>;
  readonly folders: Set<string>;
  pending: UnsyncedName[];
}

interface Failure {
  readonly operation: DiskOperation;
  readonly pathPart: string;
  countdown: number;
}

/** A plain disk in memory, without the cost of remembering what was not synced. */
export function memoryDisk(): Disk {
  return new MemoryDisk(emptyNames(), false);
}

/** An empty disk for tests of faults. */
export function simulatedDisk(): SimulatedDisk {
  return new MemoryDisk(emptyNames(), true);
}

function emptyNames(): Names {
  return { current: new Map(), durable: new Map(), folders: new Set(['']), pending: [] };
}

class MemoryDisk implements SimulatedDisk {
  readonly #names: Names;
  readonly #tracked: boolean;
  readonly #failures: Failure[] = [];
  #changes = 0;
  #crashAfter = Number.POSITIVE_INFINITY;
  #crashed = false;
  #capacityBytes = Number.POSITIVE_INFINITY;

  constructor(names: Names, tracked: boolean) {
    this.#names = names;
    this.#tracked = tracked;
  }

  get changes(): number {
    return this.#changes;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  get usedBytes(): number {
    return this.#names.current.values().reduce((sum, file) => sum + file.size, 0);
  }

  async open(path: string, options: { readonly create?: boolean } = {}): Promise<DiskFile> {
    const clean = cleanPath(path);
    await this.begin('read', clean);
    const found = this.#names.current.get(clean);
    if (found) return new MemoryFile(this, clean, found);
    if (!options.create) throw new MillraceError('DISK_FAILED', `Could not open '${path}': ENOENT.`);
    await this.begin('name', clean);
    const file = new SimulatedFile(this.#tracked);
    addFolders(this.#names.folders, clean);
    this.#setNames([folderOf(clean)], [[clean, file]]);
    this.finish();
    return new MemoryFile(this, clean, file);
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    const clean = cleanPath(path);
    await this.begin('read', clean);
    const file = this.#names.current.get(clean);
    if (!file) return undefined;
    const content = new Uint8Array(file.size);
    file.read(content, 0);
    return content;
  }

  async replace(path: string, content: Uint8Array): Promise<void> {
    const clean = cleanPath(path);
    const temporary = await this.open(`${clean}.tmp`, { create: true });
    await temporary.truncate(0);
    await temporary.write([content], 0);
    await temporary.sync();
    await this.rename(`${clean}.tmp`, clean);
    await this.syncFolder(folderOf(clean));
  }

  async list(folder: string): Promise<{ name: string; bytes: number; folder: boolean }[]> {
    const clean = cleanPath(folder);
    await this.begin('read', clean);
    return listNames(this.#names, clean);
  }

  async remove(path: string): Promise<void> {
    const clean = cleanPath(path);
    await this.begin('name', clean);
    if (this.#names.current.has(clean)) this.#setNames([folderOf(clean)], [[clean, undefined]]);
    this.finish();
  }

  async removeFolder(path: string): Promise<void> {
    const clean = cleanPath(path);
    await this.begin('name', clean);
    const { current, folders } = this.#names;
    const within = (one: string): boolean => one.startsWith(`${clean}/`);
    for (const file of [...current.keys()].filter(within)) {
      this.#setNames([folderOf(file), folderOf(clean)], [[file, undefined]]);
    }
    for (const folder of [...folders]) if (folder === clean || within(folder)) folders.delete(folder);
    this.finish();
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [cleanPath(from), cleanPath(to)];
    await this.begin('name', source);
    const file = this.#names.current.get(source);
    if (!file) throw new MillraceError('DISK_FAILED', `Could not rename '${from}': ENOENT.`);
    addFolders(this.#names.folders, target);
    const both = [[source, undefined] as const, [target, file] as const];
    this.#setNames([folderOf(source), folderOf(target)], both);
    this.finish();
  }

  async syncFolder(folder: string): Promise<void> {
    const clean = cleanPath(folder);
    await this.begin('sync', clean);
    this.finish();
    const covered = (one: UnsyncedName): boolean => one.folders.includes(clean);
    const settled = this.#names.pending.filter(covered);
    this.#names.pending = this.#names.pending.filter((one) => !covered(one));
    for (const one of settled) for (const [path, file] of one.names) setName(this.#names.durable, path, file);
  }

  crashAt(nth: number): void {
    this.#crashAfter = this.#changes + nth;
  }

  failAt(operation: DiskOperation, nth: number, pathPart = ''): void {
    this.#failures.push({ operation, pathPart, countdown: nth });
  }

  limitSpace(bytes = Number.POSITIVE_INFINITY): void {
    this.#capacityBytes = this.usedBytes + bytes;
  }

  flip(path: string, position: number, mask = 0xff): void {
    const file = this.#names.current.get(cleanPath(path));
    if (!file || position >= file.size) throw new RangeError(`There is no byte ${position} in '${path}'.`);
    file.flip(position, mask);
  }

  crash(random: Random): SimulatedDisk {
    this.#crashed = true;
    return new MemoryDisk(namesAfterPowerLoss(this.#names, random), this.#tracked);
  }

  kill(): SimulatedDisk {
    this.#crashed = true;
    return new MemoryDisk(namesAfterKill(this.#names), this.#tracked);
  }

  /** Every operation takes effect on a later turn, so that others run in between, as on a real disk. */
  async begin(operation: DiskOperation, path: string): Promise<void> {
    await undefined;
    this.#failIfOff();
    if (operation !== 'read') this.#changes++;
    this.#failIfTold(operation, path);
  }

  /** Where the power fails inside a change: it reached the disk's cache and nothing was promised. */
  finish(): void {
    if (this.#changes >= this.#crashAfter) this.#crashed = true;
    this.#failIfOff();
  }

  /** Throws DISK_FULL when `file` lacks space to grow to `wantedBytes`; `onShort` learns how much is missing first. */
  takeSpace(
    file: SimulatedFile,
    path: string,
    wantedBytes: number,
    onShort?: (missing: number) => void,
  ): void {
    if (wantedBytes <= file.size || this.#capacityBytes === Number.POSITIVE_INFINITY) return;
    const missing = wantedBytes - file.size - Math.max(0, this.#capacityBytes - this.usedBytes);
    if (missing <= 0) return;
    onShort?.(missing);
    throw diskFull(path);
  }

  #failIfOff(): void {
    if (this.#crashed) throw new MillraceError('DISK_FAILED', 'The simulated disk is without power.');
  }

  #failIfTold(operation: DiskOperation, path: string): void {
    const due = this.#failures.filter((one) => one.operation === operation && path.includes(one.pathPart));
    for (const failure of due) failure.countdown--;
    const failed = due.find((one) => one.countdown === 0);
    if (!failed) return;
    this.#failures.splice(this.#failures.indexOf(failed), 1);
    throw new MillraceError('DISK_FAILED', `The simulated disk failed to ${operation} '${path}': EIO.`);
  }

  #setNames(folders: readonly string[], entries: UnsyncedName['names']): void {
    for (const [path, file] of entries) setName(this.#names.current, path, file);
    if (this.#tracked) this.#names.pending.push({ folders, names: entries });
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly #disk: MemoryDisk;
  readonly #file: SimulatedFile;

  constructor(disk: MemoryDisk, path: string, file: SimulatedFile) {
    this.#disk = disk;
    this.path = path;
    this.#file = file;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    await this.#disk.begin('read', this.path);
    return this.#file.read(target, position);
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    await this.#disk.begin('write', this.path);
    const bytes = buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers);
    this.#disk.takeSpace(this.#file, this.path, position + bytes.length, (missing) => {
      if (missing < bytes.length) this.#file.write(bytes.subarray(0, bytes.length - missing), position);
    });
    if (bytes.length > 0) this.#file.write(bytes, position);
    this.#disk.finish();
  }

  async writeDurably(buffers: readonly Uint8Array[], position: number): Promise<void> {
    await this.write(buffers, position);
    await this.sync();
  }

  async sync(): Promise<void> {
    try {
      await this.#disk.begin('sync', this.path);
    } catch (error) {
      this.#file.failSync();
      throw error;
    }
    this.#disk.finish();
    this.#file.sync();
  }

  async truncate(bytes: number): Promise<void> {
    await this.#disk.begin('write', this.path);
    this.#disk.takeSpace(this.#file, this.path, bytes);
    this.#file.truncate(bytes);
    this.#disk.finish();
  }

  async size(): Promise<number> {
    await this.#disk.begin('read', this.path);
    return this.#file.size;
  }

  async close(): Promise<void> {}
}

function diskFull(path: string): MillraceError {
  const remedy =
    'Free space on that disk or shorten the retention of streams; writing goes on when there is space.';
  return new MillraceError('DISK_FULL', `No space left to write '${path}'. ${remedy}`);
}

function cleanPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (path.startsWith('/') || parts.includes('..')) {
    throw new MillraceError('BAD_REQUEST', `'${path}' lies outside the folder. Use a path inside it.`);
  }
  return parts.join('/');
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function addFolders(folders: Set<string>, path: string): void {
  for (let folder = folderOf(path); folder !== ''; folder = folderOf(folder)) folders.add(folder);
}

function setName(map: Map<string, SimulatedFile>, path: string, file: SimulatedFile | undefined): void {
  if (file) map.set(path, file);
  else map.delete(path);
}

function listNames(names: Names, folder: string): { name: string; bytes: number; folder: boolean }[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  const directly = (path: string): boolean =>
    path !== '' && path.startsWith(prefix) && !path.slice(prefix.length).includes('/');
  const name = (path: string): string => path.slice(prefix.length);
  const found = [
    ...[...names.current]
      .filter(([path]) => directly(path))
      .map(([path, file]) => ({ name: name(path), bytes: file.size, folder: false })),
    ...[...names.folders].filter(directly).map((path) => ({ name: name(path), bytes: 0, folder: true })),
  ];
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function namesAfterPowerLoss(names: Names, random: Random): Names {
  const surviving = new Map(names.durable);
  for (const change of names.pending) {
    if (random.integer(2) === 0) continue;
    for (const [path, file] of change.names) setName(surviving, path, file);
  }
  const left = emptyNames();
  for (const [path, file] of surviving) {
    const content = file.afterPowerLoss(random);
    left.current.set(path, content);
    left.durable.set(path, content);
    addFolders(left.folders, path);
  }
  return left;
}

function namesAfterKill(names: Names): Names {
  const copies = new Map<SimulatedFile, SimulatedFile>();
  const copy = (file: SimulatedFile): SimulatedFile => {
    let made = copies.get(file);
    if (!made) copies.set(file, (made = file.clone()));
    return made;
  };
  const copyMap = (map: Map<string, SimulatedFile>): Map<string, SimulatedFile> =>
    new Map([...map].map(([path, file]) => [path, copy(file)]));
  return {
    current: copyMap(names.current),
    durable: copyMap(names.durable),
    folders: new Set(names.folders),
    pending: names.pending.map((change) => ({
      folders: change.folders,
      names: change.names.map(([path, file]) => [path, file && copy(file)] as const),
    })),
  };
}
