/**
 * Avro schemas as the specification gives them (Apache Avro 1.11, "Schema Declaration" and "Names"). Named types may refer to
 * themselves: their parts are filled in after they have been made.
 */
export type AvroType =
  | { readonly kind: 'primitive'; readonly name: AvroPrimitive }
  | { readonly kind: 'array'; readonly items: AvroType }
  | { readonly kind: 'map'; readonly values: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord
  | AvroEnum
  | AvroFixed;

interface AvroNamed {
  /** With its namespace. */
  readonly name: string;
  readonly aliases: readonly string[];
}

export interface AvroRecord extends AvroNamed {
  readonly kind: 'record';
  readonly fields: AvroField[];
}

export interface AvroField {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly type: AvroType;
  readonly hasDefault: boolean;
}

export interface AvroEnum extends AvroNamed {
  readonly kind: 'enum';
  readonly symbols: readonly string[];
  readonly hasDefault: boolean;
}

export interface AvroFixed extends AvroNamed {
  readonly kind: 'fixed';
  readonly size: number;
}

export const PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const;
export type AvroPrimitive = (typeof PRIMITIVES)[number];
