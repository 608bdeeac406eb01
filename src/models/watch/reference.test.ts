import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError } from '../../kernel/index.ts';
import { countRows, createCounts, encoderOf, layOutCells, referenceCounts } from './cells.ts';
import { buildReference, checkReference, type ReferenceColumn } from './reference.ts';

/** Counts what a column holds against the reference made of another. */
function count(training: ReferenceColumn, live: ReferenceColumn['values']): number[] {
  const { inputs } = buildReference([training], []);
  const cells = layOutCells(inputs);
  const counts = createCounts(cells);
  const encode = encoderOf(inputs[0]!);
  countRows(cells, Float32Array.from(Array.from(live), encode), live.length, counts);
  return [...counts];
}

describe('a reference profile', () => {
  it('counts its own training data into its own cells', () => {
    const value = fc.oneof(
      fc.double({ noDefaultInfinity: true }),
      fc.integer({ min: -3, max: 3 }),
      fc.constantFrom(null, undefined, Number.NaN, Number.POSITIVE_INFINITY, true, 7n),
    );
    const text = fc.constantFrom('a', 'b', 'c', '', null);
    const values = fc.oneof(fc.array(value, { maxLength: 200 }), fc.array(text, { maxLength: 200 }));
    fc.assert(
      fc.property(values, (column) => {
        const training = { name: 'x', values: column };
        const { inputs } = buildReference([training], []);
        assert.deepEqual(count(training, column), referenceCounts(inputs[0]!));
      }),
    );
  });

  it('has bins of equal size where values differ, and one for a value that is frequent', () => {
    const [even] = buildReference(
      [{ name: 'x', values: Array.from({ length: 1000 }, (_, i) => i) }],
      [],
    ).inputs;
    assert.ok(even?.kind === 'numeric');
    assert.deepEqual(even.counts, new Array(20).fill(50));
    const mostlyZero = Array.from({ length: 1000 }, (_, i) => (i < 900 ? 0 : i));
    const [skewed] = buildReference([{ name: 'x', values: mostlyZero }], []).inputs;
    assert.ok(skewed?.kind === 'numeric');
    assert.deepEqual([skewed.edges[0], skewed.counts[0]], [0, 900]);
  });

  it('of outputs takes answers for the same that differ in their last digits', () => {
    // Trees give few values; rounded at another place they would lie beyond every edge.
    const given = Array.from({ length: 1000 }, (_, row) => [0.14448434, 0.5, 0.8555157][row % 3]!);
    const { outputs } = buildReference([], [{ name: 'y', values: given }]);
    const cells = layOutCells(outputs);
    const encode = encoderOf(outputs[0]!);
    for (const factor of [1, 1 + 2e-7, 1 - 2e-7]) {
      const counts = createCounts(cells);
      countRows(
        cells,
        Float32Array.from(given, (value) => encode(value * factor)),
        given.length,
        counts,
      );
      assert.deepEqual([...counts], referenceCounts(outputs[0]!), `times ${factor}`);
    }
  });

  it('tells apart missing, below, above and unknown', () => {
    const training = { name: 'x', values: [0.1, 0.2, 0.3, 0.4] };
    const cells = count(training, [0.1, 0.4, 0.0999, 0.4001, null, Number.NaN]);
    assert.deepEqual([cells[0], cells[1], cells.at(-1)], [2, 1, 1]);
    const constant = count({ name: 'x', values: [0, 0, 0] }, [0, -1e-30, 1e-30, -0]);
    assert.deepEqual(constant, [0, 1, 2, 1]);
    const texts = count({ name: 'x', values: ['a', 'b', 'b'] }, ['a', 'b', 'z', '', null, 5]);
    assert.deepEqual(texts, [2, 2, 1, 1]);
  });

  it('lists the frequent categories and counts the rest', () => {
    const values = Array.from({ length: 500 }, (_, i) => (i < 300 ? 'much' : `rare ${i}`));
    const [column] = buildReference([{ name: 'x', values }], []).inputs;
    assert.ok(column?.kind === 'categorical');
    assert.equal(column.categories[0], 'much');
    assert.equal(column.other, 500 - column.counts.reduce((a, b) => a + b));
  });

  it('survives JSON, and is refused with every problem when it is none', () => {
    const made = buildReference([{ name: 'x', values: [1, 2, 3] }], [{ name: 'label', values: ['a', null] }]);
    assert.deepEqual(checkReference(JSON.parse(JSON.stringify(made))), made);
    const numeric = made.inputs[0]!;
    const wrong: [unknown, RegExp][] = [
      [null, /format/],
      [{ ...made, format: 2 }, /format must be 1/],
      [{ ...made, rows: -1 }, /rows must be a count/],
      [{ ...made, inputs: [{ ...numeric, edges: [3, 2] }] }, /edges must grow/],
      [{ ...made, inputs: [{ ...numeric, counts: [1] }] }, /one more than the edges/],
      [{ ...made, inputs: [{ ...numeric, low: 9 }] }, /a finite low/],
      [{ ...made, inputs: [numeric, numeric] }, /twice/],
      [{ ...made, outputs: [{ name: '', kind: 'text' }] }, /outputs\/0\/name.*counts/],
      [{ ...made, outputs: [{ name: 'y', kind: 'text', missing: 0, counts: [] }] }, /kind/],
    ];
    for (const [value, message] of wrong) {
      assert.throws(
        () => checkReference(value),
        (error: Error) => isMillraceError(error, 'INVALID_INPUT') && message.test(error.message),
      );
    }
  });
});
