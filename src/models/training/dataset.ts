import { refuse } from './problems.ts';

/** One feature, a value per row. Numbers are float32, as the model will see them; NaN is a missing value. */
export type Column =
  | { readonly name: string; readonly kind: 'number'; readonly values: Float32Array }
  /** `values` are places in `categories`; -1 is missing. */
  | {
      readonly name: string;
      readonly kind: 'category';
      readonly values: Int32Array;
      readonly categories: readonly string[];
    };

/** Rows to learn from, column by column. */
export interface Dataset {
  readonly rows: number;
  readonly columns: readonly Column[];
  /** One per row, for models of text, which have no columns. */
  readonly texts?: readonly string[];
  /** What is to be predicted: numbers, or places in `classes`. Absent where nothing is (isolation forest, k-means). */
  readonly label?: Float64Array;
  /** Names of the classes when the label is one of several things. */
  readonly classes?: readonly string[];
  /** How much each row counts; 1 when absent. */
  readonly weights?: Float64Array;
  /** How much each row counts in what drift is measured against; as `weights` when absent. */
  readonly referenceWeights?: Float64Array;
}

/** What a model can be asked about. */
export type Rows = Pick<Dataset, 'rows' | 'columns' | 'texts'>;

/** Throws INVALID_INPUT when columns, label and weights do not have one value per row, or a label is not finite. */
export function checkDataset(dataset: Dataset): void {
  const { rows, columns, texts, label, weights, classes } = dataset;
  const problems = columns
    .filter(({ values }) => values.length !== rows)
    .map(({ name, values }) => ({
      path: `/columns/${name}`,
      message: `has ${values.length} of ${rows} values`,
    }));
  if (rows === 0) problems.push({ path: '', message: 'has no rows' });
  if (columns.length === 0 && !texts)
    problems.push({ path: '/columns', message: 'has no columns to learn from' });
  if (texts && texts.length !== rows) {
    problems.push({ path: '/texts', message: `has ${texts.length} of ${rows} values` });
  }
  if (label && label.length !== rows) {
    problems.push({ path: '/label', message: `has ${label.length} of ${rows} values` });
  }
  const isLabel = (value: number): boolean =>
    classes ? classes[value] !== undefined : Number.isFinite(value);
  const wrong = label?.findIndex((value) => !isLabel(value)) ?? -1;
  if (wrong >= 0) problems.push({ path: `/label/${wrong}`, message: 'is not a value to learn' });
  if (weights && (weights.length !== rows || weights.some((weight) => !(weight >= 0 && weight < Infinity)))) {
    problems.push({ path: '/weights', message: 'must be one finite number from 0 up per row' });
  }
  refuse('The rows cannot be learnt from', problems);
}

/** The dataset cut down to some of its rows, in the order given. */
export function takeRows(dataset: Dataset, rows: Int32Array): Dataset {
  const { label, weights, referenceWeights, columns, texts } = dataset;
  return {
    ...dataset,
    rows: rows.length,
    columns: columns.map((column) =>
      column.kind === 'number'
        ? { ...column, values: gather(column.values, new Float32Array(rows.length), rows) }
        : { ...column, values: gather(column.values, new Int32Array(rows.length), rows) },
    ),
    ...(texts ? { texts: Array.from(rows, (row) => texts[row]!) } : {}),
    ...(label ? { label: gather(label, new Float64Array(rows.length), rows) } : {}),
    ...(weights ? { weights: gather(weights, new Float64Array(rows.length), rows) } : {}),
    ...(referenceWeights
      ? { referenceWeights: gather(referenceWeights, new Float64Array(rows.length), rows) }
      : {}),
  };
}

function gather<T extends Float32Array | Float64Array | Int32Array>(from: T, to: T, rows: Int32Array): T {
  for (let place = 0; place < rows.length; place++) to[place] = from[rows[place]!]!;
  return to;
}
