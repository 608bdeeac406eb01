import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { isMillraceError } from '../kernel/index.ts';
import type { Disk } from './disk.port.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const names = async (disk: Disk, folder: string): Promise<string[]> =>
  (await disk.list(folder)).map((entry) => entry.name);

async function contentOf(disk: Disk, path: string): Promise<string | undefined> {
  const content = await disk.read(path);
  return content && new TextDecoder().decode(content);
}

/** What every `Disk` does. `make` gives an empty one; `again` gives the same one as the next process sees it. */
export function diskContract(
  name: string,
  make: (t: TestContext) => Promise<{ disk: Disk; again: () => Promise<Disk> }>,
): void {
  describe(`disk contract: ${name}`, () => {
    it('reads back what was written, across buffers and overwrites', async (t) => {
      const { disk } = await make(t);
      const file = await disk.open('deep/er/file', { create: true });
      await file.write([bytes(1, 2), bytes(), bytes(3, 4, 5)], 0);
      await file.write([bytes(9, 9)], 3);
      const target = new Uint8Array(8);
      assert.equal(await file.read(target, 1), 4);
      assert.deepEqual([...target], [2, 3, 9, 9, 0, 0, 0, 0]);
      assert.equal(await file.size(), 5);
      assert.equal(await file.read(target, 5), 0);
      await file.close();
    });

    it('writes durably over and behind what is there', async (t) => {
      const { disk, again } = await make(t);
      const file = await disk.open('durable', { create: true });
      await file.write([bytes(1, 2, 3)], 0);
      await file.writeDurably([bytes(8), bytes(9, 9)], 2);
      await file.write([bytes(7)], 0);
      await file.writeDurably([], 5);
      await file.close();
      assert.deepEqual([...(await (await again()).read('durable'))!], [7, 2, 8, 9, 9]);
    });

    it('writes more buffers at once than one system call takes', async (t) => {
      const { disk } = await make(t);
      const file = await disk.open('many', { create: true });
      const buffers = Array.from({ length: 3000 }, (_, index) => bytes(index & 0xff, index >> 8));
      await file.write(buffers, 10);
      const target = new Uint8Array(6000);
      assert.equal(await file.read(target, 10), 6000);
      assert.deepEqual(target, Uint8Array.from(buffers.flatMap((buffer) => [...buffer])));
      await file.close();
    });

    it('leaves zeros where nothing was written', async (t) => {
      const { disk } = await make(t);
      const file = await disk.open('holes', { create: true });
      await file.write([bytes(7)], 4);
      await file.truncate(6);
      await file.truncate(3);
      await file.truncate(5);
      const target = new Uint8Array(5);
      await file.read(target, 0);
      assert.deepEqual([...target], [0, 0, 0, 0, 0]);
      assert.equal(await file.size(), 5);
      await file.close();
    });

    it('shows two openers of one path the same bytes', async (t) => {
      const { disk } = await make(t);
      const writer = await disk.open('shared', { create: true });
      const reader = await disk.open('shared');
      await writer.write([bytes(5)], 0);
      const target = new Uint8Array(1);
      assert.equal(await reader.read(target, 0), 1);
      assert.equal(target[0], 5);
      await Promise.all([writer.close(), reader.close()]);
    });

    it('keeps a removed file readable for those who have it open', async (t) => {
      const { disk } = await make(t);
      const file = await disk.open('going', { create: true });
      await file.write([bytes(8)], 0);
      await disk.remove('going');
      assert.equal(await disk.read('going'), undefined);
      const target = new Uint8Array(1);
      assert.equal(await file.read(target, 0), 1);
      await file.close();
    });

    it('lists files and folders by name, and nothing for what is not there', async (t) => {
      const { disk } = await make(t);
      for (const path of ['logs/b', 'logs/a', 'logs/inner/c']) {
        await (await disk.open(path, { create: true })).close();
      }
      await disk.replace('logs/a', text('four'));
      assert.deepEqual(await disk.list('logs'), [
        { name: 'a', bytes: 4, folder: false },
        { name: 'b', bytes: 0, folder: false },
        { name: 'inner', bytes: 0, folder: true },
      ]);
      assert.deepEqual(await disk.list('nowhere'), []);
      assert.deepEqual(await names(disk, ''), ['logs']);
    });

    it('renames over what is there and removes files and folders', async (t) => {
      const { disk } = await make(t);
      await disk.replace('one', text('1'));
      await disk.replace('folder/two', text('2'));
      await disk.rename('one', 'folder/two');
      await disk.syncFolder('folder');
      await disk.syncFolder('');
      assert.equal(await contentOf(disk, 'folder/two'), '1');
      assert.equal(await disk.read('one'), undefined);
      await disk.remove('folder/two');
      await disk.remove('folder/two');
      await disk.replace('folder/deep/three', text('3'));
      await disk.removeFolder('folder');
      await disk.removeFolder('folder');
      assert.deepEqual(await names(disk, ''), []);
    });

    it('replaces a whole file and leaves no other behind', async (t) => {
      const { disk } = await make(t);
      await disk.replace('state', text('a longer content'));
      await disk.replace('state', text('short'));
      assert.equal(await contentOf(disk, 'state'), 'short');
      assert.deepEqual(await names(disk, ''), ['state']);
    });

    it('holds everything for the next process', async (t) => {
      const { disk, again } = await make(t);
      const file = await disk.open('folder/kept', { create: true });
      await file.write([text('kept')], 0);
      await file.sync();
      await file.close();
      const next = await again();
      assert.equal(await contentOf(next, 'folder/kept'), 'kept');
      assert.equal(await next.read('folder/other'), undefined);
    });

    it('says DISK_FAILED with the path for a file that is not there', async (t) => {
      const { disk } = await make(t);
      await assert.rejects(disk.open('absent'), (error) => {
        assert.ok(isMillraceError(error, 'DISK_FAILED'));
        assert.match(error.message, /absent/);
        return true;
      });
      await assert.rejects(disk.rename('absent', 'other'), (error) => isMillraceError(error, 'DISK_FAILED'));
    });

    it('never leaves its folder', async (t) => {
      const { disk } = await make(t);
      for (const path of ['../out', '/etc/passwd', 'a/../../out']) {
        await assert.rejects(disk.read(path), (error) => isMillraceError(error, 'BAD_REQUEST'));
      }
    });
  });
}
