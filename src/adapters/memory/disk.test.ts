import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError, seededRandom } from '../../kernel/index.ts';
import { diskContract } from '../../streams/disk.contract.ts';
import type { Disk } from '../../streams/disk.port.ts';
import { memoryDisk, type SimulatedDisk, simulatedDisk } from './disk.ts';

diskContract('memory', async () => {
  const disk = memoryDisk();
  return { disk, again: async () => disk };
});

diskContract('simulated', async () => {
  const disk = simulatedDisk();
  return { disk, again: async () => disk.kill() };
});

const block = (fill: number, sectors = 4): Uint8Array => new Uint8Array(512 * sectors).fill(fill);

async function outcomes(seeds: number, prepare: (disk: SimulatedDisk) => Promise<void>, path: string) {
  const seen = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    const disk = simulatedDisk();
    await prepare(disk);
    const content = await disk.crash(seededRandom(seed)).read(path);
    seen.add(content === undefined ? 'absent' : sectorsOf(content));
  }
  return seen;
}

/** One letter a sector: what fills it. */
function sectorsOf(content: Uint8Array): string {
  let letters = '';
  for (let at = 0; at < content.length; at += 512) letters += String(content[at]);
  return letters;
}

async function durableFile(disk: Disk, path: string, content: Uint8Array) {
  const file = await disk.open(path, { create: true });
  await file.write([content], 0);
  await file.sync();
  await disk.syncFolder('');
  return file;
}

describe('a simulated power loss', () => {
  it('keeps what was synced', async () => {
    const seen = await outcomes(50, async (disk) => void (await durableFile(disk, 'f', block(1))), 'f');
    assert.deepEqual([...seen], ['1111']);
  });

  it('keeps what was written durably', async () => {
    const prepare = async (disk: SimulatedDisk): Promise<void> => {
      const file = await durableFile(disk, 'f', block(1));
      await file.writeDurably([block(2, 2)], 512);
    };
    assert.deepEqual([...(await outcomes(50, prepare, 'f'))], ['1221']);
  });

  it('keeps, loses or tears what was not, sector by sector', async () => {
    const seen = await outcomes(
      300,
      async (disk) => {
        const file = await durableFile(disk, 'f', block(1));
        await file.write([block(2, 2)], 512);
      },
      'f',
    );
    assert.deepEqual([...seen].sort(), ['1111', '1121', '1211', '1221']);
  });

  it('may lose a name whose folder was not synced, with everything in the file', async () => {
    const seen = await outcomes(
      50,
      async (disk) => {
        const file = await disk.open('f', { create: true });
        await file.write([block(1, 1)], 0);
        await file.sync();
      },
      'f',
    );
    assert.deepEqual([...seen].sort(), ['1', 'absent']);
  });

  it('leaves the old or the new content of a replaced file at every operation', async () => {
    for (let nth = 1; nth <= 12; nth++) {
      const disk = simulatedDisk();
      await disk.replace('f', block(1));
      disk.crashAt(nth);
      await disk.replace('f', block(2)).catch((error) => assert.ok(isMillraceError(error, 'DISK_FAILED')));
      const promised = !disk.crashed;
      const left = sectorsOf((await disk.crash(seededRandom(nth)).read('f'))!);
      assert.ok(left === '2222' || (left === '1111' && !promised), `after operation ${nth}: ${left}`);
    }
  });

  it('does not trust a sync after one that failed', async () => {
    const seen = await outcomes(
      100,
      async (disk) => {
        const file = await durableFile(disk, 'f', block(1, 1));
        await file.write([block(2, 1)], 0);
        disk.failAt('sync', 1, 'f');
        await assert.rejects(file.sync(), (error) => isMillraceError(error, 'DISK_FAILED'));
        await file.sync();
      },
      'f',
    );
    assert.deepEqual([...seen].sort(), ['1', '2']);
  });

  it('keeps what was written again after a failed sync', async () => {
    const seen = await outcomes(
      100,
      async (disk) => {
        const file = await durableFile(disk, 'f', block(1));
        await file.write([block(2, 3)], 512);
        disk.failAt('sync', 1, 'f');
        await assert.rejects(file.sync(), (error) => isMillraceError(error, 'DISK_FAILED'));
        await file.write([block(3, 1)], 1024);
        await file.sync();
      },
      'f',
    );
    assert.deepEqual([...seen].sort(), ['1131', '1132', '1231', '1232']);
  });

  it('turns the disk off: what runs on fails', async () => {
    const disk = simulatedDisk();
    const file = await disk.open('f', { create: true });
    disk.crashAt(1);
    await assert.rejects(file.write([block(1)], 0), (error) => isMillraceError(error, 'DISK_FAILED'));
    assert.equal(disk.crashed, true);
    await assert.rejects(file.sync(), (error) => isMillraceError(error, 'DISK_FAILED'));
  });
});

describe('a killed process', () => {
  it('leaves all completed writes, which power may still take', async () => {
    const disk = simulatedDisk();
    const file = await durableFile(disk, 'f', block(1, 1));
    await file.write([block(2, 1)], 0);
    const next = disk.kill();
    assert.equal(sectorsOf((await next.read('f'))!), '2');
    const later = new Set<string>();
    for (let seed = 0; seed < 30; seed++) {
      later.add(sectorsOf((await next.kill().crash(seededRandom(seed)).read('f'))!));
    }
    assert.deepEqual([...later].sort(), ['1', '2']);
  });
});

describe('faults on command', () => {
  it('fills up in the middle of a write and takes writes again when there is space', async () => {
    const disk = simulatedDisk();
    const file = await durableFile(disk, 'f', block(1, 1));
    disk.limitSpace(512);
    await assert.rejects(file.write([block(2, 1), block(3, 1)], 512), (error) =>
      isMillraceError(error, 'DISK_FULL'),
    );
    await file.write([block(4, 1)], 0);
    assert.equal(sectorsOf((await disk.read('f'))!), '42');
    await disk.replace('empty', new Uint8Array(0));
    await file.truncate(512);
    await file.write([block(5, 1)], 512);
    disk.limitSpace();
    await file.write([block(6, 9)], 1024);
    assert.equal(await file.size(), 512 * 11);
  });

  it('fails the operation that was named, once', async () => {
    const disk = simulatedDisk();
    const file = await durableFile(disk, 'wal/1', block(1, 1));
    disk.failAt('write', 2, 'wal');
    disk.failAt('read', 1, 'wal');
    await file.write([block(2, 1)], 0);
    await assert.rejects(file.write([block(3, 1)], 0), (error) => isMillraceError(error, 'DISK_FAILED'));
    await assert.rejects(file.read(new Uint8Array(1), 0), (error) => isMillraceError(error, 'DISK_FAILED'));
    assert.equal(await file.read(new Uint8Array(1), 0), 1);
    assert.equal(sectorsOf((await disk.read('wal/1'))!), '2');
  });

  it('flips bits for good', async () => {
    const disk = simulatedDisk();
    await durableFile(disk, 'f', block(0, 1));
    disk.flip('f', 3, 0b100);
    assert.equal((await disk.crash(seededRandom(1)).read('f'))![3], 0b100);
  });
});
