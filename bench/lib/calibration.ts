import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { median, percentile, type Reading } from './harness.ts';

/** A fresh folder on the disk that the benches measure (`MILLRACE_BENCH_DIR`, else the working folder), removed by `[Symbol.dispose]`. */
export function scratchFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? process.cwd(), '.scratch-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** How long one fdatasync after a 4 KB write takes on this disk, in ms. */
export async function fsyncLatency(folder: string, samples = 200): Promise<{ p50Ms: number; p99Ms: number }> {
  const file = await open(join(folder, 'fsync-calibration'), 'w');
  const times: number[] = [];
  try {
    const block = Buffer.alloc(4096, 1);
    for (let sample = 0; sample < samples; sample++) {
      await file.write(block);
      const begin = performance.now();
      await file.datasync();
      times.push(performance.now() - begin);
    }
  } finally {
    await file.close();
  }
  return { p50Ms: median(times), p99Ms: percentile(times, 0.99) };
}

/** Speed of writing one file front to back in 1 MB blocks with one sync at the end, in bytes a second. */
export async function sequentialWrite(folder: string, totalBytes = 512 * 1024 * 1024): Promise<number> {
  const file = await open(join(folder, 'write-calibration'), 'w');
  const block = Buffer.alloc(1024 * 1024, 7);
  const begin = performance.now();
  try {
    for (let written = 0; written < totalBytes; written += block.length) await file.write(block);
    await file.datasync();
  } finally {
    await file.close();
  }
  const seconds = (performance.now() - begin) / 1000;
  rmSync(join(folder, 'write-calibration'));
  return totalBytes / seconds;
}

/**
 * Speed of writing pieces of `pieceBytes`, each followed by an fdatasync, over a file whose blocks are there: what a log
 * that syncs once a group can reach when it does nothing else, in bytes a second.
 */
export async function syncedWrite(
  folder: string,
  pieceBytes: number,
  totalBytes = 256 * 1024 * 1024,
): Promise<number> {
  const path = join(folder, 'synced-write-calibration');
  const file = await open(path, 'w');
  const piece = Buffer.alloc(pieceBytes, 7);
  try {
    // As large as the files that the log writes over and over.
    const fileBytes = 32 * 1024 * 1024;
    for (let position = 0; position < fileBytes + pieceBytes; position += pieceBytes) {
      await file.write(piece, 0, pieceBytes, position);
    }
    await file.sync();
    const begin = performance.now();
    for (let written = 0; written < totalBytes; written += pieceBytes) {
      await file.write(piece, 0, pieceBytes, written % fileBytes);
      await file.datasync();
    }
    return totalBytes / ((performance.now() - begin) / 1000);
  } finally {
    await file.close();
    rmSync(path);
  }
}

export function fsyncReadings(latency: { p50Ms: number; p99Ms: number }): Reading[] {
  return [
    { what: 'calibration: one fsync, p50', value: latency.p50Ms, unit: 'ms' },
    { what: 'calibration: one fsync, p99', value: latency.p99Ms, unit: 'ms' },
  ];
}
