import assert from 'node:assert/strict';
import { it } from 'node:test';
import { simulatedDisk } from '../../src/adapters/memory/index.ts';
import { type ManualClock, manualClock } from '../../src/kernel/index.ts';
import type { EmbeddedLog } from '../../src/streams/index.ts';
import { changed, contentOf, diskWith, flipped } from './lib/damaged-disk.ts';
import {
  batchOf,
  closeLog,
  filesOf,
  full,
  letItSeal,
  openLog,
  readPartition,
  SMALL_FILES,
} from './lib/log.ts';

const PLACES = [0, 1].map((partition) => ({ topic: 't', partition }));
const step = full ? 1 : 5;

async function valuesOf(log: EmbeddedLog): Promise<string[][]> {
  return Promise.all(
    PLACES.map(async (place) => (await readPartition(log, place)).records.map((one) => one.value)),
  );
}

/**
 * A log with a few groups, the last of which appends to both partitions at once, and its write-ahead file as it was right
 * after the write of that group: nothing follows it, as when the power fails before anyone is answered.
 */
async function logWithLastGroup() {
  const disk = simulatedDisk();
  const clock = manualClock();
  const log = await openLog(disk, SMALL_FILES, clock);
  await log.topics.create({ name: 't', partitions: 2 });
  for (const value of ['a', 'b', 'c'])
    for (const place of PLACES) await log.append({ ...place, batch: batchOf(value) });
  const assignment = (await log.join('g', ['t'])).assignment!;
  const before = await writeAhead(disk, clock);
  const appends = PLACES.map((place) => ({ ...place, batch: batchOf(`last ${'x'.repeat(150)}`, 'end') }));
  await assignment.commit({ appends, offsets: [{ ...PLACES[0]!, offset: 3, done: [] }], state: [] });
  const after = await writeAhead(disk, clock);
  const files = await contentOf(
    disk,
    (await filesOf(disk)).map((file) => file.path),
  );
  await closeLog(log);
  const from = after.content.findIndex((byte, at) => byte !== before.content[at]);
  const to = after.content.findLastIndex((byte, at) => byte !== (before.content[at] ?? 0)) + 1;
  return { files, path: after.path, from, to };
}

async function writeAhead(
  disk: ReturnType<typeof simulatedDisk>,
  clock: ManualClock,
): Promise<{ path: string; content: Uint8Array }> {
  await letItSeal(clock);
  const { path } = (await filesOf(disk, 'wal')).at(-1)!;
  return { path, content: (await disk.read(path))! };
}

const BEFORE = ['a', 'b', 'c'];
const WHOLE = [...BEFORE, `last ${'x'.repeat(150)}`, 'end'];

it('finds the last group whole or not at all when its file ends anywhere within it', async () => {
  const { files, path, from, to } = await logWithLastGroup();
  assert.ok(to - from > 500, 'the group is where it was looked for');
  for (let end = from; end <= to; end += step) {
    const log = await openLog(await diskWith(changed(files, path, (content) => content.slice(0, end))));
    const values = await valuesOf(log);
    assert.deepEqual(values[0], values[1], `a file of ${end} bytes has half a commit`);
    assert.ok([BEFORE.length, WHOLE.length].includes(values[0]!.length));
    assert.deepEqual(values[0], WHOLE.slice(0, values[0]!.length));
    const [position] = log.groups.offsets('g');
    assert.equal(position?.offset, values[0]!.length === WHOLE.length ? 3 : undefined);
    await log.append({ ...PLACES[0]!, batch: batchOf('goes on') });
    await closeLog(log);
  }
});

it('finds the last group whole or not at all when the rest of it was never written', async () => {
  const { files, path, from, to } = await logWithLastGroup();
  for (let torn = from; torn < to; torn += step) {
    const log = await openLog(await diskWith(changed(files, path, (content) => content.fill(0, torn))));
    const values = await valuesOf(log);
    assert.deepEqual(values[0], values[1], `zeros from ${torn} on leave half a commit`);
    assert.deepEqual(values[0], WHOLE.slice(0, values[0]!.length));
    await closeLog(log);
  }
});

it('names a flipped byte anywhere in the last group that was acknowledged', async () => {
  const { files, path, from, to } = await logWithLastGroup();
  let named = 0;
  for (let position = from; position < to; position += step) {
    const log = await openLog(await diskWith(changed(files, path, flipped(position))));
    const { damages } = await log.verify();
    const values = await valuesOf(log);
    for (const one of values) assert.deepEqual(one.slice(0, 3), BEFORE, 'what came before is untouched');
    const isWhole = values.every((one) => one.length === WHOLE.length);
    assert.ok(isWhole || damages.length > 0, `a flipped byte at ${position} lost records in silence`);
    if (damages.length > 0) named++;
    for (const damage of damages) assert.equal(damage.file, path);
    await closeLog(log);
  }
  assert.ok(named > 0, 'damage is named');
});
