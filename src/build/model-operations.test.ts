import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError } from '../kernel/index.ts';
import { createWorkbench, PACKAGE } from './workbench.support.ts';

const APP = `import { cron, drift, fn, model, records, stream } from 'millrace';
export const labelled = stream('labelled');
export const risk = model('risk', {
  watch: { window: { every: '1d' }, labels: { from: labelled, key: 'payment', label: 'fraud' } },
  gates: { heldBack: 'rows.csv', label: 'fraud', metrics: { auc: { atLeast: 0.9 }, logLoss: { atMost: 0.3 } } },
  release: { canary: { weight: 5, for: '1h' } },
  retrain: {
    on: [drift('amount'), records(1000), cron('0 3 * * 1', { timezone: 'Europe/Berlin' })],
    from: labelled,
    spec: { algorithm: 'boosted-trees', label: 'fraud' },
  },
});
const drifts = stream('millrace.drift');
export const help = fn('help', { on: drifts }, () => {});
`;

async function build(source: string) {
  await using bench = await createWorkbench();
  const files = {
    'package.json': PACKAGE,
    'rows.csv': 'amount,fraud\n1,0\n',
    'tokenizer.json': '{"model":{}}',
    'app.ts': source,
  };
  return await bench.builder.build(await bench.write(files));
}

describe('a tokenizer', () => {
  const app = (file: string) => `import { model } from 'millrace';
export const mood = model('mood', { inputs: { ids: { kind: 'tokenizer', from: 'text', file: '${file}', length: 16 } } });`;

  it('travels in the manifest, and is missed where it is not there', async () => {
    const { manifest } = await build(app('tokenizer.json'));
    assert.deepEqual(manifest.models![0]!.serving.preprocess, {
      ids: { kind: 'tokenizer', from: 'text', tokenizer: '{"model":{}}', length: 16, part: 'ids' },
    });
    await assert.rejects(build(app('nowhere.json')), /inputs\.ids\.file 'nowhere\.json' cannot be read/);
    await assert.rejects(build(app('')), /inputs\.ids\.file/);
  });
});

describe('how a model is operated', () => {
  it('travels in the manifest, with the rows that its gates name', async () => {
    const { manifest, files } = await build(APP);
    const [model] = manifest.models!;
    const { watch, gates, release, retrain } = model!.operations!;
    assert.deepEqual(
      [watch.windowRows, watch.windowMs, watch.labels?.stream],
      [null, 86_400_000, 'labelled'],
    );
    assert.deepEqual(
      gates?.metrics.map(({ metric, limit, margin }) => [metric, limit, margin]),
      [
        ['auc', 0.9, 0.02],
        ['logLoss', 0.3, 0.02],
      ],
    );
    assert.equal(gates?.heldBack, 'models/risk.held-back');
    assert.equal(Buffer.from(files.get('models/risk.held-back')!).toString(), 'amount,fraud\n1,0\n');
    assert.deepEqual(
      [release.canary.weight, release.canary.forMs, release.watch.forMs],
      [5, 3_600_000, 600_000],
    );
    assert.deepEqual(retrain?.on, [
      { kind: 'drift', columns: ['amount'] },
      { kind: 'records', count: 1000 },
      { kind: 'cron', expression: '0 3 * * 1', timezone: 'Europe/Berlin' },
    ]);
    assert.equal(retrain?.stream, 'labelled');
  });

  it('refers to the platform’s own streams instead of declaring them', async () => {
    const { manifest } = await build(APP);
    assert.deepEqual(
      manifest.streams.map(({ name }) => name),
      ['labelled'],
    );
    assert.deepEqual(manifest.references, [{ kind: 'stream', name: 'millrace.drift' }]);
  });

  it('is refused with the place of every problem', async () => {
    const source = `import { model } from 'millrace';
export const risk = model('risk', {
  watch: { falseAlarms: 7, windows: {} },
  gates: { heldBack: 'nowhere.csv', label: 'fraud', fairness: { gap: 0.1 }, latency: { p99: 'soon' } },
  retrain: { on: [{ kind: 'moon' }], spec: 'trees' },
} as never);`;
    await assert.rejects(build(source), (error: Error) => {
      assert.ok(isMillraceError(error, 'APP_INVALID'));
      for (const expected of [
        /watch\.falseAlarms must be a number from/,
        /watch\.windows is not known here/,
        /gates\.fairness\.by is needed/,
        /gates\.latency\.p99 must be a duration/,
        /retrain\.on\.0\.kind must be one of drift, records, cron/,
        /retrain\.from is needed/,
        /retrain\.spec must be an object/,
      ]) {
        assert.ok(
          error.errors.some(({ message }) => expected.test(message)),
          `${expected}\n${error.errors.map(({ message }) => message).join('\n')}`,
        );
      }
      return true;
    });
  });

  it('is refused where a calendar or a file of rows is none', async () => {
    const noCalendar = APP.replace('0 3 * * 1', '61 * * * *');
    await assert.rejects(build(noCalendar), /retrain\.on\.2 cron is '61 \* \* \* \*': minute 61/);
    const missing = APP.replace('rows.csv', 'nowhere.csv');
    await assert.rejects(build(missing), /gates\.heldBack 'nowhere\.csv' cannot be read/);
  });
});
