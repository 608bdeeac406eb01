import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { createWorkers, isMillraceError, manualClock } from '../../kernel/index.ts';
import { madeUpRows } from './made-up.support.ts';
import type { TrainingSpec } from './spec.ts';
import { fieldsOf } from './table/csv.ts';
import { readFile, readRows } from './table/read-file.ts';
import { trainModel } from './train.ts';
import { createTrainer } from './trainer.ts';

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'millrace-train-'));
  const write = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(path, name), content);
    return join(path, name);
  };
  return { write, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const TREES: TrainingSpec = { algorithm: 'boosted-trees', label: 'fraud' };
const CSV = 'amount,shop,fraud\n1.5,"a ""b"", c",0\n,,1\n2,"two\nlines",1\nnan,x,\n';

describe('rows to learn from', () => {
  it('are read from CSV and NDJSON alike, packed or not', async () => {
    using files = folder();
    const lines = [
      { amount: 1.5, shop: 'a "b", c', fraud: 0 },
      { amount: null, shop: '', fraud: true },
      { amount: 2, shop: 'two\nlines', fraud: 1 },
      { amount: Number.NaN, shop: 'x', fraud: null },
    ];
    const ndjson = `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
    const datasets = [
      await readFile(files.write('rows.csv', CSV), TREES),
      await readFile(files.write('rows.csv.gz', gzipSync(CSV.replaceAll('\n', '\n'))), TREES),
      await readFile(files.write('rows.ndjson', ndjson), TREES),
      await readFile(files.write('rows.jsonl.gz', gzipSync(ndjson)), TREES),
      readRows(lines, TREES),
    ];
    for (const dataset of datasets) assert.deepEqual(dataset, datasets[0]);
    const [amount, shop] = datasets[0]!.columns;
    assert.equal(datasets[0]!.rows, 3, 'a row without a label is left out');
    assert.deepEqual([...datasets[0]!.label!], [0, 1, 1]);
    assert.deepEqual(datasets[0]!.classes, ['0', '1']);
    assert.deepEqual([...amount!.values], [1.5, Number.NaN, 2]);
    assert.ok(shop!.kind === 'category' && shop!.categories.includes('a "b", c'));
    assert.equal(shop!.values[1], -1);
  });

  it('have a label that is a class or a number, as it looks or as it is asked for', () => {
    const rows = [1, 2, 3].map((y) => ({ x: y, y, z: `${y}th` }));
    const spec = (label: string, more: Partial<TrainingSpec> = {}): TrainingSpec => ({
      algorithm: 'boosted-trees',
      features: ['x'],
      label,
      ...more,
    });
    assert.deepEqual(readRows(rows, spec('y')).classes, undefined);
    assert.deepEqual(readRows(rows, spec('y', { task: 'classes' })).classes, ['1', '2', '3']);
    assert.deepEqual(readRows(rows, spec('z')).classes, ['1th', '2th', '3th']);
    assert.throws(() => readRows(rows, spec('z', { task: 'number' })), /holds texts/);
    assert.deepEqual([...readRows(rows, spec('y', { weight: 'x' })).weights!], [1, 2, 3]);
  });

  it('have the fields of all objects, missing where one has them not', () => {
    const rows = [{ a: 1 }, { b: 'x', fraud: 1 }, { a: 3, c: true, fraud: 0 }];
    const { columns, label } = readRows(rows, TREES);
    assert.deepEqual(
      columns.map(({ name, kind }) => `${name} ${kind}`),
      ['a number', 'b category', 'c number'],
    );
    assert.deepEqual([...columns[0]!.values], [Number.NaN, 3]);
    assert.deepEqual([...columns[2]!.values], [Number.NaN, 1]);
    assert.deepEqual([...label!], [1, 0], 'the first row has no label');
    assert.throws(
      () => readRows([{ a: 1 }], TREES),
      (error) => isMillraceError(error) && error.errors[0]?.path === '/fraud',
    );
  });

  it('are refused with the place and the remedy', async () => {
    using files = folder();
    const refused = async (content: string, spec: TrainingSpec, message: RegExp, name = 'rows.csv') =>
      assert.rejects(readFile(files.write(name, content), spec), (error) => {
        const told =
          isMillraceError(error, 'INVALID_INPUT') && `${error.message} ${JSON.stringify(error.errors)}`;
        return told && message.test(told);
      });
    await refused('a,b\n1,2\n1,2,3\n', { ...TREES, label: 'b' }, /line 3: 3 fields, and the header has 2/);
    await refused('a,b\n1,"2\n', { ...TREES, label: 'b' }, /does not end/);
    await refused('a,b\n1,2\n', TREES, /no column of the rows, which have a, b/);
    await refused('a,b\n1,2\n', { algorithm: 'boosted-trees' }, /names no column to predict/);
    await refused('a,b\n1,2\n', { ...TREES, label: 'b', features: ['a', 'b'] }, /told the answer/);
    await refused('a,b\n1,2\n', { algorithm: 'k-means', label: 'b' }, /not used by k-means/);
    await refused('{"a":1}\nnothing\n', { ...TREES, label: 'a' }, /line 2: no JSON object/, 'rows.ndjson');
    await refused('{"a":1,"b":[1]}\n', { ...TREES, label: 'a' }, /must be a number, a text/, 'rows.ndjson');
    await refused('a,b\n', { ...TREES, label: 'b' }, /holds no rows/);
    await refused('', { ...TREES, label: 'b' }, /holds no rows/);
    await refused('not packed', TREES, /cannot be read/, 'rows.csv.gz');
    const many = Array.from({ length: 10_001 }, (_, row) => `2018-04-01T${row},0`).join('\n');
    await refused(`at,fraud\n${many}\n`, TREES, /naming the features/);
    await assert.rejects(readFile('/absent.csv', TREES), /cannot be read/);
  });

  it('have fields that come back as they were written', () => {
    const quoted = (field: string): string =>
      /[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (fields) => {
        assert.deepEqual(fieldsOf(fields.map(quoted).join(',')), fields);
      }),
    );
    assert.equal(fieldsOf('a,"b'), undefined);
  });
});

describe('training in a worker', () => {
  function pool() {
    const workers = createWorkers({ size: 1, queue: 2, idleMs: 1000, clock: manualClock() });
    return {
      trainer: createTrainer(workers),
      [Symbol.asyncDispose]: () => workers.stop!(AbortSignal.abort()),
    };
  }

  it('gives what training here would give, and tells how far it is', async () => {
    await using under = pool();
    const dataset = madeUpRows('classes', 300);
    const spec: TrainingSpec = { algorithm: 'boosted-trees', settings: { rounds: 7 } };
    const progress: number[] = [];
    const onProgress = ({ done, of }: { done: number; of: number }): void => void progress.push(done / of);
    const there = await under.trainer.train(spec, { kind: 'dataset', dataset }, { onProgress });
    const { predict: _, ...here } = trainModel(spec, dataset);
    assert.deepEqual(there, here);
    assert.ok(progress.length > 0 && progress.at(-1)! <= 1);
    const rows = Array.from({ length: 50 }, (_, row) => ({ x: row, y: 2 * row }));
    const linear = await under.trainer.train(
      { algorithm: 'linear-regression', label: 'y' },
      { kind: 'rows', rows },
    );
    assert.ok(linear.metrics.rSquared! > 0.999);
  });

  it('passes on what does not fit, and ends when its caller does', async () => {
    await using under = pool();
    const file = { kind: 'file', path: '/absent.csv' } as const;
    await assert.rejects(under.trainer.train(TREES, file), (error) =>
      isMillraceError(error, 'INVALID_INPUT'),
    );
    const abort = new AbortController();
    const settings = { rounds: 10_000, maxLeaves: 1000, minDataInLeaf: 1 };
    const training = under.trainer.train(
      { algorithm: 'boosted-trees', settings },
      { kind: 'dataset', dataset: madeUpRows('number', 5000) },
      { signal: abort.signal, onProgress: () => abort.abort(new Error('enough')) },
    );
    await assert.rejects(training, /enough/);
  });
});
