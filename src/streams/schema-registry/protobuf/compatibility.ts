import {
  isScalar,
  type ProtoField,
  type ProtoFile,
  type ProtoMessage,
  type ProtoType,
  resolveName,
} from './model.ts';

/** A file with the types that its names may mean: its own, and those of what it imports. */
export interface ProtoContext {
  readonly file: ProtoFile;
  readonly types: ReadonlyMap<string, ProtoType>;
}

/**
 * Why a reader with one .proto file may not read what was written with another. The differences that count, and their names, are
 * those of Confluent's registry (its Protobuf `SchemaDiff`), which follow "Updating A Message Type" of the language guide: messages are
 * matched by name, fields by number; fields may come and go unless they are required; types may change within a group
 * that shares its form on the wire.
 */
export function readingProblems(reader: ProtoContext, writer: ProtoContext): readonly string[] {
  const check = new ProtoCheck(reader, writer);
  check.compareFiles();
  return check.problems;
}

/** Scalars that can be read as each other; enums are general numbers. */
const GROUPS: { readonly [type: string]: string } = {
  int32: 'general number',
  int64: 'general number',
  uint32: 'general number',
  uint64: 'general number',
  bool: 'general number',
  sint32: 'signed number',
  sint64: 'signed number',
  string: 'text or bytes',
  bytes: 'text or bytes',
  fixed32: 'fixed 32',
  sfixed32: 'fixed 32',
  fixed64: 'fixed 64',
  sfixed64: 'fixed 64',
  float: 'float',
  double: 'double',
};

class ProtoCheck {
  readonly problems: string[] = [];
  readonly #reader: ProtoContext;
  readonly #writer: ProtoContext;
  readonly #seen = new Set<string>();

  constructor(reader: ProtoContext, writer: ProtoContext) {
    this.#reader = reader;
    this.#writer = writer;
  }

  compareFiles(): void {
    const [reader, writer] = [this.#reader.file, this.#writer.file];
    if (reader.package !== writer.package)
      this.#fail('PACKAGE_CHANGED', '/', `the package was '${writer.package}' and is '${reader.package}'`);
    this.#compareMessages(reader.messages, writer.messages, '');
  }

  #compareMessages(reader: readonly ProtoMessage[], writer: readonly ProtoMessage[], scope: string): void {
    for (const written of writer) {
      const read = reader.find(({ name }) => name === written.name);
      const local = scope === '' ? written.name : `${scope}.${written.name}`;
      if (read) this.#compareMessage(read, written, local);
      else this.#fail('MESSAGE_REMOVED', local, 'the reader has no such message');
    }
  }

  #compareMessage(reader: ProtoMessage, writer: ProtoMessage, local: string): void {
    if (this.#seen.has(local)) return;
    this.#seen.add(local);
    this.#compareOneofs(reader, writer, local);
    const readFields = new Map(reader.fields.map((field) => [field.number, field]));
    const writtenFields = new Map(writer.fields.map((field) => [field.number, field]));
    for (const [number, written] of writtenFields) {
      const read = readFields.get(number);
      if (read) this.#compareField(read, written, local);
      else this.#removed(reader, written, `${local}/${number}`);
    }
    for (const [number, { label, name }] of readFields) {
      if (!writtenFields.has(number) && label === 'required')
        this.#fail('REQUIRED_FIELD_ADDED', `${local}/${number}`, `'${name}' is required and was not written`);
    }
    this.#compareMessages(reader.messages, writer.messages, local);
  }

  #removed(reader: ProtoMessage, { name, label, oneof }: ProtoField, place: string): void {
    if (label === 'required') this.#fail('REQUIRED_FIELD_REMOVED', place, `'${name}' was required`);
    else if (oneof !== undefined && reader.oneofs.includes(oneof))
      this.#fail('ONEOF_FIELD_REMOVED', place, `'${name}' was one of '${oneof}'`);
  }

  /** Of fields that could be set side by side, a oneof keeps one. */
  #compareOneofs(reader: ProtoMessage, writer: ProtoMessage, local: string): void {
    const byNumber = new Map(writer.fields.map((field) => [field.number, field]));
    for (const oneof of reader.oneofs) {
      const written = reader.fields
        .filter((field) => field.oneof === oneof)
        .flatMap(({ number }) => byNumber.get(number) ?? []);
      const moved = written.filter((field) => field.oneof === undefined);
      const names = moved.map(({ name }) => `'${name}'`).join(', ');
      if (moved.length > 1)
        this.#fail('MULTIPLE_FIELDS_MOVED_TO_ONEOF', `${local}/${oneof}`, `${names} could be set together`);
      else if (moved.length === 1 && written.length > 1)
        this.#fail('FIELD_MOVED_TO_EXISTING_ONEOF', `${local}/${oneof}`, `${names} could be set beside it`);
    }
  }

  #compareField(reader: ProtoField, writer: ProtoField, local: string): void {
    const place = `${local}/${writer.number}`;
    if ((reader.mapKey === undefined) !== (writer.mapKey === undefined)) {
      this.#fail('FIELD_KIND_CHANGED', place, 'only one of both is a map');
      return;
    }
    if (reader.mapKey !== undefined) this.#compareTypes(reader.mapKey, writer.mapKey!, local, place);
    this.#compareTypes(reader.type, writer.type, local, place);
  }

  #compareTypes(read: string, written: string, local: string, place: string): void {
    const reader = typeOf(read, local, this.#reader);
    const writer = typeOf(written, local, this.#writer);
    if (reader.kind !== writer.kind)
      this.#fail('FIELD_KIND_CHANGED', place, `it was ${written} and is ${read}`);
    else if (reader.kind === 'scalar') {
      if (reader.name !== writer.name)
        this.#fail('FIELD_SCALAR_KIND_CHANGED', place, `it was ${written} and is ${read}`);
    } else if (reader.name !== writer.name)
      this.#fail('FIELD_NAMED_TYPE_CHANGED', place, `it was ${writer.name} and is ${reader.name}`);
    else if (reader.message && writer.message && !isOwn(reader.full, this.#reader))
      this.#compareMessage(reader.message, writer.message, reader.full);
  }

  #fail(kind: string, place: string, what: string): void {
    this.problems.push(`${kind} at '${place}': ${what}`);
  }
}

interface FoundType {
  readonly kind: 'scalar' | 'message';
  /** The group of a scalar; of a message its name inside its package. */
  readonly name: string;
  readonly full: string;
  readonly message?: ProtoMessage;
}

function typeOf(type: string, local: string, { file, types }: ProtoContext): FoundType {
  if (isScalar(type)) return { kind: 'scalar', name: GROUPS[type]!, full: type };
  const scope = file.package === '' ? local : `${file.package}.${local}`;
  const full = resolveName(type, scope, types);
  const definition = full === undefined ? undefined : types.get(full)!.definition;
  if (definition && !('fields' in definition)) return { kind: 'scalar', name: 'general number', full: full! };
  // Types of Google's own imports are known by their names alone.
  const name = full ?? type.replace(/^\./, '');
  const inPackage = file.package !== '' && name.startsWith(`${file.package}.`);
  return {
    kind: 'message',
    name: inPackage ? name.slice(file.package.length + 1) : name,
    full: name,
    ...(definition ? { message: definition } : {}),
  };
}

/** Messages of the file itself are compared where they are declared. */
function isOwn(full: string, { file }: ProtoContext): boolean {
  const local = file.package === '' ? full : full.slice(file.package.length + 1);
  const [first] = local.split('.');
  return full.startsWith(file.package) && file.messages.some(({ name }) => name === first);
}
