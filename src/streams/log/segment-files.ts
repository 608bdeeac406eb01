import { signal } from '../../kernel/index.ts';
import type { Disk, DiskFile } from '../disk.port.ts';
import { readBatches } from './batch-reader.ts';
import type { Partition } from './partition.ts';
import type { Segment } from './segment.ts';
import { INDEX_EVERY_BYTES, SparseIndex } from './sparse-index.ts';

/** An open segment. Valid until `release`. */
export interface OpenSegment {
  readonly file: DiskFile;
  index: SparseIndex;
}

interface Slot extends OpenSegment {
  readonly path: string;
  users: number;
  removed: boolean;
}

/**
 * Open segment files with their indexes, the least recently used closed beyond `limit`. Index files are
 * `<name>.index` beside `<name>.log`.
 */
export interface SegmentFiles {
  acquire(partition: Partition, segment: Segment): Promise<OpenSegment>;
  release(open: OpenSegment): void;
  /** Writes what the index has learnt since the last time. Not synced: an index can be built again. */
  saveIndex(partition: Partition, segment: Segment): Promise<void>;
  rebuildIndex(partition: Partition, segment: Segment): Promise<void>;
  remove(partition: Partition, segment: Segment): Promise<void>;
  readonly openCount: number;
  close(): Promise<void>;
}

export function segmentPath(partition: Partition, segment: Segment): string {
  return `${partition.folder}/${segment.name}.log`;
}

/** Adds the batches from `from` to the segment's end to `index`, past whatever makes no sense. */
async function scanIndex(file: DiskFile, segment: Segment, index: SparseIndex, from: number): Promise<void> {
  let maxTimeMs = index.lastTimeMs;
  for await (const one of readBatches(file, segment, from, segment.bytes, false)) {
    if (one.kind === 'damage') continue;
    index.add(one.header.baseOffset, one.position, maxTimeMs);
    maxTimeMs = Math.max(maxTimeMs, one.header.maxTimestampMs);
  }
}

class LruSegmentFiles implements SegmentFiles {
  readonly #limit: number;
  readonly #disk: Disk;
  // A Map keeps the order of insertion: using a slot moves it to the end, so the first is the least recently used.
  readonly #slots = new Map<string, Promise<Slot>>();

  constructor(disk: Disk, limit: number) {
    this.#limit = limit;
    this.#disk = disk;
  }

  readonly #loadIndex = async (path: string, file: DiskFile, segment: Segment): Promise<SparseIndex> => {
    const index = new SparseIndex();
    const saved = await this.#disk.read(path.replace(/\.log$/, '.index'));
    if (saved && !index.load(saved, segment.bytes)) {
      signal('log.damaged', {
        file: path.replace(/\.log$/, '.index'),
        position: index.savedBytes,
        detail: 'An entry of the index does not match its checksum. The index was built again from the log.',
      });
      return this.#rebuilt(file, segment);
    }
    if (segment.bytes - index.lastPosition > 2 * INDEX_EVERY_BYTES) {
      await scanIndex(file, segment, index, index.lastPosition);
    }
    return index;
  };

  readonly #rebuilt = async (file: DiskFile, segment: Segment): Promise<SparseIndex> => {
    const index = new SparseIndex();
    await scanIndex(file, segment, index, 0);
    return index;
  };

  readonly #openSlot = async (partition: Partition, segment: Segment): Promise<Slot> => {
    const path = segmentPath(partition, segment);
    const file = await this.#disk.open(path, { create: segment.bytes === 0 });
    const index = segment.bytes === 0 ? new SparseIndex() : await this.#loadIndex(path, file, segment);
    return { path, file, index, users: 0, removed: false };
  };

  readonly #evict = async (): Promise<void> => {
    for (const [path, pending] of this.#slots) {
      if (this.#slots.size <= this.#limit) return;
      const slot = await pending;
      if (slot.users > 0 || this.#slots.get(path) !== pending) continue;
      this.#slots.delete(path);
      await this.#writeIndex(slot);
      await slot.file.close();
    }
  };

  readonly #writeIndex = async (slot: Slot): Promise<void> => {
    const bytes = slot.index.encodeUnsaved();
    if (bytes.length === 0) return;
    const at = slot.index.savedBytes;
    slot.index.savedCount = slot.index.count;
    const file = await this.#disk.open(slot.path.replace(/\.log$/, '.index'), { create: true });
    try {
      await file.write([bytes], at);
    } finally {
      await file.close();
    }
  };

  readonly acquire: SegmentFiles['acquire'] = async (partition, segment) => {
    const path = segmentPath(partition, segment);
    let pending = this.#slots.get(path);
    if (pending) this.#slots.delete(path);
    else pending = this.#openSlot(partition, segment);
    this.#slots.set(path, pending);
    try {
      const slot = await pending;
      slot.users++;
      if (this.#slots.size > this.#limit) await this.#evict();
      return slot;
    } catch (error) {
      this.#slots.delete(path);
      throw error;
    }
  };

  readonly release: SegmentFiles['release'] = (open) => {
    const slot = open as Slot;
    slot.users--;
    // A removed file stays readable until its last reader is done: its descriptor must not be taken by another file.
    if (slot.removed && slot.users === 0) void slot.file.close().catch(() => undefined);
  };

  readonly saveIndex: SegmentFiles['saveIndex'] = async (partition, segment) => {
    const pending = this.#slots.get(segmentPath(partition, segment));
    if (pending) await this.#writeIndex(await pending);
  };

  readonly rebuildIndex: SegmentFiles['rebuildIndex'] = async (partition, segment) => {
    const open = await this.acquire(partition, segment);
    try {
      open.index = await this.#rebuilt(open.file, segment);
    } finally {
      this.release(open);
    }
  };

  readonly remove: SegmentFiles['remove'] = async (partition, segment) => {
    const path = segmentPath(partition, segment);
    const pending = this.#slots.get(path);
    if (pending) {
      this.#slots.delete(path);
      const slot = await pending;
      slot.removed = true;
      if (slot.users === 0) await slot.file.close();
    }
    await this.#disk.remove(path);
    await this.#disk.remove(path.replace(/\.log$/, '.index'));
  };

  get openCount(): SegmentFiles['openCount'] {
    return this.#slots.size;
  }

  readonly close: SegmentFiles['close'] = async () => {
    for (const pending of this.#slots.values()) {
      const slot = await pending;
      await this.#writeIndex(slot);
      await slot.file.close();
    }
    this.#slots.clear();
  };
}

export function createSegmentFiles(disk: Disk, limit: number): SegmentFiles {
  return new LruSegmentFiles(disk, limit);
}
