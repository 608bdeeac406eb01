import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { simulatedDisk } from '../../adapters/memory/index.ts';
import { manualClock, seededRandom } from '../../kernel/index.ts';
import { makeTopic, readAll, T0, utf8 } from '../contract/harness.support.ts';
import {
  type DecodedRecord,
  decodeBatch,
  encodeBatch,
  packBatch,
  setAppendTime,
} from '../record-batch/index.ts';
import { createEmbeddedLog } from './index.ts';

const RECORDS = 20_000;

/** How many turns the event loop takes while the work is under way. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let under = true;
  const turn = (): void => {
    turns++;
    if (under) setImmediate(turn);
  };
  setImmediate(turn);
  await work;
  under = false;
  return turns;
}

async function openLog() {
  const [clock, disk] = [manualClock(), simulatedDisk()];
  const log = createEmbeddedLog({ disk, clock, random: seededRandom(1) });
  await log.start?.();
  await makeTopic(log, { config: { segmentBytes: 1024, cleanup: 'compact' } });
  return { log, clock };
}

/** Of each pair of records with one key the later is to stay. */
const pairs = (timeMs: number): Uint8Array =>
  encodeBatch(
    Array.from({ length: RECORDS }, (_, index) => ({
      key: utf8(`k${Math.floor(index / 2)}`),
      value: utf8(`v${index}`),
      headers: index % 3 === 0 ? [{ key: 'n', value: utf8(String(index)) }] : [],
      timeMs: timeMs + (index % 7),
    })),
    { timeMs },
  );

describe('compaction', () => {
  it('lets everything else through while it works on large batches', async () => {
    const { log, clock } = await openLog();
    await log.append({ ...T0, batch: pairs(clock.now()) });
    await log.append({
      ...T0,
      batch: encodeBatch([{ key: utf8('z'), value: utf8('z') }], { timeMs: clock.now() }),
    });
    clock.advance(1_000);
    const turns = await turnsOf(log.maintain());
    assert.equal((await readAll(log, T0)).length, RECORDS / 2 + 1);
    assert.ok(turns > 60, `${turns} turns`);
    await log.stop?.(AbortSignal.timeout(1_000));
  });

  for (const kind of ['plain', 'packed', 'stamped'] as const) {
    it(`leaves what stays of a batch as it was: ${kind}`, async () => {
      const { log, clock } = await openLog();
      const plain = pairs(clock.now());
      if (kind === 'stamped') setAppendTime(plain, 0, clock.now() + 5);
      await log.append({ ...T0, batch: kind === 'packed' ? packBatch(plain, 'zstd') : plain });
      await log.append({
        ...T0,
        batch: encodeBatch([{ key: utf8('z'), value: utf8('z') }], { timeMs: clock.now() }),
      });
      clock.advance(1_000);
      await log.maintain();
      const { batches } = await log.fetch({ ...T0, offset: 0, maxBytes: 1 });
      const facts = ({ offset, timeMs, key, value, headers }: DecodedRecord) => ({
        ...{ offset, timeMs, key: String(key), value: String(value) },
        headers: headers.map((header) => [header.key, String(header.value)]),
      });
      const stay = decodeBatch(plain).filter(({ offset }) => offset % 2 === 1);
      assert.deepEqual(decodeBatch(batches).map(facts), stay.map(facts));
      await log.stop?.(AbortSignal.timeout(1_000));
    });
  }
});
