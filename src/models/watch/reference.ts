import { type InputProblem, MillraceError } from '../../kernel/index.ts';

/**
 * What a model's inputs and outputs looked like when it was trained: counts over cells, a few kB for a hundred inputs. Training
 * makes it, it is kept with the version as JSON, and drift is measured against it.
 */
export interface Reference {
  readonly format: 1;
  /** Rows it was made of. */
  readonly rows: number;
  readonly inputs: readonly ColumnReference[];
  /** Columns of the outputs: `score`, or `probabilities.1` where an output has several. */
  readonly outputs: readonly ColumnReference[];
}

export type ColumnReference = NumericReference | CategoricalReference;

/** Values count as 32-bit floats, which is what models are given; comparing at two precisions would move values at the edges. */
export interface NumericReference {
  readonly name: string;
  readonly kind: 'numeric';
  /** Rows without a value: absent, null, or not a finite number. */
  readonly missing: number;
  /** The range that was seen. */
  readonly low: number;
  readonly high: number;
  /** Upper edges, inclusive and growing, of all bins but the last, which ends at `high`. */
  readonly edges: readonly number[];
  /** One more than there are edges. */
  readonly counts: readonly number[];
}

export interface CategoricalReference {
  readonly name: string;
  readonly kind: 'categorical';
  readonly missing: number;
  readonly categories: readonly string[];
  readonly counts: readonly number[];
  /** Rows of categories too rare to be listed. */
  readonly other: number;
}

/** One column of training data; null, undefined and NaN are missing. */
export interface ReferenceColumn {
  readonly name: string;
  readonly values: ArrayLike<number | bigint | boolean | string | null | undefined>;
}

/** Bins of a numeric column; of them, as many as the values allow. */
export const REFERENCE_BINS = 20;
/** Categories that are listed; those beyond count as `other`. */
export const MOST_CATEGORIES = 100;
/** Most columns of inputs, and of outputs. */
export const MOST_COLUMNS = 10_000;

/** Of the largest value and the range together: answers in training and in serving are rounded at different places. */
const OUTPUT_SLACK = 1e-6;

/** Makes the reference of some columns. Sorts a copy of each: call it in a worker where there is much. */
export function buildReference(
  inputs: readonly ReferenceColumn[],
  outputs: readonly ReferenceColumn[],
): Reference {
  const rows = Math.max(0, ...[...inputs, ...outputs].map((column) => column.values.length));
  return {
    format: 1,
    rows,
    inputs: inputs.map((column) => columnReference(column, 0)),
    outputs: outputs.map((column) => columnReference(column, OUTPUT_SLACK)),
  };
}

function columnReference(column: ReferenceColumn, slack: number): ColumnReference {
  return isText(column.values) ? categorical(column) : numeric(column, slack);
}

function isText(values: ReferenceColumn['values']): boolean {
  for (let row = 0; row < values.length; row++) if (typeof values[row] === 'string') return true;
  return false;
}

/** Edges lie a little above the values that they are made of, where `slack` says so: many answers may be the same value. */
function numeric({ name, values }: ReferenceColumn, slack: number): NumericReference {
  const sorted = new Float32Array(values.length);
  let size = 0;
  for (let row = 0; row < values.length; row++) {
    const value = toNumber(values[row]);
    if (!Number.isNaN(value)) sorted[size++] = value;
  }
  const present = sorted.subarray(0, size).sort();
  const missing = values.length - size;
  if (size === 0) return { name, kind: 'numeric', missing, low: 0, high: 0, edges: [], counts: [0] };
  const [least, most] = [present[0]!, present[size - 1]!];
  const wide = slack * (Math.max(Math.abs(least), Math.abs(most)) + most - least);
  const high = most + wide;
  const edges: number[] = [];
  const counts: number[] = [];
  let counted = 0;
  for (let bin = 1; bin < REFERENCE_BINS; bin++) {
    const edge = present[Math.ceil((bin * size) / REFERENCE_BINS) - 1]! + wide;
    if (edge >= most) break;
    if (edge === edges.at(-1)) continue;
    const upTo = firstAbove(present, edge);
    edges.push(edge);
    counts.push(upTo - counted);
    counted = upTo;
  }
  counts.push(size - counted);
  return { name, kind: 'numeric', missing, low: least - wide, high, edges, counts };
}

/** How many values are at most `edge`. */
function firstAbove(sorted: Float32Array, edge: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! > edge) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What counts as a number in a numeric column; what is none, or not finite, is missing: NaN. */
export function toNumber(value: number | bigint | boolean | string | null | undefined): number {
  if (value === null || value === undefined || value === '') return Number.NaN;
  const number = Math.fround(Number(value));
  return Number.isFinite(number) ? number : Number.NaN;
}

function categorical({ name, values }: ReferenceColumn): CategoricalReference {
  const found = new Map<string, number>();
  let missing = 0;
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (value === null || value === undefined || value === '') missing++;
    else found.set(String(value), (found.get(String(value)) ?? 0) + 1);
  }
  const byCount = [...found].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const listed = byCount.slice(0, MOST_CATEGORIES);
  const other = byCount.slice(MOST_CATEGORIES).reduce((sum, [, count]) => sum + count, 0);
  return {
    name,
    kind: 'categorical',
    missing,
    categories: listed.map(([category]) => category),
    counts: listed.map(([, count]) => count),
    other,
  };
}

/** Checks a reference that came from outside. Throws INVALID_INPUT with every problem. */
export function checkReference(value: unknown): Reference {
  const problems: InputProblem[] = [];
  const problem = (path: string, message: string): void => void problems.push({ path, message });
  const reference = value as Partial<Reference> | null;
  if (typeof reference !== 'object' || reference === null || reference.format !== 1) {
    problem('/format', 'must be 1');
  } else {
    if (!isCount(reference.rows)) problem('/rows', 'must be a count');
    checkColumns(reference.inputs, '/inputs', problem);
    checkColumns(reference.outputs, '/outputs', problem);
  }
  if (problems.length === 0) return value as Reference;
  const places = problems.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new MillraceError('INVALID_INPUT', `The reference profile cannot be used: ${places}.`, {
    errors: problems,
  });
}

type Problem = (path: string, message: string) => void;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const areCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

function checkColumns(columns: unknown, path: string, problem: Problem): void {
  if (!Array.isArray(columns) || columns.length > MOST_COLUMNS) {
    problem(path, `must be a list of at most ${MOST_COLUMNS} columns`);
    return;
  }
  for (const [index, column] of columns.entries()) checkColumn(column, `${path}/${index}`, problem);
  const names = new Set(columns.map((column) => (column as ColumnReference | null)?.name));
  if (names.size < columns.length) problem(path, 'must not name a column twice');
}

function checkColumn(column: unknown, path: string, problem: Problem): void {
  const { name, kind, missing, counts } = (column ?? {}) as Partial<ColumnReference>;
  if (typeof name !== 'string' || name === '') problem(`${path}/name`, 'must be a name');
  if (!isCount(missing)) problem(`${path}/missing`, 'must be a count');
  if (!areCounts(counts)) problem(`${path}/counts`, 'must be counts');
  else if (kind === 'numeric') checkNumeric(column as NumericReference, path, problem);
  else if (kind === 'categorical') checkCategorical(column as CategoricalReference, path, problem);
  else problem(`${path}/kind`, "must be 'numeric' or 'categorical'");
}

function checkNumeric({ low, high, edges, counts }: NumericReference, path: string, problem: Problem): void {
  if (!(Number.isFinite(low) && Number.isFinite(high) && low <= high)) {
    problem(path, 'must have a finite low that is at most its high');
  }
  const growing =
    Array.isArray(edges) &&
    edges.every((edge, index) => Number.isFinite(edge) && (index === 0 || edge > edges[index - 1]!));
  if (!growing || edges.length > 1000) problem(`${path}/edges`, 'must grow, at most 1,000 of them');
  else if (counts.length !== edges.length + 1) problem(`${path}/counts`, 'must be one more than the edges');
}

function checkCategorical(
  { categories, counts, other }: CategoricalReference,
  path: string,
  problem: Problem,
): void {
  if (!isCount(other)) problem(`${path}/other`, 'must be a count');
  const texts = Array.isArray(categories) && categories.every((each) => typeof each === 'string');
  if (!texts || new Set(categories).size < categories.length || categories.length > 1000) {
    problem(`${path}/categories`, 'must be different texts, at most 1,000 of them');
  } else if (counts.length !== categories.length) {
    problem(`${path}/counts`, 'must be as many as the categories');
  }
}
