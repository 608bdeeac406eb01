/**
 * The disk under the embedded log: files in one flat or nested folder, named by relative paths with `/`. Small, so that
 * a simulated disk can lose what was not synced, fill up, fail and flip bits on command.
 *
 * D1 bytes are durable only after `sync` of their file resolved, and a created, renamed or removed name only after
 *    `syncFolder` of its folder resolved. Folders that `open` or `replace` had to make are durable by themselves.
 * D2 a failed `sync` leaves the durable content unknown; callers must not retry it.
 * D3 after DISK_FULL a write may have reached the file in part; what lies beyond the bytes known to be good is debris.
 * D4 after a failed `writeDurably` nobody knows whether the write or the sync failed: D2 and D3 both hold for its bytes.
 * Errors: DISK_FULL for ENOSPC and EDQUOT, DISK_FAILED for anything else that the operating system reports.
 * Must not leak: file descriptors, paths outside the folder, error numbers.
 */
export interface Disk {
  /** Opens for reading and writing; `create` makes it (and its folders) when absent. */
  open(path: string, options?: { readonly create?: boolean }): Promise<DiskFile>;
  /** A whole small file; undefined when it is not there. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Writes a whole small file so that a crash leaves the old or the new content: temporary file, sync, rename, sync of the folder. */
  replace(path: string, content: Uint8Array): Promise<void>;
  /** Files and folders directly inside `folder`, by name; nothing for a folder that is not there. */
  list(
    folder: string,
  ): Promise<readonly { readonly name: string; readonly bytes: number; readonly folder: boolean }[]>;
  /** No error when it is not there. */
  remove(path: string): Promise<void>;
  /** Removes a folder and all in it. */
  removeFolder(path: string): Promise<void>;
  /** Replaces what is at `to`. Both names are durable after `syncFolder` of their folders. */
  rename(from: string, to: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
}

export interface DiskFile {
  readonly path: string;
  /** Fills `target` from `position`; resolves to the bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all the buffers back to back at `position`. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /** As `write`, and resolves when these bytes are durable; others of the file need not be. One system call where there is one. */
  writeDurably(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /** fdatasync. */
  sync(): Promise<void>;
  /** Cuts the file or extends it with zeros. */
  truncate(bytes: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}
