import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isMillraceError } from '../../src/kernel/index.ts';
import { compileModel, type Value } from '../../src/models/index.ts';
import { assertAlike, type OnnxCase, onnxCases, skipWithoutTestData } from '../support/onnx-cases.ts';

const TOLERANCE = 1e-5;

/** Debian's package of ONNX 1.12 has 1,072 cases with a model; so many at least have to pass. */
const AT_LEAST = 1000;

/** Cases whose expected outputs are known to be off, and by how much; ONNX's own runner allows 1e-3 for all. */
const ROUGH: readonly { readonly cases: RegExp; readonly tolerance: number }[] = [
  // The reference took π for 3.1415.
  { cases: /window(_symmetric)?(_expanded)?$/, tolerance: 1e-4 },
  // The reference cut bits off where the standard has since said to round to the nearest: one step of bfloat16.
  { cases: /FLOAT_to_BFLOAT16/, tolerance: 2 ** -8 },
  // The reference added an epsilon of 0.01 that the model does not have.
  { cases: /adam_multiple/, tolerance: 5e-3 },
];

type Outcome = { readonly passed: true } | { readonly unclaimed: string };

/** Throws when a claimed case fails. */
function runCase(each: OnnxCase): Outcome {
  const tolerance = ROUGH.find(({ cases }) => cases.test(each.name))?.tolerance ?? TOLERANCE;
  try {
    const model = compileModel(each.bytes);
    for (const { inputs, outputs } of each.sets()) {
      const feeds: { [name: string]: Value } = {};
      for (const [index, { name }] of model.inputs.entries()) {
        if (inputs[index]) feeds[name] = inputs[index];
      }
      const results = model.run(feeds);
      for (const [index, { name }] of model.outputs.entries()) {
        assertAlike(results[name]!, outputs[index]!, tolerance);
      }
    }
    return { passed: true };
  } catch (error) {
    if (isMillraceError(error, 'MODEL_UNSUPPORTED')) return { unclaimed: error.message };
    throw new Error(`${each.name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

describe("ONNX's own test cases", { skip: skipWithoutTestData }, () => {
  it('give the expected outputs, all whose operators are claimed', (test) => {
    const failures: string[] = [];
    const unclaimed: string[] = [];
    let passed = 0;
    for (const each of onnxCases()) {
      try {
        const outcome = runCase(each);
        if ('passed' in outcome) passed += 1;
        else unclaimed.push(`${each.name}: ${outcome.unclaimed}`);
      } catch (error) {
        failures.push((error as Error).message);
      }
    }
    test.diagnostic(`${passed} pass, ${unclaimed.length} are unclaimed`);
    for (const line of unclaimed) test.diagnostic(line);
    assert.deepEqual(failures, []);
    assert.ok(passed >= AT_LEAST, `${passed} of at least ${AT_LEAST}`);
  });
});
