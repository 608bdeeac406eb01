/**
 * A platform with a model that is retrained, for a test that kills it: says `step STEP` whenever the run or its release is a step
 * further, and `done JSON` at the end. On a folder that has been used before it goes on with what it finds there.
 */
import { type Json, readModelOperations, seededRandom } from '../../src/kernel/index.ts';
import { createPlatform, loadConfig } from '../../src/main.ts';
import { train } from '../../src/models/retraining/tasks.ts';

const SPEC = { algorithm: 'boosted-trees', label: 'late', settings: { rounds: 150 } } as const;
const OPERATIONS = {
  gates: {
    label: 'late',
    metrics: { accuracy: { margin: 0.05 } },
    output: 'probabilities.1',
    latency: { slowerBy: 100 },
  },
  release: {
    shadow: { for: '1s', rows: 50 },
    canary: { for: '1s', rows: 20, weight: 50 },
    watch: { for: '1s', rows: 50 },
    live: { drift: false, slowerBy: 100 },
    look: '500ms',
  },
  retrain: { on: { kind: 'records', count: 1000 }, from: 'deliveries', least: 500, spec: SPEC },
};

const random = seededRandom(3);
const row = () => {
  const [distance, weight] = [random.float(), random.float()];
  return { distance, weight, late: distance > 0.5 ? 1 : 0 };
};

const flags = { data: process.argv[2]!, 'api-port': 'off', 'edge-port': 'off', 'kafka-port': 'off' };
const platform = createPlatform(await loadConfig({ flags, env: {}, folder: process.cwd() }));
await platform.start();
const { streams, models } = platform;
const { operations } = models;
const publish = async (count: number): Promise<void> => {
  const records = Array.from({ length: count }, () => ({ value: { json: row() as Json } }));
  await streams.publish('deliveries', records);
};

if (!streams.find('deliveries')) {
  await streams.define({ name: 'deliveries', partitions: 2 });
  await publish(600);
  const lines = Buffer.from(Array.from({ length: 1000 }, () => JSON.stringify(row())).join('\n'));
  const { onnx, reference } = train({ spec: { ...SPEC, settings: { rounds: 5 } }, lines });
  const serving = { missing: true, batch: { size: 256, waitMs: 0 }, cache: null };
  await models.register('late', {
    bytes: onnx,
    serving,
    by: 'test',
    facts: { reference: reference as unknown as Json },
  });
  await operations.set('late', readModelOperations(OPERATIONS as unknown as Json));
  await operations.retraining.settled();
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
let said = '';
let published = streams
  .describe('deliveries')
  .bounds.reduce((sum, { highWatermark }) => sum + highWatermark, 0);
for (;;) {
  const { distance, weight } = row();
  await models.predict('late', [{ distance, weight }], { key: String(random.integer(100)) });
  // The fact: enough new records, once the triggers have begun to count.
  if (published < 1600 && (await platform.store.get('models.retraining.cursors', 'late'))) {
    await publish(1600 - published);
    published = 1600;
  }
  const [run] = await operations.retraining.list('late');
  const stage = operations.releases.active('late')?.stage;
  const now = run ? `${run.step}${run.step === 'watch' ? `-${stage ?? 'ended'}` : ''}` : '';
  if (now !== said) say(`step ${now}`);
  said = now;
  if (run?.step === 'done') {
    const runs = await operations.retraining.list('late');
    const releases = await operations.releases.list('late');
    const { latest, aliases } = models.registry.require('late');
    say(
      `done ${JSON.stringify({ runs, releases: releases.length, latest, production: aliases.production })}`,
    );
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
}
await platform.stop();
