import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { logArchiveContract, type StoreUnderTest, sampleStoreContract } from '../../observe/port.contract.ts';
import { fsLogArchive } from './log-archive.ts';
import { fsSampleStore } from './sample-store.ts';

interface Stoppable {
  start?(): Promise<void>;
  stop?(): Promise<void>;
}

async function underTest<Store extends Stoppable>(
  make: (folder: string) => Store,
): Promise<StoreUnderTest<Store> & { readonly folder: string; readonly reopen: () => Promise<Store> }> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-samples-'));
  let store = make(folder);
  await store.start?.();
  return {
    store,
    folder,
    async reopen() {
      await store.stop?.();
      store = make(folder);
      await store.start?.();
      return store;
    },
    async [Symbol.asyncDispose]() {
      await store.stop?.();
      await rm(folder, { recursive: true });
    },
  };
}

const samples = (folder: string) => fsSampleStore({ folder, mostBytes: 100_000 });
const logs = (folder: string) => fsLogArchive({ folder, mostBytes: 250_000, mostAgeMs: 7 * 86_400_000 });
const line = { level: 'info', source: 'function', name: 'score', message: 'm'.repeat(100) } as const;

sampleStoreContract('fs', () => underTest(samples));
logArchiveContract('fs', () => underTest(logs));

async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe('files of lines', () => {
  it('never hold more bytes than they may', async () => {
    await using under = await underTest(logs);
    for (let batch = 0; batch < 300; batch++) {
      await under.store.append(Array.from({ length: 20 }, () => ({ ...line, timeMs: batch })));
      if (batch % 50 === 0) assert.ok((await bytesIn(under.folder)) <= 250_000);
    }
    assert.ok((await bytesIn(under.folder)) <= 250_000);
  });

  it('let go what is too old', async () => {
    await using under = await underTest(logs);
    const fill = Array.from({ length: 150 }, () => ({ ...line, timeMs: 1000 }));
    for (let batch = 0; batch < 3; batch++) await under.store.append(fill);
    const before = (await readdir(under.folder)).length;
    assert.ok(before > 1);
    await under.store.append([{ ...line, timeMs: 8 * 86_400_000 }]);
    const found = (await Array.fromAsync(under.store.read({ fromMs: 0, toMs: 1e15 }))).flat();
    assert.ok((await readdir(under.folder)).length < before);
    assert.equal(found[0]!.timeMs, 8 * 86_400_000);
  });

  it('are read past a line that a crash tore', async () => {
    await using under = await underTest(logs);
    await under.store.append([{ ...line, timeMs: 1, message: 'whole' }]);
    const [name = ''] = await readdir(under.folder);
    await appendFile(join(under.folder, name), '{"timeMs":2,"message":"to');
    const again = await under.reopen();
    await again.append([{ ...line, timeMs: 3, message: 'next' }]);
    const found = (await Array.fromAsync(again.read({ fromMs: 0, toMs: 10 }))).flat();
    assert.deepEqual(
      found.map(({ message }) => message),
      ['next', 'whole'],
    );
  });
});
