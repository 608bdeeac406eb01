import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boostedTrees, isolationForest, model, stream, textClassifier } from './index.ts';

describe('declaring a training', () => {
  it('is plain data: what all algorithms are told, and the settings of one', () => {
    const payments = stream('payments');
    const declared = boostedTrees({
      label: 'fraud',
      from: payments,
      rounds: 200,
      monotone: { amount: 1 },
      seed: 7,
    });
    assert.deepEqual(declared, {
      algorithm: 'boosted-trees',
      label: 'fraud',
      seed: 7,
      from: { stream: payments },
      settings: { rounds: 200, monotone: { amount: 1 } },
    });
    assert.equal(model('fraud', { train: declared }).options.train, declared);
    assert.deepEqual(isolationForest(), { algorithm: 'isolation-forest', settings: {} });
    assert.deepEqual(textClassifier({ text: 'body', label: 'mood', from: 'mails.csv', size: 512 }), {
      algorithm: 'text-classifier',
      label: 'mood',
      features: ['body'],
      from: { file: 'mails.csv' },
      settings: { size: 512 },
    });
  });

  it('knows settings by their types', () => {
    // @ts-expect-error: a label is needed
    boostedTrees({ rounds: 3 });
    // @ts-expect-error: 'sideways' is no way to grow
    boostedTrees({ label: 'a', grow: 'sideways' });
    // @ts-expect-error: a forest has no label
    isolationForest({ label: 'a' });
  });
});
