import assert from 'node:assert/strict';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { isMillraceError } from '../../kernel/index.ts';
import { diskContract } from '../../streams/disk.contract.ts';
import { fsDisk } from './disk.ts';

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'millrace-disk-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

diskContract('files of the operating system', async (t) => {
  const root = join(await folder(t), 'data');
  return { disk: fsDisk(root), again: async () => fsDisk(root) };
});

const noFullDevice = process.platform === 'linux' ? false : 'only Linux has /dev/full';

it('says DISK_FULL with a remedy when the system has no space', { skip: noFullDevice }, async (t) => {
  const root = await folder(t);
  await symlink('/dev/full', join(root, 'full'));
  const file = await fsDisk(root).open('full');
  await assert.rejects(file.write([new Uint8Array(4096)], 0), (error) => {
    assert.ok(isMillraceError(error, 'DISK_FULL'));
    assert.match(error.message, /'full'.*Free space/);
    return true;
  });
  await file.close();
});
