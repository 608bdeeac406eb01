import { describe } from 'node:test';
import { createWorkers, systemClock } from '../../kernel/index.ts';
import { inferenceContract } from '../inference.contract.ts';
import { evaluatorEngine, evaluatorWorkersEngine } from './evaluator-engine.ts';

describe("the evaluator in the caller's thread", () => {
  inferenceContract(async () => ({ ...evaluatorEngine(), [Symbol.asyncDispose]: async () => {} }));
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
