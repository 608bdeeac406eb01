import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { stateConflict } from '../../kernel/index.ts';
import { openStateEngine, toStateError } from './state-engine.ts';

/** The error that `act` throws, as it crosses the wall. */
function errorOf(act: () => unknown): { code: string; message: string } {
  try {
    act();
  } catch (error) {
    return toStateError(error);
  }
  return assert.fail('nothing was thrown');
}

const put = (key: string, text: string) => ({
  kind: 'transact' as const,
  operations: [{ kind: 'put' as const, table: 't', key, expect: undefined, text, expiresAtMs: undefined }],
});

describe('the engine of the state store', () => {
  it('says DISK_FULL when there is no room, loses nothing, and goes on when there is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-engine-'));
    const path = join(folder, 'state.db');
    const engine = openStateEngine(path);
    engine.commit([put('before', '1')], 0);
    engine.limitPages(8);
    const large = JSON.stringify('x'.repeat(100_000));
    assert.equal(errorOf(() => engine.commit([put('small', '2'), put('large', large)], 0)).code, 'DISK_FULL');
    const list = {
      kind: 'list',
      table: 't',
      prefix: '',
      after: undefined,
      limit: 9,
      reverse: false,
    } as const;
    assert.deepEqual(
      engine.read(list, 0).map((row) => row.key),
      ['before'],
    );
    engine.limitPages(10_000);
    engine.commit([put('large', large)], 0);
    assert.equal(engine.read(list, 0).length, 2);
    engine.close();
    await rm(folder, { recursive: true });
  });

  it('tells a failing disk from a fault of its own, and keeps errors that have a code', () => {
    const readOnly = new DatabaseSync(':memory:');
    readOnly.exec('PRAGMA query_only = 1');
    assert.equal(errorOf(() => readOnly.exec('CREATE TABLE t (a)')).code, 'DISK_FAILED');
    assert.equal(errorOf(() => readOnly.exec('not SQL')).code, 'INTERNAL');
    readOnly.close();
    const conflict = stateConflict('t', 'k', 1, 2);
    assert.equal(toStateError(conflict), conflict);
  });
});
