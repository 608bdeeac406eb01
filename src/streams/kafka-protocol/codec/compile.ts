import { type Api, type Field, type FieldSpec, type FieldType, NO_UUID, type Shape } from './fields.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/**
 * Turns the description of a message into code that reads and code that writes one version of it: straight-line
 * JavaScript, made when a version is first used. Nothing of it comes from outside: names and versions are those of the
 * tables in `messages/`.
 *
 * The two encodings (Kafka protocol guide, KIP-482). Before `flexibleFrom`: int16 lengths of strings, int32 lengths of
 * bytes and arrays, -1 for null. From then on: lengths plus one as unsigned varints, 0 for null, and behind the fields of
 * every structure its tagged fields: how many, then number, size and content of each.
 */
export type Read<Value> = (reader: Reader) => Value;
export type Write<Value> = (writer: Writer, value: Value) => void;

interface Encoding {
  readonly version: number;
  readonly flexible: boolean;
}

interface Placed {
  readonly name: string;
  readonly spec: FieldSpec;
}

function fieldsOf(shape: Shape): readonly Placed[] {
  return Object.entries(shape).map(([name, field]: [string, Field<unknown, boolean>]) => ({
    name,
    spec: field.spec,
  }));
}

const isThere = ({ versions }: FieldSpec, { version }: Encoding): boolean =>
  version >= versions.from && version <= versions.to;

const isTagged = ({ tag }: FieldSpec, { version, flexible }: Encoding): boolean =>
  tag !== undefined && flexible && version >= tag.from;

const isNullable = ({ nullable }: FieldSpec, { version }: Encoding): boolean =>
  nullable !== undefined && version >= nullable.from && version <= nullable.to;

/** The default as an expression: what a reader gives for a field that is absent. */
function fallbackOf(spec: FieldSpec, encoding: Encoding): string {
  if (spec.fallback !== undefined) return JSON.stringify(spec.fallback);
  switch (spec.type.kind) {
    case 'array':
      return '[]';
    case 'struct': {
      const fields = fieldsOf(spec.type.shape);
      return `{ ${fields.map((field) => `${field.name}: ${fallbackOf(field.spec, encoding)}`).join(', ')} }`;
    }
    case 'string':
      return "''";
    case 'bool':
      return 'false';
    case 'uuid':
      return `'${NO_UUID}'`;
    case 'bytes':
    case 'records':
      return 'null';
    default:
      return '0';
  }
}

const METHODS = { string: 'String', bytes: 'Bytes', records: 'Bytes', array: 'Array' } as const;

/** `string` or `nullableString`, and so on. */
function methodOf(kind: keyof typeof METHODS, nullable: boolean): string {
  return nullable ? `nullable${METHODS[kind]}` : METHODS[kind].toLowerCase();
}

function readExpression(type: FieldType, nullable: boolean, compact: boolean, encoding: Encoding): string {
  switch (type.kind) {
    case 'string':
    case 'bytes':
    case 'records':
      return `r.${methodOf(type.kind, nullable)}(${compact})`;
    case 'array':
      return `r.${methodOf('array', nullable)}(${compact}, (r) => ${elementExpression(type.of, compact, encoding)})`;
    case 'struct': {
      const read = `(${readFunction(type.shape, encoding)})(r)`;
      return nullable ? `(r.present() ? ${read} : null)` : read;
    }
    default:
      return `r.${type.kind}()`;
  }
}

/** The element of an array; a structure's statements become the body of the callback. */
function elementExpression(type: FieldType, compact: boolean, encoding: Encoding): string {
  return type.kind === 'struct'
    ? readBody(type.shape, encoding)
    : readExpression(type, false, compact, encoding);
}

function readFunction(shape: Shape, encoding: Encoding): string {
  return `(r) => ${readBody(shape, encoding)}`;
}

function readBody(shape: Shape, encoding: Encoding): string {
  const fields = fieldsOf(shape);
  const lines: string[] = [];
  const cases: string[] = [];
  fields.forEach(({ spec }, index) => {
    const there = isThere(spec, encoding);
    const compact = encoding.flexible && !spec.rigid;
    const read = readExpression(spec.type, isNullable(spec, encoding), compact, encoding);
    const tagged = isTagged(spec, encoding);
    if (there && tagged) cases.push(`case ${spec.tag!.number}: f${index} = ${read}; break;`);
    lines.push(`let f${index} = ${there && !tagged ? read : fallbackOf(spec, encoding)};`);
  });
  if (encoding.flexible && cases.length === 0) lines.push('r.skipTags();');
  if (cases.length > 0) {
    lines.push(
      'for (let rest = r.uvarint(); rest > 0; rest--) {',
      `const tag = r.uvarint(), end = r.tagEnd(); switch (tag) { ${cases.join(' ')} } r.seek(end); }`,
    );
  }
  lines.push(`return { ${fields.map(({ name }, index) => `${name}: f${index}`).join(', ')} };`);
  return `{ ${lines.join('\n')} }`;
}

function writeStatement(
  value: string,
  type: FieldType,
  nullable: boolean,
  compact: boolean,
  encoding: Encoding,
): string {
  switch (type.kind) {
    case 'string':
    case 'bytes':
    case 'records':
      return `w.${methodOf(type.kind, nullable)}(${value}, ${compact});`;
    case 'array': {
      const element =
        type.of.kind === 'struct'
          ? writeBody(type.of.shape, encoding)
          : `{ ${writeStatement('m', type.of, false, compact, encoding)} }`;
      return `w.${methodOf('array', nullable)}(${value}, ${compact}, (w, m) => ${element});`;
    }
    case 'struct': {
      const write = `((w, m) => ${writeBody(type.shape, encoding)})(w, ${value});`;
      return nullable ? `if (${value} === null) w.int8(-1); else { w.int8(1); ${write} }` : write;
    }
    default:
      return `w.${type.kind}(${value});`;
  }
}

/** Whether a tagged field says more than its default, as an expression. */
function saysSomething(value: string, spec: FieldSpec, encoding: Encoding): string {
  if (spec.type.kind === 'array' && spec.fallback === undefined) return `${value}?.length > 0`;
  if (spec.type.kind === 'struct') return `${value} != null`;
  return `${value} !== undefined && ${value} !== ${fallbackOf(spec, encoding)}`;
}

function writeBody(shape: Shape, encoding: Encoding): string {
  const lines: string[] = [];
  const tags: string[] = [];
  const counts: string[] = [];
  const present = fieldsOf(shape).filter(({ spec }) => isThere(spec, encoding));
  for (const { name, spec } of present) {
    const compact = encoding.flexible && !spec.rigid;
    const nullable = isNullable(spec, encoding);
    if (isTagged(spec, encoding)) {
      const condition = saysSomething(`m.${name}`, spec, encoding);
      const write = writeStatement(`m.${name}`, spec.type, nullable, compact, encoding);
      counts.push(`(${condition} ? 1 : 0)`);
      tags.push(`if (${condition}) w.tag(${spec.tag!.number}, (w) => { ${write} });`);
      continue;
    }
    const optional = spec.fallback !== undefined || spec.tag !== undefined;
    const value = optional ? `(m.${name} ?? ${fallbackOf(spec, encoding)})` : `m.${name}`;
    lines.push(writeStatement(value, spec.type, nullable, compact, encoding));
  }
  if (encoding.flexible) lines.push(`w.uvarint(${counts.join(' + ') || 0});`, ...tags);
  return `{ ${lines.join('\n')} }`;
}

const compiled = (source: string): unknown => new Function(`'use strict'; return (${source});`)();

export function compileReader<Value>(shape: Shape, version: number, flexible: boolean): Read<Value> {
  return compiled(readFunction(shape, { version, flexible })) as Read<Value>;
}

export function compileWriter<Value>(shape: Shape, version: number, flexible: boolean): Write<Value> {
  return compiled(`(w, m) => ${writeBody(shape, { version, flexible })}`) as Write<Value>;
}

/** Makes what `make` makes once per API, direction and version. */
function memoised<Made>(make: (of: Api, version: number) => Made): (of: Api, version: number) => Made {
  const made = new WeakMap<Api, Made[]>();
  return (of, version) => {
    let versions = made.get(of);
    if (!versions) made.set(of, (versions = []));
    return (versions[version] ??= make(of, version));
  };
}

export const isFlexible = ({ flexibleFrom }: Api, version: number): boolean => version >= flexibleFrom;

export const requestReader = memoised((of, version) =>
  compileReader<unknown>(of.request, version, isFlexible(of, version)),
);
export const requestWriter = memoised((of, version) =>
  compileWriter<unknown>(of.request, version, isFlexible(of, version)),
);
export const responseReader = memoised((of, version) =>
  compileReader<unknown>(of.response, version, isFlexible(of, version)),
);
export const responseWriter = memoised((of, version) =>
  compileWriter<unknown>(of.response, version, isFlexible(of, version)),
);
