import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  MODEL_METRICS,
  type ModelMetric,
  type Random,
  seededRandom,
  VALUE_METRICS,
} from '../../kernel/index.ts';
import { prepareMetric } from '../releases/metrics.ts';
import { estimateOf } from './estimates.ts';
import { addLabel, emptyCounts } from './label-counts.ts';

interface Drawn {
  readonly labels: Float64Array;
  readonly scores: Float64Array;
}

/** In the middle of bins, so that counting in bins loses nothing; one row in ten is positive. */
function drawClasses(random: Random, rows: number): Drawn {
  const labels = Float64Array.from({ length: rows }, () => (random.float() < 0.1 ? 1 : 0));
  const scores = labels.map((label) => {
    const raw = 0.2 + 0.2 * label + 0.4 * random.float();
    return (Math.floor(raw * 100) + 0.5) / 100;
  });
  return { labels, scores };
}

/** Far from zero, as amounts and times are. */
function drawValues(random: Random, rows: number): Drawn {
  const labels = Float64Array.from({ length: rows }, () => 1e6 + 50 * random.float() ** 2);
  return { labels, scores: labels.map((label) => label + 12 * (random.float() - 0.4)) };
}

const draw = (metric: ModelMetric) => (VALUE_METRICS.has(metric) ? drawValues : drawClasses);

function counted({ labels, scores }: Drawn) {
  const counts = emptyCounts();
  for (const [row, label] of labels.entries()) addLabel(counts, scores[row]!, label, 0.5);
  return counts;
}

describe('a metric of counts', () => {
  for (const metric of MODEL_METRICS) {
    it(`is the ${metric} of the rows, and as far from the truth as its error says`, () => {
      const random = seededRandom(21);
      const values: number[] = [];
      const errors: number[] = [];
      for (let round = 0; round < 200; round++) {
        const drawn = draw(metric)(random, 400);
        const { value, standardError } = estimateOf(metric, counted(drawn));
        const decisions = drawn.scores.map((score) => (score >= 0.5 ? 1 : 0));
        const exact = prepareMetric(metric, { ...drawn, decisions })(undefined);
        assert.ok(Math.abs(value - exact) <= 1e-9 * Math.max(1, Math.abs(exact)), `${value}, not ${exact}`);
        values.push(value);
        errors.push(standardError);
      }
      const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
      const spread = Math.sqrt(values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length);
      const said = errors.reduce((sum, each) => sum + each, 0) / errors.length;
      assert.ok(said > 0.8 * spread && said < 1.3 * spread, `${said} is said, ${spread} is drawn`);
    });
  }

  it('is not known before there are rows, and not taken for certain where they lie apart', () => {
    for (const metric of MODEL_METRICS) {
      assert.ok(Number.isNaN(estimateOf(metric, emptyCounts()).value), metric);
    }
    const apart = counted({
      labels: Float64Array.from({ length: 60 }, (_, row) => row % 2),
      scores: Float64Array.from({ length: 60 }, (_, row) => (row % 2 === 1 ? 0.9 : 0.1)),
    });
    for (const metric of ['accuracy', 'precision', 'recall', 'f1', 'auc', 'averagePrecision'] as const) {
      const { value, standardError } = estimateOf(metric, apart);
      assert.equal(value, 1, metric);
      assert.ok(standardError > 0.02, `${metric} ± ${standardError}`);
    }
  });
});
