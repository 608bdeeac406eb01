import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandLog } from './lib/commanded-log.ts';
import { failingCalls } from './lib/failing-calls.ts';
import { temporaryFolder } from './lib/log.ts';

const SCRIPT = 'faulty-state.child.ts';
const key = (number: number): string => String(number).padStart(3, '0');

describe('a state store on a disk that reports an error', () => {
  for (const call of ['sync', 'write'] as const) {
    it(`on ${call} refuses to write, reads on, and has everything acknowledged after a restart`, async (t) => {
      const calls = await failingCalls(t);
      if (!calls) return t.skip('making system calls fail needs Linux and a C compiler (cc)');
      const folder = await temporaryFolder(t);
      const store = await commandLog(t, folder, calls.environment('/state.db'), SCRIPT);
      const acknowledged: string[] = [];
      for (let number = 0; number < 30; number++) {
        assert.equal((await store.ask('append', key(number))).code, 'ok');
        acknowledged.push(key(number));
      }

      await calls.fail(call);
      const refused = await store.ask('append', 'doubtful');
      assert.equal(refused.code, 'DISK_FAILED', refused.text);
      assert.match(refused.text, /restart/i);
      const read = (await store.ask('read')).text.split(',');
      assert.deepEqual(read.slice(0, 30), acknowledged, 'reads go on');

      await calls.heal();
      assert.equal((await store.ask('append', 'later')).code, 'DISK_FAILED', 'no sync is tried again');
      await store.kill();

      const next = await commandLog(t, folder, {}, SCRIPT);
      const kept = (await next.ask('read')).text.split(',');
      assert.deepEqual(kept.slice(0, 30), acknowledged);
      assert.ok(kept.length === 30 || (kept.length === 31 && kept[30] === 'doubtful'), kept.join(','));
      assert.equal((await next.ask('append', 'good')).code, 'ok');
    });
  }
});
