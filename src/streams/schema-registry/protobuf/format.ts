import { type ParsedSchema, type ResolvedReference, SchemaError, type SchemaFormat } from '../types.ts';
import { type ProtoContext, readingProblems } from './compatibility.ts';
import { decodeFile, encodeFile } from './descriptor.ts';
import {
  isScalar,
  type ProtoFile,
  type ProtoMessage,
  type ProtoType,
  resolveName,
  typesOf,
} from './model.ts';
import { parseProto } from './parse.ts';
import { printProto } from './print.ts';
import { Tokens } from './tokens.ts';

interface ParsedProto extends ParsedSchema {
  readonly context: ProtoContext;
}

/** Imports that every Protobuf compiler has at hand; their types are known by name. */
const BUILT_IN = /^(?:google\/(?:protobuf|type)|confluent)\//;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The file of a schema's text, which is a .proto file or the base64 of its descriptor. */
function fileOf(text: string): { file: ProtoFile; text: string } {
  const packed = text.trim();
  if (packed.length >= 8 && packed.length % 4 === 0 && BASE64.test(packed)) {
    const file = decodeFile(Buffer.from(packed, 'base64'));
    const printed = printProto(file);
    return { file: parseProto(printed), text: printed };
  }
  return { file: parseProto(text), text };
}

function contextOf(file: ProtoFile, references: readonly ResolvedReference[]): ProtoContext {
  const types = new Map<string, ProtoType>();
  const seen = new Set<string>();
  const add = (each: readonly ResolvedReference[]): void => {
    for (const { name, text, references: inner } of each) {
      if (seen.has(name)) continue;
      seen.add(name);
      for (const [fullName, type] of typesOf(fileOf(text).file)) types.set(fullName, type);
      add(inner);
    }
  };
  add(references);
  for (const { path } of file.imports) {
    if (BUILT_IN.test(path) || seen.has(path)) continue;
    throw new SchemaError(`it imports '${path}', which is none of its references; add it to them`);
  }
  for (const [fullName, type] of typesOf(file)) types.set(fullName, type);
  return { file, types };
}

/** Every type that is named must be somewhere; those of built-in imports are not looked at. */
function requireTypes({ file, types }: ProtoContext): void {
  const builtIn = file.imports.some(({ path }) => BUILT_IN.test(path));
  const visit = (message: ProtoMessage, scope: string): void => {
    const full = scope === '' ? message.name : `${scope}.${message.name}`;
    for (const { name, type } of message.fields) {
      if (isScalar(type) || resolveName(type, full, types) !== undefined) continue;
      if (builtIn && /^\.?(?:google|confluent)\./.test(type)) continue;
      throw new SchemaError(`${full}.${name} has the type '${type}', which is defined nowhere`);
    }
    for (const inner of message.messages) visit(inner, full);
  };
  for (const message of file.messages) visit(message, file.package);
}

export const protobufFormat: SchemaFormat = {
  parse(given, references): ParsedProto {
    const { file, text } = fileOf(given);
    const context = contextOf(file, references);
    requireTypes(context);
    return {
      context,
      text,
      // Comments and white space mean nothing, nor does the order of imports.
      normalized: () =>
        printProto({ ...file, imports: file.imports.toSorted((a, b) => (a.path < b.path ? -1 : 1)) }),
      problemsReading: (writer) => readingProblems(context, (writer as ParsedProto).context),
    };
  },
};

/** For equality: two texts that differ in comments and white space alone are the same schema. */
export const plainProto = (text: string): string => new Tokens(text).plain;

/** The base64 of the descriptor that a schema's text stands for. */
export function serializedProto(text: string, references: readonly ResolvedReference[]): string {
  const { file } = fileOf(text);
  const { types } = contextOf(file, references);
  return Buffer.from(encodeFile(file, 'default', types)).toString('base64');
}
