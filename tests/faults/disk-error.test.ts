import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandLog } from './lib/commanded-log.ts';
import { failingCalls } from './lib/failing-calls.ts';
import { temporaryFolder } from './lib/log.ts';

describe('a disk that reports an error', () => {
  for (const call of ['sync', 'write'] as const) {
    it(`on ${call} ends acknowledging until a restart has recovered`, async (t) => {
      const shim = await failingCalls(t);
      if (!shim) return t.skip('making system calls fail needs Linux and a C compiler (cc)');
      const folder = await temporaryFolder(t);
      const log = await commandLog(t, folder, shim.environment('/wal/'));
      const acknowledged: string[] = [];
      for (let number = 0; number < 50; number++) {
        assert.equal((await log.ask('append', number)).code, 'ok');
        acknowledged.push(String(number));
      }

      await shim.fail(call);
      const refused = await log.ask('append', 'doubtful');
      assert.equal(refused.code, 'DISK_FAILED');
      assert.match(refused.text, /restart/);
      assert.equal((await log.ask('read')).text, acknowledged.join(','), 'reads go on');

      await shim.heal();
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
