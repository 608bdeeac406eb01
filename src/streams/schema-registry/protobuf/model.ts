import { SchemaError } from '../types.ts';

/** What a .proto file says, as far as it bears on bytes: also what a FileDescriptorProto says. */
export interface ProtoFile {
  readonly syntax: 'proto2' | 'proto3' | 'editions';
  readonly edition?: string | undefined;
  readonly package: string;
  readonly imports: readonly { readonly path: string; readonly kind: '' | 'public' | 'weak' }[];
  /** Options with plain values, such as `java_package`, as they are written. */
  readonly options: readonly ProtoOption[];
  readonly messages: readonly ProtoMessage[];
  readonly enums: readonly ProtoEnum[];
  readonly services: readonly ProtoService[];
}

export interface ProtoOption {
  readonly name: string;
  readonly value: string;
}

export interface ProtoMessage {
  readonly name: string;
  readonly fields: readonly ProtoField[];
  readonly oneofs: readonly string[];
  readonly messages: readonly ProtoMessage[];
  readonly enums: readonly ProtoEnum[];
  readonly reserved: readonly string[];
}

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly label: '' | 'optional' | 'required' | 'repeated';
  /** A scalar, or the name of a message or enum as it is written. */
  readonly type: string;
  /** Of a `map<key, type>`. */
  readonly mapKey?: string | undefined;
  readonly oneof?: string | undefined;
  readonly options: readonly ProtoOption[];
}

export interface ProtoEnum {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly number: number }[];
  readonly options: readonly ProtoOption[];
}

export interface ProtoService {
  readonly name: string;
  readonly methods: readonly {
    readonly name: string;
    readonly input: string;
    readonly output: string;
    readonly streamsInput: boolean;
    readonly streamsOutput: boolean;
  }[];
}

/** In the order of `FieldDescriptorProto.Type`, from 1; group, message and enum have no name of their own. */
export const SCALARS: readonly (string | null)[] = [
  ...['double', 'float', 'int64', 'uint64', 'int32', 'fixed64', 'fixed32', 'bool', 'string'],
  ...[null, null, 'bytes', 'uint32', null, 'sfixed32', 'sfixed64', 'sint32', 'sint64'],
];

export const isScalar = (type: string): boolean => SCALARS.includes(type);

/** A type that is defined somewhere, by its full name. */
export interface ProtoType {
  readonly fullName: string;
  readonly definition: ProtoMessage | ProtoEnum;
}

/** All types of a file, nested ones too, by full name. */
export function typesOf(file: ProtoFile): Map<string, ProtoType> {
  const types = new Map<string, ProtoType>();
  const add = (scope: string, definition: ProtoMessage | ProtoEnum): void => {
    const fullName = scope === '' ? definition.name : `${scope}.${definition.name}`;
    if (types.has(fullName)) throw new SchemaError(`'${fullName}' is defined twice`);
    types.set(fullName, { fullName, definition });
    if (!('fields' in definition)) return;
    for (const inner of [...definition.messages, ...definition.enums]) add(fullName, inner);
  };
  for (const definition of [...file.messages, ...file.enums]) add(file.package, definition);
  return types;
}

/** The full name of the type that `name` means inside `scope`: the innermost scope that has it (Protobuf language guide, "Packages and Name Resolution"). */
export function resolveName(
  name: string,
  scope: string,
  types: ReadonlyMap<string, ProtoType>,
): string | undefined {
  if (name.startsWith('.')) return types.has(name.slice(1)) ? name.slice(1) : undefined;
  for (let at = scope; ; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    const full = at === '' ? name : `${at}.${name}`;
    if (types.has(full)) return full;
    if (at === '') return undefined;
  }
}
