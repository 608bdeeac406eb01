import assert from 'node:assert/strict';
import { it } from 'node:test';
import { simulatedDisk } from '../../src/adapters/memory/index.ts';
import { manualClock, seededRandom } from '../../src/kernel/index.ts';
import { createEmbeddedLog, encodeBatch } from '../../src/streams/index.ts';
import { closeLog, readPartition } from './lib/log.ts';

const DAY_MS = 86_400_000;
const PLACE = { topic: 't', partition: 0 };
const START_MS = Date.UTC(2026, 0, 1);

const at = (timeMs: number, value: string): Uint8Array =>
  encodeBatch([{ value: new TextEncoder().encode(value) }], { timeMs });

for (const [name, jumpMs] of [
  ['ten years ahead', 3_650 * DAY_MS],
  ['ten years back', -3_650 * DAY_MS],
] as const) {
  it(`goes on when the clock jumps ${name} and returns`, async () => {
    const clock = manualClock(START_MS);
    const disk = simulatedDisk();
    const log = createEmbeddedLog({ disk, clock, random: seededRandom(1) });
    await log.start?.();
    await log.topics.create({ name: 't', partitions: 1, config: { retentionMs: null, segmentBytes: 4_096 } });
    const assignment = (await log.join('g', ['t'])).assignment!;
    const producer = await log.producers.init({ transactionalId: 'x' });
    await log.producers.addPartitions('x', producer, [PLACE]);

    const expected: string[] = [];
    for (const [round, offsetMs] of [0, jumpMs, 0].entries()) {
      clock.jump(START_MS + offsetMs + round);
      for (let number = 0; number < 30; number++) {
        const value = `${round}.${number} ${'x'.repeat(200)}`;
        await log.append({ ...PLACE, batch: at(clock.now(), value) });
        expected.push(value);
      }
      await log.checkpoint();
      await log.maintain();
      const offsets = [{ ...PLACE, offset: expected.length, done: [] }];
      assert.equal((await assignment.commit({ appends: [], offsets, state: [] })).status, 'COMMITTED');
    }
    assert.equal(assignment.revoked.aborted, false, 'a jump is no silence of a member');
    await log.producers.end('x', producer, 'commit'); // a jump is no timeout either

    const values = (await readPartition(log, PLACE)).records.map((record) => record.value);
    assert.deepEqual(values, expected);
    const latest = await log.offsetForMaxTime(PLACE);
    assert.equal(latest?.offset, jumpMs > 0 ? 59 - 29 : 89 - 29);
    const found = await log.offsetForTime(PLACE, START_MS + 2);
    assert.equal(found?.offset, jumpMs > 0 ? 30 : 60);
    await closeLog(log);

    const again = createEmbeddedLog({ disk, clock, random: seededRandom(2) });
    await again.start?.();
    assert.equal((await readPartition(again, PLACE)).records.length, expected.length);
    assert.deepEqual((await again.verify()).damages, []);
    await closeLog(again);
  });
}
