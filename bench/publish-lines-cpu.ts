import { memoryStateStore } from '../src/adapters/memory/index.ts';
import { type JsonSchema, systemClock } from '../src/kernel/index.ts';
import type { AppendResult, LogStore } from '../src/streams/index.ts';
import { createStreams, type StreamDefinition } from '../src/streams/index.ts';
import { bench, type Reading } from './lib/harness.ts';

const RECORDS = 1000;
const SCHEMA: JsonSchema = {
  type: 'object',
  required: ['card', 'amount', 'at'],
  properties: {
    card: { type: 'string', minLength: 8 },
    amount: { type: 'number', minimum: 0 },
    at: { type: 'string' },
    terminal: { type: 'integer' },
  },
  additionalProperties: false,
};

/** 1,000 payments of about 100 bytes each. */
function payments(): Buffer {
  const lines = Array.from({ length: RECORDS }, (_, index) =>
    JSON.stringify({
      card: `4000${String(index * 7919).padStart(12, '0')}`,
      amount: 12.5 + index,
      at: '2026-01-01T00:00:00.000Z',
      terminal: index % 512,
    }),
  );
  return Buffer.from(lines.join('\n'));
}

/** A log that keeps nothing, so that what is left is the cost of getting there. */
function sink(): LogStore {
  const topics = new Map<string, unknown>();
  const bounds = { logStartOffset: 0, lastStableOffset: 0, highWatermark: 0 };
  const append = (input: { topic: string; partition: number }): Promise<AppendResult> =>
    Promise.resolve({
      ...input,
      baseOffset: 0,
      lastOffset: 0,
      appendTimeMs: -1,
      logStartOffset: 0,
      duplicate: false,
    });
  return {
    name: 'sink',
    append,
    bounds: () => bounds,
    topics: {
      find: (name: string) => topics.get(name),
      list: () => [...topics.values()],
      create: async ({ name, partitions, config }: { name: string; partitions: number; config: object }) => {
        const topic = { id: name, name, partitions, config, createdMs: 0, internal: false };
        topics.set(name, topic);
        return topic;
      },
    },
  } as unknown as LogStore;
}

/** Records a second, by the processor time that this process spent: other work on the machine does not count. */
async function rate(seconds: number, records: number, run: () => unknown): Promise<number> {
  for (let warmup = 0; warmup < 200; warmup++) await run();
  const from = process.cpuUsage();
  const begin = performance.now();
  let done = 0;
  for (; performance.now() - begin < seconds * 1000; done += records) await run();
  const { user, system } = process.cpuUsage(from);
  return (done / (user + system)) * 1e6;
}

await bench({
  name: 'publish-lines-cpu',
  question:
    'What does publishing NDJSON cost in processor time, 1,000 records of 100 B a call, before the log has it?',
  leavesOut: 'the log, the disk and HTTP: the records go into a log that keeps nothing.',
  async run({ short, say }) {
    const seconds = short ? 0.3 : 3;
    const body = payments();
    const clock = systemClock();
    const streams = createStreams({ log: sink(), state: memoryStateStore({ clock }), clock });
    const paths: [string, Omit<StreamDefinition, 'name'>][] = [
      ['plain', {}],
      ['keyed', { keyPath: '/card' }],
      ['with-schema', { keyPath: '/card', schema: SCHEMA }],
    ];
    const texts = body.toString().split('\n');
    const readings: Reading[] = [
      {
        what: 'calibration: JSON.parse of each line',
        value: await rate(seconds, RECORDS, () => texts.forEach((text) => void JSON.parse(text))),
        unit: 'records/s',
      },
    ];
    for (const [name, definition] of paths) {
      say(`${name}: ${Math.round(body.length / RECORDS)} bytes a record`);
      await streams.define({ name, partitions: 4, ...definition });
      const value = await rate(seconds, RECORDS, () => streams.publishLines(name, body));
      const reach = name === 'with-schema' ? {} : { reach: { atLeast: 600_000 } };
      readings.push({ what: `publishLines, ${name}`, value, unit: 'records/s of one core', ...reach });
    }
    return readings;
  },
});
