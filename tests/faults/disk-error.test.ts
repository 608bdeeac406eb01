import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { commandLog } from './lib/commanded-log.ts';
import { temporaryFolder } from './lib/log.ts';

/** The shim that makes system calls fail; undefined where it cannot be built. */
async function failingCalls(t: TestContext): Promise<{ library: string; trigger: string } | undefined> {
  if (process.platform !== 'linux') return undefined;
  const folder = await temporaryFolder(t);
  const library = join(folder, 'failing-calls.so');
  const source = join(import.meta.dirname, 'lib/failing-calls.c');
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-w', '-o', library, source, '-ldl']);
  return built.status === 0 ? { library, trigger: join(folder, 'trigger') } : undefined;
}

describe('a disk that reports an error', () => {
  for (const call of ['sync', 'write'] as const) {
    it(`on ${call} ends acknowledging until a restart has recovered`, async (t) => {
      const shim = await failingCalls(t);
      if (!shim) return t.skip('making system calls fail needs Linux and a C compiler (cc)');
      const folder = await temporaryFolder(t);
      const env = {
        LD_PRELOAD: shim.library,
        MILLRACE_FAIL_TRIGGER: shim.trigger,
        MILLRACE_FAIL_PATH: '/wal/',
      };
      const log = await commandLog(t, folder, env);
      const acknowledged: string[] = [];
      for (let number = 0; number < 50; number++) {
        assert.equal((await log.ask('append', number)).code, 'ok');
        acknowledged.push(String(number));
      }

      await writeFile(shim.trigger, call);
      const refused = await log.ask('append', 'doubtful');
      assert.equal(refused.code, 'DISK_FAILED');
      assert.match(refused.text, /restart/);
      assert.equal((await log.ask('read')).text, acknowledged.join(','), 'reads go on');

      await rm(shim.trigger);
      assert.equal((await log.ask('append', 'still refused')).code, 'DISK_FAILED', 'no sync is tried again');
      await log.kill();

      const next = await commandLog(t, folder);
      const values = (await next.ask('read')).text.split(',');
      assert.deepEqual(values.slice(0, 50), acknowledged);
      assert.ok(values.length === 50 || (values.length === 51 && values[50] === 'doubtful'));
      assert.equal((await next.ask('append', 'good')).code, 'ok');
    });
  }
});
