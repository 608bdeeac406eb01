import type { StreamResource } from './resources.ts';
import type { Duration, Size, StandardSchema, ValueOf } from './schema.ts';

export type Compatibility =
  | 'none'
  | 'backward'
  | 'backward-transitive'
  | 'forward'
  | 'forward-transitive'
  | 'full'
  | 'full-transitive';

export interface StreamOptions {
  /** Default 1. */
  readonly partitions?: number;
  /** How long records are kept; default `'7d'`, `'forever'` for ever. */
  readonly retention?: Duration | 'forever';
  /** How many bytes are kept per partition; without it no bound. */
  readonly retentionBytes?: Size;
  /** `'compact'` keeps the latest record of each key. Default `'delete'`. */
  readonly cleanup?: 'delete' | 'compact' | 'compact,delete';
  /** How the schema may change from one deployment to the next. Default `'backward'`. */
  readonly compatibility?: Compatibility;
  /** What happens to a record that does not fit: refused (default), or diverted to `<stream>.invalid`. */
  readonly onInvalid?: 'refuse' | 'divert';
  /** Largest record; default and upper bound 6 MB. */
  readonly maxRecord?: Size;
}

/** A stream as its app exports it. `Value` is the type of its records. */
export interface Stream<Name extends string = string, out Value = unknown> extends StreamResource {
  readonly name: Name;
  /** For the type checker only; never there at run time. */
  readonly '~value'?: Value;
}

type Leaf = string | number | boolean | null | undefined;
/** Paths to strings and numbers inside a value, three levels deep: `'card'`, `'customer.id'`. */
type PathOf<Value, Depth extends readonly unknown[] = []> = Depth['length'] extends 3
  ? never
  : Value extends Leaf | readonly unknown[]
    ? never
    : {
        [Key in keyof Value & string]-?: NonNullable<Value[Key]> extends string | number
          ? Key
          : `${Key}.${PathOf<NonNullable<Value[Key]>, [...Depth, 0]>}`;
      }[keyof Value & string];

/** A JSON Pointer is always allowed; otherwise the path has to exist in the schema's type. */
export type KeyPath<Value> = unknown extends Value ? string : PathOf<Value> | `/${string}`;

/**
 * Declares a stream. `key` is the path of the record's key inside the value (`'card'`, `'customer.id'`, or a JSON
 * Pointer such as `'/customer/id'`); records of one key stay in order.
 */
export function stream<const Name extends string, Schema extends StandardSchema | undefined = undefined>(
  name: Name,
  options: StreamOptions & { readonly schema?: Schema; readonly key?: KeyPath<ValueOf<Schema>> } = {},
): Stream<Name, ValueOf<Schema>> {
  return { millrace: 1, kind: 'stream', name, options: { ...options } };
}
