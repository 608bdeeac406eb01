import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Algorithm, type Dataset, trainModel } from '../../src/models/training/index.ts';
import { madeUpRows } from '../../src/models/training/made-up.support.ts';
import { findPython, runPython } from '../support/python.ts';

const python = findPython(['onnx', 'onnxruntime', 'numpy']);
const skip = 'skip' in python ? python.skip : false;

/** Checks the file, and runs it with the inputs given as JSON: by name, a list of rows. */
const RUN = `
import json, sys
import numpy, onnx, onnxruntime
onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)
session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
inputs = json.load(open(sys.argv[2]))
def value(rows, kind):
    return numpy.array(rows, dtype=object) if kind == 'tensor(string)' else numpy.array(rows, dtype=numpy.float32)
feeds = {each.name: value(inputs[each.name], each.type) for each in session.get_inputs()}
names = [each.name for each in session.get_outputs()]
print(json.dumps({name: numpy.array(out).tolist() for name, out in zip(names, session.run(names, feeds))}))
`;

function feedsOf(dataset: Dataset): { [input: string]: unknown } {
  const { columns, rows } = dataset;
  const each = Array.from({ length: rows }, (_, row) => row);
  if (columns.every(({ kind }) => kind === 'number')) {
    return { features: each.map((row) => columns.map(({ values }) => jsonNumber(values[row]!))) };
  }
  return Object.fromEntries(
    columns.map((column) => [
      column.name,
      each.map((row) => {
        const value = column.values[row]!;
        return [column.kind === 'category' ? (column.categories[value] ?? '') : jsonNumber(value)];
      }),
    ]),
  );
}

const jsonNumber = (value: number): number | null => (Number.isNaN(value) ? null : value);

const CASES: readonly (readonly [Algorithm, readonly ('classes' | 'three' | 'number' | 'none')[]])[] = [
  ['boosted-trees', ['classes', 'three', 'number']],
  ['logistic-regression', ['classes', 'three']],
  ['linear-regression', ['number']],
  ['mlp', ['classes', 'three', 'number']],
  ['isolation-forest', ['none']],
  ['k-means', ['none']],
];

for (const [algorithm, labels] of CASES) {
  for (const label of labels) {
    for (const plain of [true, false]) {
      const what = `${algorithm}, label ${label}, ${plain ? 'numbers' : 'numbers and categories'}`;
      test(`ONNX Runtime takes a trained model and answers alike: ${what}`, { skip }, () => {
        const { label: values, ...made } = madeUpRows(label === 'none' ? 'number' : label, 400);
        const columns = plain ? made.columns.slice(0, 3) : made.columns;
        const dataset: Dataset = {
          ...made,
          columns,
          ...(label === 'none' || !values ? {} : { label: values }),
        };
        const model = trainModel({ algorithm }, dataset);
        const folder = mkdtempSync(join(tmpdir(), 'millrace-onnx-'));
        try {
          const [file, rows] = [join(folder, 'model.onnx'), join(folder, 'rows.json')];
          writeFileSync(file, model.onnx);
          writeFileSync(rows, JSON.stringify(feedsOf(dataset)));
          const outputs = JSON.parse(runPython((python as { path: string }).path, RUN, [file, rows])) as {
            [name: string]: unknown[];
          };
          const expected = model.predict(dataset);
          const answers = (outputs.probabilities ??
            outputs.value ??
            outputs.score ??
            outputs.distances)!.flat() as number[];
          assert.equal(answers.length, expected.length);
          answers.forEach((answer, place) => {
            const difference = Math.abs(answer - expected[place]!) / Math.max(1, Math.abs(expected[place]!));
            assert.ok(difference < 1e-5, `row ${place}: ${answer} for ${expected[place]}`);
          });
          if (outputs.label) {
            const classes = dataset.classes!;
            outputs.label.forEach((name, row) => {
              const own = expected.subarray(row * classes.length, (row + 1) * classes.length);
              const sorted = [...own].sort((a, b) => b - a);
              if (sorted[0]! - sorted[1]! > 1e-4) assert.equal(name, classes[own.indexOf(sorted[0]!)]);
            });
          }
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  }
}
