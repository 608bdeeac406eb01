import type { RowClassifier, RowRegressor } from '../ml/classes.ts';
import { imputation, normalizeRow, normOf } from '../ml/features.ts';
import { linearClassifier, linearRegressor } from '../ml/linear.ts';
import { treeRows } from '../ml/trees.ts';
import { vectorRows } from '../ml/vectors.ts';
import type { NodeFacts } from '../operator.ts';
import { isRow, type RowInput, type RowRule, type RowValue, rowValue } from './rule.ts';

export const isFloats = (input: RowInput): input is RowValue =>
  isRow(input) && input.type === 'float32' && input.rank === 2;

function classifierRule(make: (node: NodeFacts) => RowClassifier): RowRule {
  return (node, [x]) => {
    if (!isFloats(x)) return undefined;
    const classifier = make(node);
    if (classifier.width > x.width) return undefined;
    const { labels, scoreCount } = classifier;
    const label = rowValue(labels.type, 1, 1, labels.type === 'string' ? labels.texts : undefined);
    const scores = rowValue('float32', scoreCount);
    const byPlace = Float64Array.from({ length: Math.max(2, labels.count) }, (_, place) =>
      labels.type === 'string' ? place : (labels.integers[place] ?? place),
    );
    const run = (): void => {
      label.data[0] = byPlace[classifier.classify(x.data, 0, scores.data, 0)]!;
      roundAll(scores.data);
    };
    return { outputs: [label, scores], run };
  };
}

function regressorRule(make: (node: NodeFacts) => RowRegressor): RowRule {
  return (node, [x]) => {
    if (!isFloats(x)) return undefined;
    const regressor = make(node);
    if (regressor.width > x.width) return undefined;
    const scores = rowValue('float32', regressor.scoreCount);
    const run = (): void => {
      regressor.score(x.data, 0, scores.data, 0);
      roundAll(scores.data);
    };
    return { outputs: [scores], run };
  };
}

function roundAll(data: Float64Array): void {
  for (let index = 0; index < data.length; index += 1) data[index] = Math.fround(data[index]!);
}

const scaler: RowRule = (node, [x]) => {
  if (!isFloats(x)) return undefined;
  const spread = (values: Float32Array): Float64Array | undefined =>
    values.length === 1 || values.length === x.width
      ? Float64Array.from(x.data, (_, column) => values[values.length === 1 ? 0 : column]!)
      : undefined;
  const offsets = spread(node.floats('offset') ?? Float32Array.of(0));
  const scales = spread(node.floats('scale') ?? Float32Array.of(1));
  if (!offsets || !scales) return undefined;
  const out = rowValue('float32', x.width);
  const run = (): void => {
    for (let column = 0; column < out.width; column += 1) {
      out.data[column] = Math.fround(Math.fround(x.data[column]! - offsets[column]!) * scales[column]!);
    }
  };
  return { outputs: [out], run };
};

const normalizer: RowRule = (node, [x]) => {
  if (!isFloats(x)) return undefined;
  const norm = normOf(node);
  const out = rowValue('float32', x.width);
  const run = (): void => {
    normalizeRow(norm, x.data, 0, out.data, 0, x.width);
    roundAll(out.data);
  };
  return { outputs: [out], run };
};

const imputer: RowRule = (node, [x]) => {
  if (!isFloats(x)) return undefined;
  const { values, isMissing } = imputation(node);
  if (values.length !== 1 && values.length !== x.width) return undefined;
  const replacements = Float64Array.from(x.data, (_, column) => values[values.length === 1 ? 0 : column]!);
  const out = rowValue('float32', x.width);
  const run = (): void => {
    for (let column = 0; column < out.width; column += 1) {
      const value = x.data[column]!;
      out.data[column] = isMissing(value) ? replacements[column]! : value;
    }
  };
  return { outputs: [out], run };
};

/** The maps are made when a caller takes them; the program only carries the scores and says which labels they have. */
const zipMap: RowRule = (node, [x]) => {
  if (!isFloats(x)) return undefined;
  const texts = node.strings('classlabels_strings');
  const labels = texts?.length ? texts : (node.ints('classlabels_int64s') ?? []);
  if (labels.length !== x.width) return undefined;
  return { outputs: [{ ...x, labels }], run: () => {} };
};

export const modelRules: { readonly [type: string]: RowRule } = {
  TreeEnsembleClassifier: classifierRule(treeRows.classifier),
  TreeEnsembleRegressor: regressorRule(treeRows.treeRegressor),
  TreeEnsemble: regressorRule(treeRows.treeEnsemble),
  LinearClassifier: classifierRule(linearClassifier),
  LinearRegressor: regressorRule(linearRegressor),
  SVMClassifier: classifierRule(vectorRows.classifier),
  SVMRegressor: regressorRule(vectorRows.regressor),
  Scaler: scaler,
  Normalizer: normalizer,
  Imputer: imputer,
  ZipMap: zipMap,
};
