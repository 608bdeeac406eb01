import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError } from './errors.ts';
import { DEFAULT_OPERATIONS, readModelOperations } from './model-operations.ts';
import { modelOperationsProblems } from './model-operations-check.ts';
import type { Json } from './ports/state-store.ts';

describe('how a model is operated', () => {
  it('has defaults: 10 % for five minutes, watched for ten, and no gates', () => {
    const { watch, gates, release, retrain } = DEFAULT_OPERATIONS;
    assert.deepEqual(
      [release.canary.weight, release.canary.forMs, release.watch.forMs],
      [10, 300_000, 600_000],
    );
    assert.deepEqual([gates, retrain, watch.windowRows, watch.windowMs], [null, null, 10_000, 3_600_000]);
  });

  it('takes a window by rows or by time alone where only that is given', () => {
    const windowOf = (window: Json) => {
      const { windowRows, windowMs } = readModelOperations({ watch: { window } }).watch;
      return [windowRows, windowMs];
    };
    assert.deepEqual(windowOf({ rows: 5 }), [5, null]);
    assert.deepEqual(windowOf({ every: '1d' }), [null, 86_400_000]);
    assert.deepEqual(windowOf({ rows: 5, every: 1000 }), [5, 1000]);
  });

  it('is read, or refused with paths, whatever is said', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom('watch', 'gates', 'release', 'retrain'),
        (value, part) => {
          try {
            const read = readModelOperations({ [part]: value } as Json);
            assert.deepEqual(modelOperationsProblems(read as unknown as Json), []);
          } catch (error) {
            assert.ok(isMillraceError(error, 'INVALID_INPUT') && error.errors.length > 0, String(error));
          }
        },
      ),
    );
  });

  it('is refused where its metrics or its labels cannot be had', () => {
    const watch = { labels: { from: 's', key: 'k', label: 'l' } };
    const cases: readonly (readonly [Json, RegExp])[] = [
      [{ gates: { label: 'l', metrics: { auc: {}, rmse: {} } } }, /rmse is of a value, and auc of a class/],
      [{ watch, release: { live: { labels: { metrics: { r2: {}, f1: {} } } } } }, /r2 is of a value, and f1/],
      [{ release: { live: { labels: {} } } }, /live\/labels needs watch\.labels/],
      [{ release: { canary: { kind: 'ab' } } }, /canary needs watch\.labels/],
      [{ watch, release: { live: { labels: { fairness: {} } } } }, /needs watch\.labels\.groups/],
      [{ release: { canary: { by: 'luck' } } }, /by must be one of accuracy, precision/],
    ];
    for (const [operations, expected] of cases) {
      assert.throws(
        () => readModelOperations(operations),
        (error: Error) => isMillraceError(error, 'INVALID_INPUT') && expected.test(error.message),
      );
    }
  });

  it('is checked again where it comes in a manifest', () => {
    const { watch, ...rest } = DEFAULT_OPERATIONS;
    const given = { ...rest, watch: { ...watch, psi: 'much' }, release: null } as unknown as Json;
    assert.deepEqual(
      modelOperationsProblems(given).map(({ path, message }) => `${path} ${message}`),
      ['/watch/psi must be a number', '/release must be an object'],
    );
    assert.equal(modelOperationsProblems(7).length, 1);
  });
});
