/**
 * Loads a log until it is killed: plain appends from four writers, transactions that commit or abort, and atomic commits
 * of a consumer. Says on standard output what was acknowledged, one line each, written before anything else happens.
 */
import { writeSync } from 'node:fs';
import { encodeBatch } from '../../../src/streams/index.ts';
import { batchOf, openFolder } from './log.ts';

const [folder, run] = process.argv.slice(2);
const log = await openFolder(folder!);
const say = (...words: (string | number)[]): void => void writeSync(1, `${words.join(' ')}\n`);

for (const [name, partitions] of [
  ['plain', 4],
  ['pairs', 2],
  ['out', 2],
] as const) {
  if (!log.topics.find(name))
    await log.topics.create({ name, partitions, config: { segmentBytes: 128 * 1024 } });
}

async function appendForEver(writer: number): Promise<never> {
  for (let number = 0; ; number++) {
    const value = `${run}.${writer}.${number}`;
    const padding = 'x'.repeat((number * 37) % 900);
    const { baseOffset } = await log.append({
      topic: 'plain',
      partition: writer,
      batch: batchOf(`${value} ${padding}`),
    });
    say('append', writer, baseOffset, value);
  }
}

async function transactForEver(): Promise<never> {
  const producer = await log.producers.init({ transactionalId: 'pairs' });
  const places = [0, 1].map((partition) => ({ topic: 'pairs', partition }));
  for (let number = 0; ; number++) {
    await log.producers.addPartitions('pairs', producer, places);
    const value = `${run}.${number}`;
    for (const place of places) {
      const options = {
        timeMs: Date.now(),
        producer: { ...producer, sequence: number },
        transactional: true,
      };
      await log.append({
        ...place,
        batch: encodeBatch([{ value: new TextEncoder().encode(value) }], options),
      });
    }
    const outcome = number % 3 === 0 ? 'abort' : 'commit';
    await log.producers.end('pairs', producer, outcome);
    say(outcome, value);
  }
}

async function commitForEver(): Promise<never> {
  const assignment = (await log.join('group', ['plain'])).assignment!;
  const place = { topic: 'plain', partition: 0 };
  const key = new TextEncoder().encode('count');
  const view = await assignment.state('counter', 0);
  let { offset } = await assignment.position(place);
  const before = view.get(key);
  if (Number(before ? new TextDecoder().decode(before) : 0) !== offset) say('torn', 'state', offset);
  for (;;) {
    offset++;
    await assignment.commit({
      appends: [0, 1].map((partition) => ({ topic: 'out', partition, batch: batchOf(String(offset)) })),
      offsets: [{ ...place, offset, done: [] }],
      state: [{ store: 'counter', partition: 0, key, value: new TextEncoder().encode(String(offset)) }],
    });
    say('position', offset);
  }
}

say('ready');
await Promise.all([0, 1, 2, 3].map(appendForEver).concat(transactForEver(), commitForEver()));
