import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { manualClock } from '../clock.ts';
import { isMillraceError } from '../errors.ts';
import { openDataFolder } from './data-folder.ts';
import type { Migration } from './migrate.ts';

const clock = manualClock();
const locked = (error: unknown): boolean => isMillraceError(error, 'DATA_FOLDER_LOCKED');
const wrongFormat = (error: unknown): boolean => isMillraceError(error, 'DATA_FOLDER_FORMAT');

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-data-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Format 2 keeps the names that format 1 kept in one file in a file each, in capitals. */
const split: Migration = {
  to: 2,
  title: 'a file for each name',
  async prepare(folder, staging) {
    const names = (await readFile(join(folder, 'names.txt'), 'utf8')).trim().split('\n');
    for (const name of names) await writeFile(join(staging, name), name.toUpperCase());
    const steps = names.map((name) => ({ replace: `names/${name}`, staged: name }));
    return [...steps, { remove: 'names.txt' }];
  },
};
const rename: Migration = {
  to: 3,
  title: 'another name',
  async prepare(folder, staging) {
    await writeFile(join(staging, 'kept'), await readFile(join(folder, 'names', 'ada')));
    return [{ replace: 'first', staged: 'kept' }];
  },
};

async function oldFolder(path: string): Promise<void> {
  (await openDataFolder({ path, clock })).close();
  await writeFile(join(path, 'names.txt'), 'ada\ngrace\n');
}

describe('the data folder', () => {
  it('is made when it is not there, and opens again', async () => {
    await using temporary = await temporaryFolder();
    const path = join(temporary.path, 'deep', 'data');
    const folder = await openDataFolder({ path, clock });
    assert.deepEqual([folder.path, folder.format], [path, 1]);
    assert.equal(await folder.folder('log'), join(path, 'log'));
    assert.ok((await readdir(path)).includes('log'));
    folder.close();
    (await openDataFolder({ path, clock })).close();
  });

  it('belongs to one program at a time; the second is told which and what to do', async () => {
    await using temporary = await temporaryFolder();
    const first = await openDataFolder({ path: temporary.path, clock });
    await assert.rejects(openDataFolder({ path: temporary.path, clock }), (error: Error) => {
      assert.ok(locked(error));
      assert.match(error.message, new RegExp(`process ${process.pid}.*--data`));
      return true;
    });
    first.close();
    (await openDataFolder({ path: temporary.path, clock })).close();
  });

  it('is free again the moment its holder was killed, whatever it left behind', async () => {
    await using temporary = await temporaryFolder();
    const fixture = join(import.meta.dirname, 'holder.fixture.ts');
    const child = spawn(process.execPath, [fixture, temporary.path], { stdio: ['pipe', 'pipe', 'inherit'] });
    const gone = once(child, 'exit');
    await once(child.stdout, 'data');
    await assert.rejects(openDataFolder({ path: temporary.path, clock }), (error: Error) => {
      assert.ok(error.message.includes(`process ${child.pid}`));
      return locked(error);
    });
    child.kill('SIGKILL');
    await gone;
    // Its name is still in the file, and the number may belong to a living process by now: this one, say.
    await writeFile(join(temporary.path, 'lock.json'), JSON.stringify({ pid: process.pid, sinceMs: 0 }));
    (await openDataFolder({ path: temporary.path, clock })).close();
  });

  it('refuses a folder of somebody else, and leaves it alone', async () => {
    await using temporary = await temporaryFolder();
    await writeFile(join(temporary.path, 'thesis.txt'), 'ten years of work');
    await assert.rejects(openDataFolder({ path: temporary.path, clock }), wrongFormat);
    assert.deepEqual(await readdir(temporary.path), ['thesis.txt']);
  });

  it('refuses a newer format, and one it cannot read', async () => {
    await using temporary = await temporaryFolder();
    for (const text of ['99\n', 'soup\n', '0\n']) {
      await writeFile(join(temporary.path, 'format'), text);
      await assert.rejects(openDataFolder({ path: temporary.path, clock }), wrongFormat, text);
    }
    await writeFile(join(temporary.path, 'format'), '1\n');
    (await openDataFolder({ path: temporary.path, clock })).close();
  });

  it('runs the migrations that are due, in order', async () => {
    await using temporary = await temporaryFolder();
    const { path } = temporary;
    await oldFolder(path);
    const folder = await openDataFolder({ path, clock, migrations: [split, rename] });
    assert.equal(folder.format, 3);
    folder.close();
    assert.equal(await readFile(join(path, 'first'), 'utf8'), 'ADA');
    assert.equal(await readFile(join(path, 'names', 'grace'), 'utf8'), 'GRACE');
    assert.deepEqual((await readdir(path)).sort(), ['first', 'format', 'lock', 'lock.json', 'names']);
    await assert.rejects(openDataFolder({ path, clock, migrations: [split] }), wrongFormat);
  });

  it('keeps the old format whole when a migration fails, and tries again from the start', async () => {
    await using temporary = await temporaryFolder();
    const { path } = temporary;
    await oldFolder(path);
    const failing: Migration = {
      ...split,
      async prepare(folder, staging) {
        await split.prepare(folder, staging);
        throw new Error('no more space');
      },
    };
    await assert.rejects(openDataFolder({ path, clock, migrations: [failing] }), /no more space/);
    assert.equal(await readFile(join(path, 'names.txt'), 'utf8'), 'ada\ngrace\n');
    assert.equal((await openDataFolder({ path, clock, migrations: [split] })).format, 2);
    assert.equal(await readFile(join(path, 'names', 'ada'), 'utf8'), 'ADA');
  });

  it('finishes a migration that a crash interrupted after its journal, at any step', async () => {
    for (let done = 0; done <= 3; done++) {
      await using temporary = await temporaryFolder();
      const { path } = temporary;
      await oldFolder(path);
      const staging = join(path, 'migration');
      await mkdir(staging);
      const steps = await split.prepare(path, staging);
      await writeFile(join(path, 'migration.json'), JSON.stringify({ to: 2, steps }));
      await mkdir(join(path, 'names'));
      for (const [index, name] of ['ada', 'grace'].entries()) {
        if (index >= done) continue;
        await writeFile(join(path, 'names', name), await readFile(join(staging, name)));
        await rm(join(staging, name));
      }
      if (done === 3) await rm(join(path, 'names.txt'));
      const folder = await openDataFolder({ path, clock, migrations: [split] });
      folder.close();
      assert.deepEqual((await readdir(join(path, 'names'))).sort(), ['ada', 'grace']);
      assert.deepEqual((await readdir(path)).sort(), ['format', 'lock', 'lock.json', 'names']);
    }
  });
});
