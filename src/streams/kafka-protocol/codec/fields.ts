/**
 * How messages of the Kafka protocol are described: as data, one field after the other in the order of the wire, each
 * with the versions it is there in. `compile.ts` turns a description into a reader and a writer; the types of messages
 * follow from it. Names and meaning are those of the message definitions of Apache Kafka (`common/message/*.json` in the
 * kafka-clients jar), against which `tests/conformance/kafka-tables.test.ts` checks every table.
 */

export type Primitive =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records';

export type FieldType =
  | { readonly kind: Primitive }
  | { readonly kind: 'array'; readonly of: FieldType }
  | { readonly kind: 'struct'; readonly shape: Shape };

/** Both inclusive. */
export interface VersionRange {
  readonly from: number;
  readonly to: number;
}

export const ALL_VERSIONS: VersionRange = { from: 0, to: 32_767 };

export interface FieldSpec {
  readonly type: FieldType;
  readonly versions: VersionRange;
  readonly nullable?: VersionRange;
  /** What a reader gives where the field is absent, and a writer writes where it is left out. */
  readonly fallback?: string | number | boolean | null;
  /** Optional fields of the flexible encoding: number and first version; before that it stands in its place. */
  readonly tag?: { readonly number: number; readonly from: number };
  /** Strings of the old encoding in flexible versions too: the client id of the request header. */
  readonly rigid?: boolean;
}

/** Fields by name, in the order of the wire. */
export interface Shape {
  readonly [name: string]: Field<unknown, boolean>;
}

declare const TYPES: unique symbol;

/** A field of a message: the type in which it is read, and the laxer one in which it may be written. */
export class Field<Read, Optional extends boolean = false, Written = Read> {
  /** Never there: carries the types. */
  declare readonly [TYPES]: { read: Read; optional: Optional; written: Written };
  readonly spec: FieldSpec;

  constructor(spec: FieldSpec) {
    this.spec = spec;
  }

  /** There from this version on. */
  from(version: number): Field<Read, Optional, Written> {
    return new Field({ ...this.spec, versions: { ...this.spec.versions, from: version } });
  }

  /** There up to and with this version. */
  until(version: number): Field<Read, Optional, Written> {
    return new Field({ ...this.spec, versions: { ...this.spec.versions, to: version } });
  }

  nullable(from = 0, to: number = ALL_VERSIONS.to): Field<Read | null, Optional, Written | null> {
    return new Field({ ...this.spec, nullable: { from, to } });
  }

  /** A default that is not the type's own (0, false, '', no elements); a writer may leave the field out. */
  or(fallback: Read & (string | number | boolean | null)): Field<Read, true, Written> {
    return new Field({ ...this.spec, fallback });
  }

  tagged(number: number, from: number): Field<Read, true, Written> {
    return new Field({ ...this.spec, tag: { number, from } });
  }

  rigid(): Field<Read, Optional, Written> {
    return new Field({ ...this.spec, rigid: true });
  }
}

const primitive = <Value>(kind: Primitive): Field<Value> =>
  new Field<Value>({ type: { kind }, versions: ALL_VERSIONS });

export const bool = primitive<boolean>('bool');
export const int8 = primitive<number>('int8');
export const int16 = primitive<number>('int16');
export const uint16 = primitive<number>('uint16');
export const int32 = primitive<number>('int32');
export const uint32 = primitive<number>('uint32');
/** A number: exact up to 2^53. Offsets, times and producer ids beyond that do not occur; handlers check their ranges. */
export const int64 = primitive<number>('int64');
export const float64 = primitive<number>('float64');
/** 32 hexadecimal digits. */
export const uuid = primitive<string>('uuid');
export const string = primitive<string>('string');
/** Read as a view of the request, not a copy. */
export const bytes = primitive<Uint8Array>('bytes');
/** Record batches back to back; read as a view, written by reference. */
export const records = primitive<Uint8Array>('records');

export const NO_UUID = '0'.repeat(32);

type ReadOf<Of> =
  Of extends Field<infer Read, boolean, unknown> ? Read : Of extends Shape ? Message<Of> : never;
type WrittenOf<Of> =
  Of extends Field<unknown, boolean, infer Written> ? Written : Of extends Shape ? Writable<Of> : never;

export function array<const Of extends Field<unknown, boolean> | Shape>(
  of: Of,
): Field<readonly ReadOf<Of>[], false, readonly WrittenOf<Of>[]> {
  const type: FieldType = of instanceof Field ? of.spec.type : { kind: 'struct', shape: of as Shape };
  return new Field({ type: { kind: 'array', of: type }, versions: ALL_VERSIONS });
}

export function struct<const Of extends Shape>(shape: Of): Field<Message<Of>, false, Writable<Of>> {
  return new Field({ type: { kind: 'struct', shape }, versions: ALL_VERSIONS });
}

/** A message as it is read: every field is there. */
export type Message<Of extends Shape> = { readonly [Name in keyof Of]: ReadOf<Of[Name]> };

type OptionalNames<Of extends Shape> = {
  [Name in keyof Of]: Of[Name] extends Field<unknown, true, unknown> ? Name : never;
}[keyof Of];

/** A message to be written: fields with a default of their own may be left out. */
export type Writable<Of extends Shape> = {
  readonly [Name in Exclude<keyof Of, OptionalNames<Of>>]: WrittenOf<Of[Name]>;
} & {
  readonly [Name in OptionalNames<Of>]?: WrittenOf<Of[Name]> | undefined;
};

/** One API: its request and its response, and the versions that the tables describe. */
export interface Api<Request extends Shape = Shape, Response extends Shape = Shape> {
  readonly name: string;
  readonly key: number;
  readonly versions: VersionRange;
  /** The first version with compact lengths and tagged fields; none has them when it is beyond the last. */
  readonly flexibleFrom: number;
  readonly request: Request;
  readonly response: Response;
}

/** `versions` and `flexibleFrom` as in the definitions; undefined: no version is flexible. */
export function api<const Request extends Shape, const Response extends Shape>(
  name: string,
  key: number,
  versions: readonly [from: number, to: number],
  flexibleFrom: number | undefined,
  request: Request,
  response: Response,
): Api<Request, Response> {
  const [from, to] = versions;
  return { name, key, versions: { from, to }, flexibleFrom: flexibleFrom ?? to + 1, request, response };
}

export type RequestOf<Of> = Of extends Api<infer Request, Shape> ? Message<Request> : never;
export type ResponseOf<Of> = Of extends Api<Shape, infer Response> ? Writable<Response> : never;
/** A response as a client reads it. */
export type AnswerOf<Of> = Of extends Api<Shape, infer Response> ? Message<Response> : never;
/** A request as a client writes it. */
export type CallOf<Of> = Of extends Api<infer Request, Shape> ? Writable<Request> : never;

export const MAX_INT32 = 2_147_483_647;
/** What stands for the largest 64-bit integer; the writer clamps to it. */
export const MAX_INT64 = 2 ** 63;
