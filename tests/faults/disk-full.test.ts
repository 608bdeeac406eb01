import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { commandLog } from './lib/commanded-log.ts';

const MEBIBYTES = 6;

/** A small file system of its own; undefined where it cannot be mounted. */
async function smallDisk(t: TestContext): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-full-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${MEBIBYTES}m`, 'tmpfs', folder]);
  t.after(async () => {
    if (mounted.status === 0) spawnSync('umount', ['-l', folder]);
    await rm(folder, { recursive: true, force: true });
  });
  return mounted.status === 0 ? folder : undefined;
}

it('says DISK_FULL with a remedy, goes on reading, and writes again when there is space', async (t) => {
  const folder = await smallDisk(t);
  if (!folder) return t.skip('mounting a small file system needs root on Linux');
  const log = await commandLog(t, folder);
  const written: string[] = [];
  let refusal: { code: string; text: string } | undefined;
  for (let number = 0; number < 3_000 && !refusal; number++) {
    const answer = await log.ask('append', number);
    if (answer.code === 'ok') written.push(String(number));
    else refusal = answer;
  }
  assert.equal(refusal?.code, 'DISK_FULL');
  assert.match(refusal.text, /Free space/);
  assert.ok(written.length > 100, `${written.length} appends fitted`);
  const { bavail, bsize } = await statfs(folder);
  t.diagnostic(`${written.length} appends of 4 kB fitted ${MEBIBYTES} MB; ${bavail * bsize} bytes were left`);
  assert.deepEqual(await log.ask('read'), { code: 'ok', text: written.join(',') });

  const grown = spawnSync('mount', ['-o', `remount,size=${MEBIBYTES * 4}m`, folder]);
  assert.equal(grown.status, 0);
  await appendsAgain(log, written);
  assert.deepEqual((await log.ask('read')).text.split(','), written);

  await log.kill();
  const next = await commandLog(t, folder);
  assert.deepEqual((await next.ask('read')).text.split(','), written, 'after a kill everything is there');
});

/** Writes come back by themselves, at the latest with the log's own next try. */
async function appendsAgain(log: Awaited<ReturnType<typeof commandLog>>, written: string[]): Promise<void> {
  for (let number = 0; ; number++) {
    const answer = await log.ask('append', `again${number}`);
    if (answer.code === 'ok') {
      written.push(`again${number}`);
      if (written.filter((one) => one.startsWith('again')).length === 50) return;
    } else {
      assert.equal(answer.code, 'DISK_FULL');
      assert.ok(number < 500, 'writes must come back');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
