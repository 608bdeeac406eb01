import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../../kernel/index.ts';
import { compileForest } from './compiled-forest.ts';
import { forestOf, type TreeNode, type Trees } from './forest.support.ts';
import type { Mode } from './forest.ts';

const FEATURES = 4;
const ORDERS: readonly Mode[] = ['LEQ', 'LT', 'GTE', 'GT'];
const ALL: readonly Mode[] = [...ORDERS, 'EQ', 'NEQ', 'MEMBER'];

const leaf = (target: number, weight: number): TreeNode => ({
  ...{ mode: 'LEAF', feature: 0, value: 0, missingTrue: false, whenTrue: -1, whenFalse: -1 },
  weights: [{ target, weight }],
});

/** Trees of any shape; thresholds are few, so that values hit them. */
function randomForest(seed: number, modes: readonly Mode[], targets: number): Trees {
  const random = seededRandom(seed);
  const nodes: TreeNode[] = [];
  const grow = (depth: number): number => {
    if (depth === 0 || random.float() < 0.2)
      return nodes.push(leaf(random.integer(targets), random.float() - 0.5)) - 1;
    const [whenTrue, whenFalse] = [grow(depth - 1), grow(depth - 1)];
    return (
      nodes.push({
        ...{ mode: modes[random.integer(modes.length)]!, feature: random.integer(FEATURES), weights: [] },
        ...{
          value: random.integer(5) - 2,
          members: [0, 1],
          missingTrue: random.float() < 0.3,
          whenTrue,
          whenFalse,
        },
      }) - 1
    );
  };
  const roots = Array.from({ length: 1 + random.integer(9) }, () => grow(random.integer(6)));
  return {
    nodes,
    roots,
    targets,
    aggregate: (['SUM', 'AVERAGE', 'MIN', 'MAX'] as const)[random.integer(4)]!,
  };
}

/** The standard read aloud: no tricks. */
function reference({ nodes, roots, targets, aggregate }: Trees, x: Float64Array): number[] {
  const said: number[][] = Array.from({ length: targets }, () => []);
  for (const root of roots) {
    let node = nodes[root]!;
    while (node.mode !== 'LEAF') {
      const value = x[node.feature]!;
      const holds = {
        ...{
          LEQ: value <= node.value,
          LT: value < node.value,
          GTE: value >= node.value,
          GT: value > node.value,
        },
        ...{ EQ: value === node.value, NEQ: value !== node.value, MEMBER: node.members?.includes(value) },
      }[node.mode];
      node = nodes[holds || (Number.isNaN(value) && node.missingTrue) ? node.whenTrue : node.whenFalse]!;
    }
    for (const { target, weight } of node.weights) said[target]!.push(weight);
  }
  return said.map((weights) => {
    const sum = weights.reduce((total, weight) => total + weight, 0);
    if (aggregate === 'SUM') return sum;
    if (aggregate === 'AVERAGE') return sum / roots.length;
    return weights.length === 0 ? 0 : aggregate === 'MIN' ? Math.min(...weights) : Math.max(...weights);
  });
}

const value = fc.oneof(
  fc.constantFrom(-2, -1, 0, 1, 2, Number.NaN, Infinity, -Infinity, -0),
  fc.float({ min: -3, max: 3 }),
);
const row = fc.array(value, { minLength: FEATURES, maxLength: FEATURES });

describe('a compiled forest', () => {
  for (const [name, modes] of [
    ['order', ORDERS],
    ['all', ALL],
  ] as const) {
    it(`says what its trees say, with ${name} tests, missing values and every aggregate`, () => {
      fc.assert(
        fc.property(
          fc.nat(),
          fc.integer({ min: 1, max: 3 }),
          fc.array(row, { minLength: 1, maxLength: 5 }),
          (seed, targets, rows) => {
            const forest = randomForest(seed, modes, targets);
            const compiled = compileForest(forestOf(forest), 'float32');
            for (const features of rows) {
              const x = Float64Array.from(features, Math.fround);
              compiled.evaluate(x, 0);
              for (const [target, expected] of reference(forest, x).entries()) {
                assert.ok(Math.abs(compiled.sums[target]! - expected) < 1e-12, `target ${target}`);
              }
            }
          },
        ),
        { numRuns: 400 },
      );
    });
  }

  it('walks trees that are too deep to be walked together', () => {
    const nodes: TreeNode[] = [leaf(0, 0)];
    for (let depth = 1; depth <= 40; depth += 1) {
      nodes.push(leaf(0, depth));
      nodes.push({
        ...{ mode: 'LEQ', feature: 0, value: depth, missingTrue: false, weights: [] },
        ...{ whenTrue: nodes.length - 2, whenFalse: nodes.length - 1 },
      });
    }
    const forest: Trees = { nodes, roots: [nodes.length - 1], targets: 1, aggregate: 'SUM' };
    const compiled = compileForest(forestOf(forest), 'float32');
    for (const x of [0.5, 7.5, 39.5, 41]) {
      compiled.evaluate(Float64Array.of(x), 0);
      assert.deepEqual([...compiled.sums], reference(forest, Float64Array.of(x)));
    }
  });

  it('refuses trees that loop or lead nowhere', () => {
    const loop: TreeNode = { ...leaf(0, 1), mode: 'LEQ', whenTrue: 0, whenFalse: 1 };
    const lost: TreeNode = { ...loop, whenTrue: 1, whenFalse: 7 };
    for (const bad of [loop, lost]) {
      const forest: Trees = { nodes: [bad, leaf(0, 1)], roots: [0], targets: 1, aggregate: 'SUM' };
      assert.throws(() => compileForest(forestOf(forest), 'float32'), /loop, or a child/);
    }
  });
});
