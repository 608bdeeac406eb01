import type { AvroEnum, AvroFixed, AvroRecord, AvroType } from './model.ts';

/**
 * Whether a reader's schema can read all that a writer's schema writes: "Schema Resolution" of the Avro specification (1.11),
 * with the names of problems that Avro's own checker for Java uses.
 */
export function readingProblems(reader: AvroType, writer: AvroType): readonly string[] {
  const check = new AvroCheck();
  check.compare(reader, writer, '');
  return check.problems;
}

/** What a writer's type may be read as, beside itself. */
const PROMOTIONS: { readonly [writer: string]: readonly string[] } = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
};
const reads = (reader: string, writer: string): boolean =>
  reader === writer || PROMOTIONS[writer]?.includes(reader) === true;
const PROBLEMS_AT_MOST = 100;

class AvroCheck {
  problems: string[] = [];
  /** Pairs that are being compared, or were found good: a recursive type meets itself again. */
  readonly #seen = new Map<AvroType, Set<AvroType>>();
  readonly #trail: (readonly [AvroType, AvroType])[] = [];

  compare(reader: AvroType, writer: AvroType, path: string): void {
    if (this.problems.length >= PROBLEMS_AT_MOST || this.#isSeen(reader, writer)) return;
    if (writer.kind === 'union') {
      writer.branches.forEach((branch, index) => {
        this.#compareOne(reader, branch, reader.kind === 'union' ? `${path}/${index}` : path);
      });
    } else this.#compareOne(reader, writer, path);
  }

  #isSeen(reader: AvroType, writer: AvroType): boolean {
    if (reader.kind !== 'record' || writer.kind !== 'record') return false;
    const before = this.#seen.get(reader) ?? new Set();
    if (before.has(writer)) return true;
    this.#seen.set(reader, before.add(writer));
    this.#trail.push([reader, writer]);
    return false;
  }

  /** The writer's type is no union here. */
  #compareOne(reader: AvroType, writer: AvroType, path: string): void {
    if (reader.kind === 'union') {
      if (!reader.branches.some((branch) => this.#reads(branch, writer))) {
        this.#fail('MISSING_UNION_BRANCH', path, `the reader's union has no branch for ${labelOf(writer)}`);
      }
      return;
    }
    if (reader.kind === 'primitive' && writer.kind === 'primitive' && reads(reader.name, writer.name)) return;
    if (reader.kind === 'array' && writer.kind === 'array')
      this.compare(reader.items, writer.items, `${path}/items`);
    else if (reader.kind === 'map' && writer.kind === 'map')
      this.compare(reader.values, writer.values, `${path}/values`);
    else if (reader.kind === 'record' && writer.kind === 'record') this.#compareRecords(reader, writer, path);
    else if (reader.kind === 'enum' && writer.kind === 'enum') this.#compareEnums(reader, writer, path);
    else if (reader.kind === 'fixed' && writer.kind === 'fixed') this.#compareFixed(reader, writer, path);
    else
      this.#fail(
        'TYPE_MISMATCH',
        path,
        `the reader expects ${labelOf(reader)}, written is ${labelOf(writer)}`,
      );
  }

  #reads(reader: AvroType, writer: AvroType): boolean {
    const { problems } = this;
    const known = this.#trail.length;
    this.problems = [];
    this.compare(reader, writer, '');
    const good = this.problems.length === 0;
    // What was met on the way to a branch that does not fit must be looked at again elsewhere.
    if (!good) for (const [left, right] of this.#trail.splice(known)) this.#seen.get(left)?.delete(right);
    this.problems = problems;
    return good;
  }

  #compareRecords(reader: AvroRecord, writer: AvroRecord, path: string): void {
    this.#compareNames(reader, writer, path);
    for (const field of reader.fields) {
      const names = [field.name, ...field.aliases];
      const written = writer.fields.find(({ name }) => names.includes(name));
      const place = `${path}/fields/${field.name}`;
      if (written) this.compare(field.type, written.type, `${place}/type`);
      else if (!field.hasDefault) {
        const what = `the field '${field.name}' is not written and has no default in the reader's schema`;
        this.#fail('READER_FIELD_MISSING_DEFAULT_VALUE', place, what);
      }
    }
  }

  #compareEnums(reader: AvroEnum, writer: AvroEnum, path: string): void {
    this.#compareNames(reader, writer, path);
    const lost = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol));
    if (lost.length === 0 || reader.hasDefault) return;
    this.#fail('MISSING_ENUM_SYMBOLS', `${path}/symbols`, `the reader lacks the symbols ${lost.join(', ')}`);
  }

  #compareFixed(reader: AvroFixed, writer: AvroFixed, path: string): void {
    this.#compareNames(reader, writer, path);
    if (reader.size === writer.size) return;
    this.#fail(
      'FIXED_SIZE_MISMATCH',
      `${path}/size`,
      `expected are ${reader.size} bytes, written ${writer.size}`,
    );
  }

  /** Names are compared without their namespace, as the specification has it. */
  #compareNames(
    reader: AvroRecord | AvroEnum | AvroFixed,
    writer: AvroRecord | AvroEnum | AvroFixed,
    path: string,
  ): void {
    if (shortName(reader.name) === shortName(writer.name) || reader.aliases.includes(writer.name)) return;
    this.#fail(
      'NAME_MISMATCH',
      `${path}/name`,
      `the reader expects '${reader.name}', written is '${writer.name}'`,
    );
  }

  #fail(kind: string, path: string, what: string): void {
    this.problems.push(`${kind} at '${path === '' ? '/' : path}': ${what}`);
  }
}

const shortName = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
const labelOf = (type: AvroType): string => ('name' in type ? type.name : `a ${type.kind}`);
