import type { Json } from '../../../kernel/index.ts';
import { type ResolvedReference, SchemaError } from '../types.ts';
import { defaultProblem } from './default-value.ts';
import {
  type AvroEnum,
  type AvroField,
  type AvroFixed,
  type AvroRecord,
  type AvroType,
  PRIMITIVES,
} from './model.ts';

type Node = { readonly [member: string]: Json | undefined };

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const FULL_NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/;
const DEPTH_AT_MOST = 64;

/** The type that a schema's JSON declares, with the types of its references known. Throws SchemaError. */
export function parseAvro(json: Json, references: readonly ResolvedReference[]): AvroType {
  const reader = new AvroReader();
  reader.takeReferences(references, new Set());
  return reader.read(json, '', 'the schema', 0);
}

class AvroReader {
  readonly #named = new Map<string, AvroType>();

  takeReferences(references: readonly ResolvedReference[], seen: Set<string>): void {
    for (const { name, text, references: inner } of references) {
      if (seen.has(text)) continue;
      seen.add(text);
      this.takeReferences(inner, seen);
      this.read(JSON.parse(text) as Json, '', `the reference '${name}'`, 0);
    }
  }

  read(json: Json | undefined, namespace: string, where: string, depth: number): AvroType {
    if (depth > DEPTH_AT_MOST)
      throw new SchemaError(`${where} is nested deeper than ${DEPTH_AT_MOST} levels`);
    if (typeof json === 'string') return this.#byName(json, namespace, where);
    if (Array.isArray(json)) return this.#union(json, namespace, where, depth);
    if (typeof json !== 'object' || json === null)
      throw new SchemaError(
        `${where} must be a type's name, an object or a list, not ${JSON.stringify(json)}`,
      );
    const node = json as Node;
    switch (node.type) {
      case 'record':
      case 'error':
        return this.#record(node, namespace, where, depth);
      case 'enum':
        return this.#enum(node, namespace, where);
      case 'fixed':
        return this.#fixed(node, namespace, where);
      case 'array':
        return { kind: 'array', items: this.read(node.items, namespace, `${where}.items`, depth + 1) };
      case 'map':
        return { kind: 'map', values: this.read(node.values, namespace, `${where}.values`, depth + 1) };
      default:
        return this.read(node.type, namespace, where, depth + 1);
    }
  }

  #byName(name: string, namespace: string, where: string): AvroType {
    const primitive = PRIMITIVES.find((each) => each === name);
    if (primitive) return { kind: 'primitive', name: primitive };
    const found = this.#named.get(fullName(name, namespace)) ?? this.#named.get(name);
    if (found) return found;
    throw new SchemaError(
      `${where} names the type '${name}', which is not defined; define it before, or add a reference`,
    );
  }

  #union(json: readonly Json[], namespace: string, where: string, depth: number): AvroType {
    const branches = json.map((branch, index) =>
      this.read(branch, namespace, `${where}[${index}]`, depth + 1),
    );
    const seen = new Set<string>();
    for (const branch of branches) {
      if (branch.kind === 'union') throw new SchemaError(`${where} is a union right inside a union`);
      const name = 'name' in branch ? branch.name : branch.kind;
      if (seen.has(name)) throw new SchemaError(`${where} has ${name} twice in one union`);
      seen.add(name);
    }
    return { kind: 'union', branches };
  }

  #record(node: Node, outer: string, where: string, depth: number): AvroType {
    const { name, namespace, aliases } = nameOf(node, outer, where);
    const fields: AvroField[] = [];
    this.#define({ kind: 'record', name, aliases, fields }, where);
    if (!Array.isArray(node.fields)) throw new SchemaError(`the record '${name}' needs a list of fields`);
    for (const json of node.fields as readonly Json[]) {
      const field = this.#field(json, namespace, name, depth);
      if (fields.some((other) => other.name === field.name))
        throw new SchemaError(`the record '${name}' has the field '${field.name}' twice`);
      fields.push(field);
    }
    return this.#named.get(name)!;
  }

  #field(json: Json, namespace: string, record: string, depth: number): AvroField {
    const node = (typeof json === 'object' && json !== null ? json : {}) as Node;
    if (typeof node.name !== 'string' || !NAME.test(node.name))
      throw new SchemaError(`a field of '${record}' has no valid name: ${JSON.stringify(node.name ?? null)}`);
    const where = `${record}.${node.name}`;
    const type = this.read(node.type, namespace, where, depth + 1);
    const hasDefault = node.default !== undefined;
    const wrong = hasDefault ? defaultProblem(type, node.default as Json) : undefined;
    if (wrong) throw new SchemaError(`the default of ${where} ${wrong}`);
    return { name: node.name, aliases: textsOf(node.aliases), type, hasDefault };
  }

  #enum(node: Node, outer: string, where: string): AvroType {
    const { name, aliases } = nameOf(node, outer, where);
    const symbols = textsOf(node.symbols);
    const bad = symbols.find((symbol, index) => !NAME.test(symbol) || symbols.indexOf(symbol) < index);
    if (symbols.length === 0 || bad !== undefined)
      throw new SchemaError(`the enum '${name}' needs symbols that are names, each once`);
    if (node.default !== undefined && !symbols.includes(node.default as string))
      throw new SchemaError(`the default of the enum '${name}' is none of its symbols`);
    return this.#define(
      { kind: 'enum', name, aliases, symbols, hasDefault: node.default !== undefined },
      where,
    );
  }

  #fixed(node: Node, outer: string, where: string): AvroType {
    const { name, aliases } = nameOf(node, outer, where);
    const { size } = node;
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0)
      throw new SchemaError(`the fixed '${name}' needs a size in bytes`);
    return this.#define({ kind: 'fixed', name, aliases, size }, where);
  }

  #define(type: AvroRecord | AvroEnum | AvroFixed, where: string): AvroType {
    if (this.#named.has(type.name)) throw new SchemaError(`${where} defines '${type.name}' a second time`);
    this.#named.set(type.name, type);
    return type;
  }
}

const fullName = (name: string, namespace: string): string =>
  name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;

function nameOf(
  node: Node,
  outer: string,
  where: string,
): { name: string; namespace: string; aliases: string[] } {
  if (typeof node.name !== 'string') throw new SchemaError(`${where} needs a name`);
  const given = typeof node.namespace === 'string' ? node.namespace : outer;
  const name = fullName(node.name, given);
  if (!FULL_NAME.test(name)) throw new SchemaError(`'${name}' is no valid name in Avro`);
  const namespace = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '';
  return { name, namespace, aliases: textsOf(node.aliases).map((alias) => fullName(alias, namespace)) };
}

const textsOf = (json: Json | undefined): string[] =>
  Array.isArray(json) ? json.filter((each): each is string => typeof each === 'string') : [];
