import { SchemaError } from '../types.ts';
import {
  isScalar,
  type ProtoEnum,
  type ProtoField,
  type ProtoFile,
  type ProtoMessage,
  type ProtoOption,
  type ProtoService,
  type ProtoType,
  resolveName,
  SCALARS,
} from './model.ts';
import { type WireField, WireWriter, wireFields } from './wire.ts';

/*
 * FileDescriptorProto and what it holds, by field number as google/protobuf/descriptor.proto gives them. Some clients register
 * schemas in this form, in base64, and ask for them so.
 */
const LABELS = ['', 'optional', 'required', 'repeated'] as const;
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const EDITIONS: { readonly [number: number]: string } = { 1000: '2023', 1001: '2024' };
/** Plain options of a file and their numbers in FileOptions. */
const TEXT_OPTIONS: readonly (readonly [string, number])[] = [
  ['java_package', 1],
  ['java_outer_classname', 8],
  ['go_package', 11],
  ['objc_class_prefix', 36],
  ['csharp_namespace', 37],
  ['php_namespace', 41],
  ['ruby_package', 45],
];
const JAVA_MULTIPLE_FILES = 10;

const textOf = ({ bytes }: WireField): string => Buffer.from(bytes).toString();

export function decodeFile(bytes: Uint8Array): ProtoFile {
  const imports: { path: string; kind: '' | 'public' | 'weak' }[] = [];
  const found = {
    syntax: 'proto2' as ProtoFile['syntax'],
    edition: undefined as string | undefined,
    package: '',
    imports,
    options: [] as ProtoOption[],
    messages: [] as ProtoMessage[],
    enums: [] as ProtoEnum[],
    services: [] as ProtoService[],
  };
  for (const field of wireFields(bytes)) {
    if (field.number === 2) found.package = textOf(field);
    else if (field.number === 3) imports.push({ path: textOf(field), kind: '' });
    else if (field.number === 10 && imports[field.varint]) imports[field.varint]!.kind = 'public';
    else if (field.number === 11 && imports[field.varint]) imports[field.varint]!.kind = 'weak';
    else if (field.number === 4) found.messages.push(decodeMessage(field.bytes).message);
    else if (field.number === 5) found.enums.push(decodeEnum(field.bytes));
    else if (field.number === 6) found.services.push(decodeService(field.bytes));
    else if (field.number === 8) found.options.push(...decodeFileOptions(field.bytes));
    else if (field.number === 12) found.syntax = textOf(field) === 'proto3' ? 'proto3' : found.syntax;
    else if (field.number === 14) {
      found.syntax = 'editions';
      found.edition = EDITIONS[field.varint];
    }
  }
  if (found.syntax === 'editions' && found.edition === undefined)
    throw new SchemaError('its edition is not known; editions 2023 and 2024 are');
  if (found.messages.length + found.enums.length + found.services.length + imports.length === 0)
    throw new SchemaError('the descriptor declares nothing');
  return found;
}

function decodeFileOptions(bytes: Uint8Array): ProtoOption[] {
  return [...wireFields(bytes)].flatMap((field): ProtoOption[] => {
    if (field.number === JAVA_MULTIPLE_FILES)
      return [{ name: 'java_multiple_files', value: String(field.varint === 1) }];
    const known = TEXT_OPTIONS.find(([, number]) => number === field.number);
    return known ? [{ name: known[0], value: JSON.stringify(textOf(field)) }] : [];
  });
}

interface DecodedMessage {
  readonly message: ProtoMessage;
  /** What a map field was turned into by the compiler. */
  readonly isMapEntry: boolean;
}

type RawField = Omit<ProtoField, 'oneof' | 'mapKey'> & { oneofIndex: number; proto3Optional: boolean };

function decodeMessage(bytes: Uint8Array): DecodedMessage {
  let name = '';
  let isMapEntry = false;
  const raw: RawField[] = [];
  const oneofs: string[] = [];
  const nested: DecodedMessage[] = [];
  const enums: ProtoEnum[] = [];
  const reserved: string[] = [];
  for (const field of wireFields(bytes)) {
    if (field.number === 1) name = textOf(field);
    else if (field.number === 2) raw.push(decodeField(field.bytes));
    else if (field.number === 3) nested.push(decodeMessage(field.bytes));
    else if (field.number === 4) enums.push(decodeEnum(field.bytes));
    else if (field.number === 7)
      isMapEntry = [...wireFields(field.bytes)].some((one) => one.number === 7 && one.varint === 1);
    else if (field.number === 8)
      oneofs.push([...wireFields(field.bytes)].filter((one) => one.number === 1).map(textOf)[0] ?? '');
    else if (field.number === 9) reserved.push(rangeText(field.bytes));
    else if (field.number === 10) reserved.push(JSON.stringify(textOf(field)));
  }
  const maps = new Map(nested.filter((one) => one.isMapEntry).map(({ message }) => [message.name, message]));
  const messages = nested.filter((one) => !one.isMapEntry).map(({ message }) => message);
  const fields = raw.map((field) => finishField(field, name, oneofs, maps));
  const used = new Set(fields.map(({ oneof }) => oneof));
  return {
    isMapEntry,
    message: { name, fields, oneofs: oneofs.filter((each) => used.has(each)), messages, enums, reserved },
  };
}

/** The end of a range does not belong to it. */
function rangeText(bytes: Uint8Array): string {
  const [start = 0, end = 0] = [1, 2].map(
    (number) => [...wireFields(bytes)].find((field) => field.number === number)?.varint,
  );
  return end - 1 > start ? `${start} to ${end - 1 >= 536_870_911 ? 'max' : end - 1}` : String(start);
}

function decodeField(bytes: Uint8Array): RawField {
  const options: ProtoOption[] = [];
  const field = {
    name: '',
    number: 0,
    label: '' as ProtoField['label'],
    type: '',
    options,
    oneofIndex: -1,
    proto3Optional: false,
  };
  let typeName = '';
  for (const one of wireFields(bytes)) {
    if (one.number === 1) field.name = textOf(one);
    else if (one.number === 3) field.number = one.varint;
    else if (one.number === 4) field.label = LABELS[one.varint] ?? '';
    else if (one.number === 5) field.type = SCALARS[one.varint - 1] ?? '';
    else if (one.number === 6) typeName = textOf(one);
    else if (one.number === 7) options.push({ name: 'default', value: JSON.stringify(textOf(one)) });
    else if (one.number === 9) field.oneofIndex = one.varint;
    else if (one.number === 17) field.proto3Optional = one.varint === 1;
  }
  return { ...field, type: typeName === '' ? field.type : typeName };
}

function finishField(
  raw: RawField,
  message: string,
  oneofs: readonly string[],
  maps: ReadonlyMap<string, ProtoMessage>,
): ProtoField {
  const { oneofIndex, proto3Optional, ...field } = raw;
  const entry = maps.get(field.type.slice(field.type.lastIndexOf('.') + 1));
  if (entry && field.type.endsWith(`.${message}.${entry.name}`)) {
    const [key, value] = [1, 2].map((number) => entry.fields.find((one) => one.number === number)?.type);
    return { ...field, label: '', type: value ?? '', mapKey: key ?? '' };
  }
  if (proto3Optional) return { ...field, label: 'optional' };
  const oneof = oneofs[oneofIndex];
  // A descriptor calls every field optional that is neither required nor repeated.
  const label = field.label === 'optional' ? '' : field.label;
  return oneof === undefined ? { ...field, label } : { ...field, label: '', oneof };
}

function decodeEnum(bytes: Uint8Array): ProtoEnum {
  const found = { name: '', values: [] as { name: string; number: number }[], options: [] as ProtoOption[] };
  for (const field of wireFields(bytes)) {
    if (field.number === 1) found.name = textOf(field);
    else if (field.number === 2) {
      const parts = [...wireFields(field.bytes)];
      const name = parts.filter((one) => one.number === 1).map(textOf)[0] ?? '';
      const number = parts.find((one) => one.number === 2)?.varint ?? 0;
      found.values.push({ name, number: number > 2 ** 31 ? number - 2 ** 64 : number });
    } else if (
      field.number === 3 &&
      [...wireFields(field.bytes)].some((one) => one.number === 2 && one.varint === 1)
    )
      found.options.push({ name: 'allow_alias', value: 'true' });
  }
  return found;
}

function decodeService(bytes: Uint8Array): ProtoService {
  const fields = [...wireFields(bytes)];
  const methods = fields
    .filter(({ number }) => number === 2)
    .map(({ bytes: inner }) => {
      const parts = [...wireFields(inner)];
      const text = (number: number): string =>
        parts.filter((one) => one.number === number).map(textOf)[0] ?? '';
      const flag = (number: number): boolean =>
        parts.some((one) => one.number === number && one.varint === 1);
      return {
        name: text(1),
        input: text(2),
        output: text(3),
        streamsInput: flag(5),
        streamsOutput: flag(6),
      };
    });
  return { name: fields.filter(({ number }) => number === 1).map(textOf)[0] ?? '', methods };
}

/** The descriptor of a file. Custom options are not in it. */
export function encodeFile(file: ProtoFile, name: string, types: ReadonlyMap<string, ProtoType>): Uint8Array {
  const writer = new WireWriter().text(1, name);
  if (file.package !== '') writer.text(2, file.package);
  for (const { path } of file.imports) writer.text(3, path);
  const names = { types, proto3: file.syntax === 'proto3' };
  for (const message of file.messages) writer.message(4, encodeMessage(message, file.package, names));
  for (const each of file.enums) writer.message(5, encodeEnum(each));
  for (const { name: service, methods } of file.services) {
    const inner = new WireWriter().text(1, service);
    for (const method of methods) inner.message(2, encodeMethod(method, file.package, names));
    writer.message(6, inner);
  }
  const options = encodeFileOptions(file.options);
  if (options) writer.message(8, options);
  file.imports.forEach(({ kind }, index) => {
    if (kind !== '') writer.varint(kind === 'public' ? 10 : 11, index);
  });
  if (file.syntax !== 'proto2') writer.text(12, file.syntax);
  const edition = Object.keys(EDITIONS).find((number) => EDITIONS[Number(number)] === file.edition);
  if (edition !== undefined) writer.varint(14, Number(edition));
  return writer.finish();
}

interface Names {
  readonly types: ReadonlyMap<string, ProtoType>;
  readonly proto3: boolean;
}

function encodeFileOptions(options: readonly ProtoOption[]): WireWriter | undefined {
  const writer = new WireWriter();
  let count = 0;
  for (const { name, value } of options) {
    const known = TEXT_OPTIONS.find(([each]) => each === name);
    if (known) writer.text(known[1], value.slice(1, -1));
    else if (name === 'java_multiple_files') writer.varint(JAVA_MULTIPLE_FILES, value === 'true' ? 1 : 0);
    else continue;
    count++;
  }
  return count === 0 ? undefined : writer;
}

const entryName = (field: string): string =>
  `${field.replace(/(^|_)([a-z0-9])/gi, (_, __, letter: string) => letter.toUpperCase())}Entry`;

function encodeMessage(message: ProtoMessage, scope: string, names: Names): WireWriter {
  const full = scope === '' ? message.name : `${scope}.${message.name}`;
  const writer = new WireWriter().text(1, message.name);
  // A field that is optional in proto3 stands in a oneof of its own, after those that are written.
  const lone = names.proto3
    ? message.fields.filter(({ label }) => label === 'optional').map(({ name }) => name)
    : [];
  for (const field of message.fields) {
    const oneof = lone.includes(field.name)
      ? message.oneofs.length + lone.indexOf(field.name)
      : message.oneofs.indexOf(field.oneof ?? '');
    writer.message(2, encodeField(field, full, names, oneof));
  }
  for (const inner of message.messages) writer.message(3, encodeMessage(inner, full, names));
  for (const { name, mapKey, type } of message.fields.filter((field) => field.mapKey !== undefined)) {
    const entry = new WireWriter().text(1, entryName(name));
    for (const [number, part] of [mapKey!, type].entries()) {
      const field = {
        name: number === 0 ? 'key' : 'value',
        number: number + 1,
        label: 'optional' as const,
        type: part,
        options: [],
      };
      entry.message(2, encodeField(field, full, { ...names, proto3: false }, -1));
    }
    writer.message(3, entry.message(7, new WireWriter().varint(7, 1)));
  }
  for (const each of message.enums) writer.message(4, encodeEnum(each));
  for (const name of [...message.oneofs, ...lone.map((each) => `_${each}`)])
    writer.message(8, new WireWriter().text(1, name));
  return writer;
}

function encodeField(field: ProtoField, scope: string, { types, proto3 }: Names, oneof: number): WireWriter {
  const { name, number, label, type, mapKey } = field;
  const writer = new WireWriter().text(1, name).varint(3, number);
  writer.varint(4, mapKey === undefined ? Math.max(1, LABELS.indexOf(label)) : LABELS.indexOf('repeated'));
  if (mapKey !== undefined) writer.varint(5, TYPE_MESSAGE).text(6, `.${scope}.${entryName(name)}`);
  else if (isScalar(type)) writer.varint(5, SCALARS.indexOf(type) + 1);
  else {
    const full = resolveName(type, scope, types);
    const definition = full === undefined ? undefined : types.get(full)!.definition;
    writer.varint(5, definition && !('fields' in definition) ? TYPE_ENUM : TYPE_MESSAGE);
    writer.text(6, `.${full ?? type.replace(/^\./, '')}`);
  }
  const preset = field.options.find((option) => option.name === 'default');
  if (preset) writer.text(7, preset.value.replace(/^["']|["']$/g, ''));
  if (oneof >= 0) writer.varint(9, oneof);
  if (proto3 && label === 'optional') writer.varint(17, 1);
  return writer;
}

function encodeEnum({ name, values, options }: ProtoEnum): WireWriter {
  const writer = new WireWriter().text(1, name);
  for (const value of values) writer.message(2, new WireWriter().text(1, value.name).varint(2, value.number));
  if (options.some((option) => option.name === 'allow_alias'))
    writer.message(3, new WireWriter().varint(2, 1));
  return writer;
}

function encodeMethod(method: ProtoService['methods'][number], scope: string, { types }: Names): WireWriter {
  const full = (type: string): string => `.${resolveName(type, scope, types) ?? type.replace(/^\./, '')}`;
  const writer = new WireWriter()
    .text(1, method.name)
    .text(2, full(method.input))
    .text(3, full(method.output));
  if (method.streamsInput) writer.varint(5, 1);
  if (method.streamsOutput) writer.varint(6, 1);
  return writer;
}
