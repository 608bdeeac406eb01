import type { JsonSchema } from '../kernel/index.ts';
import type { SchemaProblem } from './schema/problem.ts';

/** An app's resources in plain values, as they leave the worker that imported it. */
export type Description =
  | { readonly ok: true; readonly resources: readonly DescribedResource[] }
  | { readonly ok: false; readonly message: string; readonly stack: string };

export interface DescribedResource {
  readonly kind: 'stream' | 'function' | 'state' | 'model';
  readonly name: Plain;
  /** The names under which the app's module exports it; none for what it only uses. */
  readonly exportNames: readonly string[];
  readonly place: { readonly line: number; readonly column: number } | undefined;
  readonly options: { readonly [option: string]: Plain };
  readonly hasHandler: boolean;
}

/** Any value of an option; what plain JSON cannot hold is tagged. */
export type Plain =
  | undefined
  | null
  | boolean
  | number
  | string
  | readonly Plain[]
  | PlainObject
  | TaggedSchema
  | TaggedResource
  | TaggedOther;

export interface PlainObject {
  readonly tag?: undefined;
  readonly fields: { readonly [name: string]: Plain };
}

export interface TaggedSchema {
  readonly tag: 'schema';
  readonly schema?: JsonSchema;
  readonly problems: readonly SchemaProblem[];
}

/** A resource or trigger inside an option. */
export interface TaggedResource {
  readonly tag: 'resource';
  readonly kind: string;
  readonly fields: { readonly [name: string]: Plain };
}

/** A function, a symbol, a bigint, …: `type` names it for the message. */
export interface TaggedOther {
  readonly tag: 'other';
  readonly type: string;
}
