import assert from 'node:assert/strict';
import { it } from 'node:test';
import { renderModelWatch } from './show-model-watch.ts';

const labels = {
  ...{ labels: 1000, accuracy: 0.912345, precision: 0.5, recall: 0.25, auc: 0.9 },
  ...{ mae: null, rmse: null, r2: null },
};
const version = '0123456789abcdef';

it('what labels say fits a terminal of 80 columns, for models of classes and of values', () => {
  const shown = (now: object, found: { decayed: string | null; biased: string | null }): string => {
    const watch = {
      versions: [],
      release: null,
      labels: { versions: [{ version, now, last: null, ...found }] },
    };
    return renderModelWatch(watch as unknown as Parameters<typeof renderModelWatch>[0], 80).join('\n');
  };
  const classes = shown(labels, { decayed: 'accuracy', biased: null });
  assert.match(classes, /BY LABELS +LABELS +ACCURACY +PRECISION +RECALL +AUC +FOUND/);
  assert.match(classes, /0123456789abcdef +1000 +0\.912 +0\.5 +0\.25 +0\.9 +accuracy decayed/);
  const values = shown(
    { ...labels, accuracy: null, mae: 2.5, rmse: 3.25, r2: 0.75 },
    { decayed: null, biased: 'region=north, region=south' },
  );
  assert.match(values, /MAE +RMSE +R2 +FOUND/);
  assert.match(values, /2\.5 +3\.25 +0\.75 +unlike: region=north, region=south/);
  for (const line of `${classes}\n${values}`.split('\n')) assert.ok(line.length <= 80, line);
});
