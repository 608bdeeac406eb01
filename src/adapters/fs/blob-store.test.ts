import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isMillraceError } from '../../kernel/index.ts';
import { blobStoreContract } from '../../kernel/ports/blob-store.contract.ts';
import { fsBlobStore } from './index.ts';

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-blobs-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

blobStoreContract('files', async () => {
  const folder = await temporaryFolder();
  return {
    store: fsBlobStore({ folder: folder.path }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});

describe('the blob store on files', () => {
  it('finds everything again, and clears away what a crash left half written', async () => {
    await using folder = await temporaryFolder();
    const first = await fsBlobStore({ folder: folder.path }).put('a/b', Buffer.from('x'));
    await writeFile(join(folder.path, 'incoming', '99'), 'half of');
    const again = fsBlobStore({ folder: folder.path });
    await again.start?.();
    assert.deepEqual(await again.list(''), [first]);
    assert.deepEqual(await readdir(join(folder.path, 'incoming')), []);
  });

  it('names a blob whose file was cut or overwritten', async () => {
    await using folder = await temporaryFolder();
    const store = fsBlobStore({ folder: folder.path });
    await store.put('k', Buffer.from('content'));
    const path = join(folder.path, 'blobs', 'k~');
    const whole = await readFile(path);
    for (const bytes of [whole.length - 1, 10, 0]) {
      await truncate(path, bytes);
      await assert.rejects(store.get('k'), (error) => isMillraceError(error, 'DATA_DAMAGED'));
    }
  });
});
