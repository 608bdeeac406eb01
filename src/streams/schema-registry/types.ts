export const SCHEMA_TYPES = ['AVRO', 'JSON', 'PROTOBUF'] as const;
export type SchemaType = (typeof SCHEMA_TYPES)[number];

/** A schema that another one uses under `name`: a type's full name (Avro), a `$ref` (JSON), an import (Protobuf). */
export interface SchemaReference {
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

/** A reference with what it refers to; plain data, so that it can travel to a worker. */
export interface ResolvedReference {
  readonly name: string;
  readonly text: string;
  readonly references: readonly ResolvedReference[];
}

export interface SchemaText {
  readonly type: SchemaType;
  readonly text: string;
  readonly references: readonly ResolvedReference[];
}

/** One kind of schema. `parse` throws SchemaError. */
export interface SchemaFormat {
  parse(text: string, references: readonly ResolvedReference[]): ParsedSchema;
}

export interface ParsedSchema {
  /** How it is kept and given back: without what means nothing, such as white space. */
  readonly text: string;
  /** The same without what changes nothing for readers and writers, such as the order of members. */
  normalized(): string;
  /**
   * Why a reader with this schema may not read what was written with `writer`, a schema of the same kind; none when it reads
   * all of it. `rules`: as Confluent's registry judges JSON Schema, or as streams do.
   */
  problemsReading(writer: ParsedSchema, rules: JsonRules): readonly string[];
}

export type JsonRules = 'strict' | 'stream';

/** A schema that is none; the message is for whoever wrote it. */
export class SchemaError extends Error {}
