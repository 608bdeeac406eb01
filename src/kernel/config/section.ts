/**
 * A room's own part of the configuration: a name and its fields. From a field's name come its other names: `edgePort`
 * is `edgePort` in `millrace.config.ts`, `--edge-port` as a flag and `MILLRACE_EDGE_PORT` as a variable.
 */
export interface Section<
  Name extends string = string,
  Fields extends { readonly [key: string]: Field } = { readonly [key: string]: Field },
> {
  readonly name: Name;
  readonly title: string;
  readonly fields: Fields;
}

interface FieldBase {
  /** One line for the help text, without a full stop. */
  readonly description: string;
}

interface TextField extends FieldBase {
  readonly kind: 'string' | 'host' | 'path';
  /** null: not set. */
  readonly default: string | null;
  readonly choices?: readonly string[];
}

interface BooleanField extends FieldBase {
  readonly kind: 'boolean';
  readonly default: boolean;
}

/** `duration` is milliseconds, `bytes` bytes; both may be written with a unit (`10s`, `6mb`). */
interface NumberField extends FieldBase {
  readonly kind: 'integer' | 'duration' | 'bytes';
  readonly default: number | string | null;
  readonly min?: number;
  readonly max?: number;
}

/** 0 picks a free port, `off` closes the door. */
interface PortField extends FieldBase {
  readonly kind: 'port';
  readonly default: number | 'off';
}

interface ListField extends FieldBase {
  readonly kind: 'list';
  readonly default: readonly string[];
}

export type Field = TextField | BooleanField | NumberField | PortField | ListField;

/** What `--edge-port` and its like resolve to. */
export type Port = number | 'off';

type KindValue = {
  string: string;
  host: string;
  path: string;
  boolean: boolean;
  integer: number;
  duration: number;
  bytes: number;
  port: Port;
  list: readonly string[];
};

type ValueOf<F extends Field> =
  | (F extends { readonly choices: readonly (infer Choice)[] } ? Choice : KindValue[F['kind']])
  | (F['default'] extends null ? null : never);

/** The resolved values of one section. */
export type SectionValues<S extends Section> = {
  readonly [Key in keyof S['fields']]: ValueOf<S['fields'][Key]>;
};

/** The resolved values of several sections, under their names. */
export type Config<Sections extends readonly Section[]> = {
  readonly [S in Sections[number] as S['name']]: SectionValues<S>;
};

/** Keeps the literal types, so that the resolved object is typed by the schema alone. */
export function defineSection<
  const Name extends string,
  const Fields extends { readonly [key: string]: Field },
>(name: Name, title: string, fields: Fields): Section<Name, Fields> {
  return { name, title, fields };
}

/** `edgePort` → `edge-port` (written `--edge-port`). */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `edgePort` → `MILLRACE_EDGE_PORT`. */
export function variableName(key: string): string {
  return `MILLRACE_${flagName(key).replaceAll('-', '_').toUpperCase()}`;
}
