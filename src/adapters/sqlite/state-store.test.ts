import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { isMillraceError, manualClock, type StateStore, systemClock } from '../../kernel/index.ts';
import { stateStoreContract } from '../../kernel/ports/state-store.contract.ts';
import { sqliteStateStore } from './index.ts';

async function temporaryFolder(): Promise<{ path: string; database: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-state-'));
  return {
    path,
    database: join(path, 'state.db'),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

stateStoreContract('sqlite', async (clock) => {
  const folder = await temporaryFolder();
  const store = sqliteStateStore({ path: folder.database, clock });
  await store.start?.();
  return {
    store,
    async [Symbol.asyncDispose]() {
      await close(store);
      await folder[Symbol.asyncDispose]();
    },
  };
});

const close = async (store: StateStore): Promise<void> => store.stop?.(new AbortController().signal);

describe('the state store on SQLite', () => {
  it('finds everything again when it is opened anew, versions and lease tokens included', async () => {
    await using folder = await temporaryFolder();
    const clock = manualClock();
    const first = sqliteStateStore({ path: folder.database, clock });
    await first.transact([{ kind: 'put', table: 't', key: 'a', value: 1 }]);
    const before = await first.get('t', 'a');
    const token = await first.acquireLease('l', 'me', 1000);
    await first.transact([{ kind: 'delete', table: 't', key: 'a' }]);
    await close(first);

    const second = sqliteStateStore({ path: folder.database, clock });
    assert.equal(await second.get('t', 'a'), undefined);
    await second.transact([{ kind: 'put', table: 't', key: 'a', value: 2 }]);
    assert.ok((await second.get('t', 'a'))!.version > before!.version);
    assert.equal(await second.acquireLease('l', 'you', 1000), undefined);
    assert.equal(await second.acquireLease('l', 'me', 1000), token);
    await close(second);
  });

  it('S1 has every acknowledged transaction after kill -9, each whole', async () => {
    await using folder = await temporaryFolder();
    for (let round = 0; round < 3; round++) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'state-writer.fixture.ts'), folder.database],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const acknowledged = new Set<string>();
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged.add(line);
        if (acknowledged.size === 40 + round * 37) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      assert.equal(child.signalCode, 'SIGKILL');

      const store = sqliteStateStore({ path: folder.database, clock: systemClock() });
      const left = new Set((await store.list('left', { limit: 10_000 })).map((entry) => entry.key));
      const right = new Set((await store.list('right', { limit: 10_000 })).map((entry) => entry.key));
      assert.deepEqual(left, right);
      assert.deepEqual(
        [...acknowledged].filter((key) => !left.has(key)),
        [],
      );
      await close(store);
    }
  });

  it('finishes what waits when it is stopped, then refuses', async () => {
    await using folder = await temporaryFolder();
    const store = sqliteStateStore({ path: folder.database, clock: manualClock() });
    const writes = Array.from({ length: 50 }, (_, index) =>
      store.transact([{ kind: 'put', table: 't', key: `${index}`, value: index }]),
    );
    const stopped = close(store);
    await assert.rejects(store.get('t', '0'), (error) => isMillraceError(error, 'UNAVAILABLE'));
    await Promise.all([...writes, stopped]);

    const again = sqliteStateStore({ path: folder.database, clock: manualClock() });
    assert.equal((await again.list('t')).length, 50);
    await close(again);
  });

  it('Q2 survives the end of its worker: what was under way gets UNAVAILABLE, the next call works', async () => {
    await using folder = await temporaryFolder();
    const created = once(process, 'worker');
    const store = sqliteStateStore({ path: folder.database, clock: manualClock() });
    await store.transact([{ kind: 'put', table: 't', key: 'a', value: 1 }]);
    const [worker] = (await created) as [Worker];
    const writes = Array.from({ length: 20 }, (_, index) =>
      store.transact([{ kind: 'put', table: 't', key: `b${index}`, value: index }]),
    );
    const outcomes = Promise.allSettled(writes);
    await worker.terminate();
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') assert.ok(isMillraceError(outcome.reason, 'UNAVAILABLE'));
    }
    assert.equal((await store.get('t', 'a'))?.value, 1);
    await store.transact([{ kind: 'put', table: 't', key: 'c', value: 1 }]);
    await close(store);
  });

  it('can be stopped before it was used', async () => {
    await using folder = await temporaryFolder();
    await close(sqliteStateStore({ path: folder.database, clock: manualClock() }));
    assert.deepEqual(await readdir(folder.path), []);
  });

  it('names a database that is damaged, and one that cannot be opened', async () => {
    await using folder = await temporaryFolder();
    await writeFile(
      folder.database,
      'this is no database at all, but long enough to look like one'.repeat(99),
    );
    const damaged = sqliteStateStore({ path: folder.database, clock: manualClock() });
    await assert.rejects(damaged.start!(), (error) => isMillraceError(error, 'DATA_DAMAGED'));
    const nowhere = sqliteStateStore({ path: join(folder.path, 'no', 'folder.db'), clock: manualClock() });
    await assert.rejects(nowhere.get('t', 'k'), (error) => isMillraceError(error, 'DISK_FAILED'));
  });
});
