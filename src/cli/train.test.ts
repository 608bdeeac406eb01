import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDesk } from './program.fixture.ts';

const APP = `import { boostedTrees, logisticRegression, model, stream } from 'millrace';
export const visits = stream('visits', { partitions: 2, key: 'user' });
export const churn = model('churn', {
  train: boostedTrees({ label: 'left', features: ['pages', 'minutes'], from: visits, rounds: 20, holdout: 0.3 }),
});
export const other = model('other', { train: logisticRegression({ label: 'left', from: 'visits.csv' }) });
`;

/** Users who look at few pages leave. */
function visits(count: number): { user: string; pages: number; minutes: number; left: boolean }[] {
  return Array.from({ length: count }, (_, row) => {
    const pages = (row * 7) % 10;
    return { user: `u${row}`, pages, minutes: (row * 13) % 17, left: pages < 4 };
  });
}

test('a model is trained from a file, and from a stream as its app declares it, and then predicts', async () => {
  await using desk = await createDesk();
  const rows = visits(400);
  const csv = rows.map(({ pages, minutes, left }) => `${pages},${minutes},${left ? 'yes' : 'no'}`).join('\n');
  await desk.write({
    'package.json': '{"name":"shop","type":"module"}',
    'app.ts': APP,
    'visits.csv': `pages,minutes,left\n${csv}\n`,
    'visits.ndjson': `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`,
  });
  const settings = ['--label', 'left', '--set', 'rounds=20,grow=depth', '--seed', '3'];
  const toFile = await desk.run(
    'train',
    '--from',
    'visits.csv',
    ...settings,
    '--out',
    'churn.onnx',
    '--json',
  );
  assert.equal(toFile.code, 0, toFile.err);
  const report = JSON.parse(toFile.out) as {
    out: string;
    metrics: { accuracy: number };
    importance: { pages: number };
  };
  assert.ok(report.metrics.accuracy > 0.99 && report.importance.pages > 0.9);
  assert.ok((await readFile(join(desk.folder, report.out))).includes('TreeEnsembleRegressor'));

  const platform = desk.start('start', '--data', 'data');
  const { api } = await platform.ready;
  const run = (...words: string[]) => desk.run(...words, '--url', api);
  const deployed = await run('deploy');
  assert.equal(deployed.code, 0, deployed.err);
  assert.equal((await run('emit', 'visits', '--data', '@visits.ndjson')).code, 1, 'one record is not many');
  const lines = await readFile(join(desk.folder, 'visits.ndjson'), 'utf8');
  await fetch(`${api}/streams/visits/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines,
  });

  const trained = await run('train', 'churn');
  assert.equal(trained.code, 0, trained.err);
  assert.match(
    trained.out,
    /learnt from 280 rows, measured on 120 others\naccuracy 1 .*\n.*pages\n(?:.*\n)*registered as version [0-9a-f]{16}/,
  );
  const fromFile = await run('train', 'other', '--alias', 'candidate', '--json');
  assert.equal(fromFile.code, 0, fromFile.err);
  const asked = await fetch(`${api}/models/churn/predict?explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      rows: [
        { pages: 1, minutes: 5 },
        { pages: 9, minutes: 5 },
      ],
    }),
  });
  assert.equal(asked.status, 200, await asked.clone().text());
  const answer = (await asked.json()) as {
    predictions: { label: string }[];
    explanations: { base: number; contributions: { pages: number } }[][];
  };
  assert.deepEqual(
    answer.predictions.map(({ label }) => label),
    ['1', '0'],
  );
  assert.ok(
    answer.explanations[0]![0]!.contributions.pages > 0 &&
      answer.explanations[1]![0]!.contributions.pages < 0,
  );
  assert.equal((await platform.stop()).code, 0);
});

test('what train cannot do is said with the remedy', async () => {
  await using desk = await createDesk();
  await desk.write({
    'package.json': '{"name":"shop","type":"module"}',
    'app.ts': APP,
    'rows.csv': 'a,b\n1,2\n',
  });
  const cases: readonly (readonly [number, RegExp, ...string[]])[] = [
    [2, /Name the MODEL/, '--from', 'rows.csv'],
    [2, /where the rows are/, '--label', 'b', '--out', 'x.onnx'],
    [2, /not both/, '--from', 'rows.csv', '--stream', 's', '--out', 'x.onnx'],
    [3, /declares no model 'absent'/, 'absent'],
    [1, /no column of the rows/, '--from', 'rows.csv', '--label', 'c', '--out', 'x.onnx'],
    [
      1,
      /is no setting of boosted-trees/,
      '--from',
      'rows.csv',
      '--label',
      'b',
      '--set',
      'depth=3',
      '--out',
      'x.onnx',
    ],
  ];
  const ends = await Promise.all(cases.map(([, , ...words]) => desk.run('train', ...words)));
  cases.forEach(([code, message, ...words], place) => {
    assert.equal(ends[place]!.code, code, `${words}: ${ends[place]!.err}`);
    assert.match(ends[place]!.err, message);
  });
});
