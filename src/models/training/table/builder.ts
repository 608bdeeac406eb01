import { type InputProblem, MillraceError } from '../../../kernel/index.ts';
import type { Column, Dataset } from '../dataset.ts';
import { refuse } from '../problems.ts';
import { LABEL_KINDS, type TrainingSpec } from '../spec.ts';

/** One value of a row as JSON or CSV has it; null, undefined and '' are missing. */
export type Cell = unknown;

/** Different texts of one column: more are no categories but names, times or texts. */
const MOST_CATEGORIES = 10_000;
/** Rows times columns: reading and learning takes about 15 bytes for each. */
const MOST_CELLS = 100_000_000;

/**
 * Gathers rows into a dataset, column by column, whatever they come from. A column is of numbers until something else
 * turns up; then it is of categories. Truth values count as 1 and 0.
 */
export class TableBuilder {
  readonly #spec: TrainingSpec;
  readonly #columns: GrowingColumn[];
  readonly #names: string[];
  readonly #texts: string[] = [];
  /** Fields of the objects so far; undefined where a header named the columns. */
  readonly #seen: Set<string> | undefined;
  #rows = 0;

  /**
   * `header` names the columns that rows have; those that the spec does not ask for are not kept. Without it rows are objects,
   * whose fields tell. Throws INVALID_INPUT.
   */
  constructor(spec: TrainingSpec, header?: readonly string[]) {
    this.#spec = spec;
    if (header) checkColumns(spec, header);
    else this.#seen = new Set();
    this.#names = wantedColumns(spec, header ?? []);
    this.#columns = this.#names.map((name) => new GrowingColumn(name));
  }

  /** Columns in the order in which `add` wants them. */
  get names(): readonly string[] {
    return this.#names;
  }

  get rows(): number {
    return this.#rows;
  }

  /** A row as an object. A field that others had not is a column of its own, missing in those. */
  addObject(row: { readonly [name: string]: unknown }): void {
    const seen = this.#seen!;
    for (const name of Object.keys(row)) {
      if (seen.has(name)) continue;
      seen.add(name);
      if (this.#spec.features || this.#names.includes(name)) continue;
      const column = new GrowingColumn(name);
      for (let before = 0; before < this.#rows; before++) column.push(null, before);
      this.#names.push(name);
      this.#columns.push(column);
    }
    this.add(this.#names.map((name) => row[name]));
  }

  /** Values in the order of `names`. */
  add(values: readonly Cell[]): void {
    if (this.#spec.algorithm === 'text-classifier') {
      const text = values[this.#textPlace()];
      if (typeof text !== 'string')
        throw rowProblem(this.#rows, this.#names[this.#textPlace()]!, 'must be a text');
      this.#texts.push(text);
    }
    for (let place = 0; place < this.#columns.length; place++) {
      const isText = this.#spec.algorithm === 'text-classifier' && place === this.#textPlace();
      if (!isText) this.#columns[place]!.push(values[place], this.#rows);
    }
    this.#rows++;
    if (this.#rows * this.#names.length <= MOST_CELLS) return;
    const message = `${this.#rows} rows of ${this.#names.length} columns are more than fit. Name fewer features, or give fewer rows.`;
    throw new MillraceError('INVALID_INPUT', message);
  }

  /** Rows without a label cannot be learnt from and are left out. */
  finish(): Dataset {
    if (this.#seen) checkColumns(this.#spec, [...this.#seen]);
    const { label, weight, algorithm } = this.#spec;
    const known = label === undefined ? undefined : this.#columns[this.#names.indexOf(label)]!.knownRows();
    const keep = known && known.length < this.#rows ? known : undefined;
    const features = this.#columns.filter(({ name }) => name !== label && name !== weight);
    const rows = keep?.length ?? this.#rows;
    const base = { rows, ...this.#labelOf(keep), ...this.#weightsOf(keep) };
    if (algorithm === 'text-classifier') {
      return {
        ...base,
        columns: [],
        texts: keep ? Array.from(keep, (row) => this.#texts[row]!) : this.#texts,
      };
    }
    return { ...base, columns: features.map((column) => column.toColumn(keep)) };
  }

  #textPlace(): number {
    return this.#names.indexOf(this.#spec.features![0]!);
  }

  #labelOf(keep: Int32Array | undefined): Pick<Dataset, 'label' | 'classes'> {
    const { label, algorithm, task } = this.#spec;
    if (label === undefined) return {};
    const column = this.#columns[this.#names.indexOf(label)]!;
    const kind = LABEL_KINDS[algorithm];
    const isNumber = kind === 'number' || (kind === 'either' && (task ?? column.likelyTask()) === 'number');
    if (!isNumber) return column.toClasses(keep);
    const numbers = column.toColumn(keep);
    if (numbers.kind === 'number') return { label: Float64Array.from(numbers.values) };
    const message = `${label} holds texts such as '${numbers.categories[0]}', and a number is to be predicted.`;
    throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/label', message }] });
  }

  #weightsOf(keep: Int32Array | undefined): Pick<Dataset, 'weights'> {
    const { weight } = this.#spec;
    if (weight === undefined) return {};
    const column = this.#columns[this.#names.indexOf(weight)]!.toColumn(keep);
    if (column.kind === 'number') return { weights: Float64Array.from(column.values) };
    const message = `${weight} holds texts, and weights must be numbers.`;
    throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/weight', message }] });
  }
}

/** Throws INVALID_INPUT when rows of these columns cannot be what the spec learns from. */
function checkColumns(spec: TrainingSpec, names: readonly string[]): void {
  const { algorithm, label, features } = spec;
  const problems: InputProblem[] = [];
  const isNeeded = LABEL_KINDS[algorithm] !== 'none';
  if (isNeeded && label === undefined)
    problems.push({ path: '/label', message: 'names no column to predict' });
  if (!isNeeded && label !== undefined)
    problems.push({ path: '/label', message: `is not used by ${algorithm}` });
  if (algorithm === 'text-classifier' && features?.length !== 1) {
    problems.push({ path: '/features', message: 'must name the one column that holds the text' });
  }
  for (const name of wantedColumns(spec, [])) {
    if (names.includes(name)) continue;
    const there = names.slice(0, 50).join(', ');
    problems.push({ path: `/${name}`, message: `is no column of the rows, which have ${there}` });
  }
  if (label !== undefined && features?.includes(label)) {
    problems.push({
      path: '/features',
      message: `hold the label ${label}: the model would be told the answer`,
    });
  }
  refuse('The rows do not fit what is to be learnt', problems);
}

/** The columns that are kept: features in the order named (or all), then label and weight. */
function wantedColumns({ label, weight, features }: TrainingSpec, names: readonly string[]): string[] {
  const beside = [label, weight].filter((name) => name !== undefined);
  return [...new Set([...(features ?? names.filter((name) => !beside.includes(name))), ...beside])];
}

function rowProblem(row: number, column: string, message: string): MillraceError {
  const problem = { path: `/${row}/${column}`, message };
  return new MillraceError('INVALID_INPUT', `Row ${row + 1}: ${column} ${message}.`, { errors: [problem] });
}

class GrowingColumn {
  readonly name: string;
  #numbers = new Float64Array(1024);
  #size = 0;
  /** Codes by text, once something was no number; `#numbers` then holds codes. */
  #codes: Map<string, number> | undefined;

  constructor(name: string) {
    this.name = name;
  }

  push(value: Cell, row: number): void {
    if (this.#size === this.#numbers.length) this.#grow();
    const number = numberOf(value);
    if (number === undefined && !this.#codes) this.#toCategories();
    this.#numbers[this.#size++] = this.#codes ? this.#codeOf(value, row) : number!;
  }

  /** Rows that have a value. */
  knownRows(): Int32Array {
    const known: number[] = [];
    for (let row = 0; row < this.#size; row++) {
      const value = this.#numbers[row]!;
      if (this.#codes ? value >= 0 : Number.isFinite(value)) known.push(row);
    }
    return Int32Array.from(known);
  }

  /** Texts are classes, and so are 0 and 1; other numbers are a value. */
  likelyTask(): 'classes' | 'number' {
    if (this.#codes) return 'classes';
    for (let row = 0; row < this.#size; row++) {
      const value = this.#numbers[row]!;
      if (!Number.isNaN(value) && value !== 0 && value !== 1) return 'number';
    }
    return 'classes';
  }

  toColumn(keep: Int32Array | undefined): Column {
    const values = this.#kept(keep);
    if (!this.#codes) return { name: this.name, kind: 'number', values: Float32Array.from(values) };
    // The most frequent first: those beyond a learner's limit are the rarest.
    const counts = new Float64Array(this.#codes.size);
    for (const code of values) if (code >= 0) counts[code]!++;
    const names = [...this.#codes.keys()];
    const order = names
      .map((_, code) => code)
      .sort((a, b) => counts[b]! - counts[a]! || (names[a]! < names[b]! ? -1 : 1));
    const places = new Int32Array(names.length);
    order.forEach((code, place) => {
      places[code] = place;
    });
    return {
      name: this.name,
      kind: 'category',
      values: Int32Array.from(values, (code) => (code < 0 ? -1 : places[code]!)),
      categories: order.map((code) => names[code]!),
    };
  }

  /** Classes in the order of their numbers or names. */
  toClasses(keep: Int32Array | undefined): { label: Float64Array; classes: readonly string[] } {
    const values = this.#kept(keep);
    const names = this.#codes ? [...this.#codes.keys()] : undefined;
    const distinct = [...new Set(values)];
    distinct.sort((a, b) => (names ? (names[a]! < names[b]! ? -1 : 1) : a - b));
    if (distinct.length > MOST_CLASSES) {
      const message = `${this.name} holds ${distinct.length} different values, which is too many for classes. Ask for a number, or name another label.`;
      throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/label', message }] });
    }
    const places = new Map(distinct.map((value, place) => [value, place]));
    return {
      label: Float64Array.from(values, (value) => places.get(value)!),
      classes: distinct.map((value) => names?.[value] ?? String(value)),
    };
  }

  #kept(keep: Int32Array | undefined): Float64Array {
    const all = this.#numbers.subarray(0, this.#size);
    return keep ? Float64Array.from(keep, (row) => all[row]!) : all;
  }

  #grow(): void {
    const larger = new Float64Array(this.#numbers.length * 2);
    larger.set(this.#numbers);
    this.#numbers = larger;
  }

  #toCategories(): void {
    this.#codes = new Map();
    for (let row = 0; row < this.#size; row++) {
      const value = this.#numbers[row]!;
      this.#numbers[row] = this.#codeOf(Number.isNaN(value) ? null : value, row);
    }
  }

  #codeOf(value: Cell, row: number): number {
    if (isMissing(value)) return -1;
    if (typeof value === 'object')
      throw rowProblem(row, this.name, 'must be a number, a text or a truth value');
    const codes = this.#codes!;
    const text = String(value);
    const known = codes.get(text);
    if (known !== undefined) return known;
    if (codes.size >= MOST_CATEGORIES) {
      const message = `${this.name} holds more than ${MOST_CATEGORIES} different texts. Leave it out by naming the features to learn from.`;
      throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: `/${this.name}`, message }] });
    }
    codes.set(text, codes.size);
    return codes.size - 1;
  }
}

const MOST_CLASSES = 1000;

const isMissing = (value: Cell): boolean =>
  value === null || value === undefined || value === '' || Number.isNaN(value);

/** Undefined for what is no number; NaN for what is missing. */
function numberOf(value: Cell): number | undefined {
  if (typeof value === 'number') return value;
  if (isMissing(value)) return Number.NaN;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const number = Number(value);
  return Number.isNaN(number) ? (value.toLowerCase() === 'nan' ? Number.NaN : undefined) : number;
}
