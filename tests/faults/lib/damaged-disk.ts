import { type SimulatedDisk, simulatedDisk } from '../../../src/adapters/memory/index.ts';

/** A disk in memory with the same files, each free to be damaged. */
export async function diskWith(files: ReadonlyMap<string, Uint8Array>): Promise<SimulatedDisk> {
  const disk = simulatedDisk();
  for (const [path, content] of files) {
    const file = await disk.open(path, { create: true });
    await file.write([content], 0);
    await file.sync();
    await disk.syncFolder(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '');
  }
  return disk;
}

export async function contentOf(
  disk: SimulatedDisk,
  paths: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const path of paths) files.set(path, (await disk.read(path))!);
  return files;
}

/** The files with one of them changed. */
export function changed(
  files: ReadonlyMap<string, Uint8Array>,
  path: string,
  change: (content: Uint8Array) => Uint8Array,
): Map<string, Uint8Array> {
  return new Map(files).set(path, change(files.get(path)!.slice()));
}

export const flipped =
  (position: number) =>
  (content: Uint8Array): Uint8Array => {
    content[position]! ^= 0x55;
    return content;
  };
