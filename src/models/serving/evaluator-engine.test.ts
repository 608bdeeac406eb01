import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createWorkers, systemClock } from '../../kernel/index.ts';
import { inferenceContract } from '../inference.contract.ts';
import { linearModel } from '../models.support.ts';
import { evaluatorEngine, evaluatorWorkersEngine } from './evaluator-engine.ts';

describe("the evaluator in the caller's thread", () => {
  inferenceContract(async () => ({ ...evaluatorEngine(), [Symbol.asyncDispose]: async () => {} }));

  it('lets others have the thread while a larger file is loaded', async () => {
    const load = async (columns: number): Promise<boolean> => {
      let others = false;
      setImmediate(() => {
        others = true;
      });
      const model = await evaluatorEngine().load(linearModel(new Array(columns).fill(1)));
      const between = others;
      await model.close();
      return between;
    };
    assert.deepEqual([await load(30_000), await load(3)], [true, false]);
  });
});

describe('the evaluator in platform workers', () => {
  inferenceContract(async () => {
    const workers = createWorkers({ size: 2, queue: 100, idleMs: 1000, clock: systemClock() });
    return {
      ...evaluatorWorkersEngine(workers),
      [Symbol.asyncDispose]: () => workers.stop!(AbortSignal.timeout(1000)),
    };
  });
});
