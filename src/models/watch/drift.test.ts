import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Random, seededRandom } from '../../kernel/index.ts';
import { countRows, createCounts, encoderOf, layOutCells } from './cells.ts';
import { DEFAULT_EFFECTS, type DriftEffects, judgeDrift } from './drift.ts';
import { buildReference, type Reference, type ReferenceColumn } from './reference.ts';

const gaussian = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float());

const numbers = (length: number, draw: () => number): number[] => Array.from({ length }, draw);

/** Counts rows of columns against a reference, as live rows are. */
function countColumns(reference: Reference, live: readonly ReferenceColumn['values'][]) {
  const cells = layOutCells(reference.inputs);
  const counts = createCounts(cells);
  const rows = live[0]!.length;
  const block = new Float32Array(rows * live.length);
  for (const [index, column] of reference.inputs.entries()) {
    const encode = encoderOf(column);
    for (let row = 0; row < rows; row++) block[row * live.length + index] = encode(live[index]![row]);
  }
  countRows(cells, block, rows, counts);
  return { cells, counts };
}

function judge(
  training: readonly ReferenceColumn['values'][],
  live: readonly ReferenceColumn['values'][],
  alpha = 0.001,
  effects: DriftEffects = DEFAULT_EFFECTS,
) {
  const columns = training.map((values, index) => ({ name: `c${index}`, values }));
  const reference = buildReference(columns, []);
  const { cells, counts } = countColumns(reference, live);
  return judgeDrift(reference.inputs, cells, counts, alpha, effects);
}

describe('drift', () => {
  it('says what changed: the distribution, what is missing, the range, the categories', () => {
    const random = seededRandom(1);
    const draw = () => gaussian(random);
    const text = (weights: readonly [string, number][]) => () => {
      let left = random.float();
      return weights.find(([, weight]) => (left -= weight) < 0)?.[0] ?? weights[0]![0];
    };
    const usual = text([
      ['DE', 0.6],
      ['FR', 0.3],
      ['IT', 0.1],
    ]);
    const training = [
      ...Array.from({ length: 4 }, () => numbers(4000, draw)),
      Array.from({ length: 4000 }, usual),
    ];
    const live = [
      numbers(1000, draw),
      numbers(1000, () => gaussian(random) + 0.5),
      numbers(1000, () => (random.float() < 0.1 ? Number.NaN : gaussian(random))),
      numbers(1000, () => (random.float() < 0.05 ? 99 : gaussian(random))),
      Array.from({ length: 1000 }, () => (random.float() < 0.06 ? 'XX' : usual())),
    ];
    const found = judge(training, live);
    assert.deepEqual(
      found.map((each) => each.reasons),
      [[], ['distribution'], ['missing'], ['distribution', 'range'], ['distribution', 'categories']],
    );
    const shifted = found[1]!;
    assert.ok(shifted.psi > 0.2 && shifted.ks! > 0.15 && shifted.js > 0.02 && shifted.p < 1e-10);
    assert.ok(Math.abs(found[2]!.missing - 0.1) < 0.03 && found[2]!.missingBefore === 0);
    assert.ok(Math.abs(found[3]!.outOfRange - 0.05) < 0.02);
    assert.equal(found[4]!.ks, null);
  });

  it('leaves alone what is sure but small, and what is large but may be chance', () => {
    const random = seededRandom(2);
    const training = [numbers(100_000, () => random.float())];
    const slightly = [numbers(100_000, () => random.float() ** 1.03)];
    const [sure] = judge(training, slightly);
    assert.ok(sure!.p < 1e-4 && sure!.psi < 0.01);
    assert.deepEqual(sure!.reasons, []);
    const [few] = judge([training[0]!.slice(0, 100)], [numbers(12, () => random.float() * 0.7)]);
    assert.ok(few!.psi > 0.1);
    assert.deepEqual(few!.reasons, []);
  });

  it('measures as the books do', () => {
    // Cells: missing, below, ≤ 1, ≤ 2, above. Reference 50/50, live 25/75.
    const training = [numbers(200, () => 0).map((_, index) => (index < 100 ? 1 : 2))];
    const [column] = judge(training, [numbers(200, () => 0).map((_, index) => (index < 50 ? 1 : 2))]);
    // Half a row in each of two cells: shares 100.5/201 and 50.5/201.
    const [p, q] = [100.5 / 201, 50.5 / 201];
    const expected = (q - p) * Math.log(q / p) + (1 - q - (1 - p)) * Math.log((1 - q) / (1 - p));
    assert.ok(Math.abs(column!.psi - expected) < 1e-9);
    assert.ok(Math.abs(column!.ks! - 0.25) < 1e-9);
    const bits = (a: number, b: number) => (a / 2) * Math.log2((2 * a) / (a + b));
    const js = bits(0.5, 0.25) + bits(0.25, 0.5) + bits(0.5, 0.75) + bits(0.75, 0.5);
    assert.ok(Math.abs(column!.js - js) < 1e-9);
  });

  it('keeps the rate of false alarms over many windows, with many columns that hang together', () => {
    const random = seededRandom(5);
    const [windows, rate, width, size] = [400, 0.1, 12, 400];
    // Every column follows a common cause: tests that depend on each other are what a correction may fail at.
    const rows = (length: number): number[][] => {
      const columns = Array.from({ length: width }, () => new Array<number>(length));
      for (let row = 0; row < length; row++) {
        const common = gaussian(random);
        for (let column = 0; column < width; column++) {
          const own = common + gaussian(random) * (column / width);
          columns[column]![row] = column % 3 === 0 ? Math.round(own) : own;
        }
      }
      return columns;
    };
    const everything: DriftEffects = { psi: 0, missing: 0, outOfRange: 0 };
    let alarms = 0;
    for (let batch = 0; batch < 10; batch++) {
      const training = rows(2000).map((values, index) => ({ name: `c${index}`, values }));
      const reference = buildReference(training, []);
      for (let window = 0; window < windows / 10; window++) {
        const { cells, counts } = countColumns(reference, rows(size));
        const found = judgeDrift(reference.inputs, cells, counts, rate, everything);
        if (found.some((column) => column.reasons.length > 0)) alarms++;
      }
    }
    // At most 40 of 400 are expected; three standard deviations of that are 18.
    assert.ok(alarms <= windows * rate + 18, `${alarms} false alarms`);
    assert.ok(alarms > 0, 'the threshold is not out of reach');
  });
});
