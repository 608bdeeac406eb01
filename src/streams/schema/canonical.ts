import type { Json } from '../../kernel/index.ts';

/** JSON text with sorted member names: two values with the same text mean the same. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value as { readonly [key: string]: Json })
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/** Appends a member name or index to a JSON Pointer (RFC 6901). */
export function pointer(base: string, name: string | number): string {
  return `${base}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** What a JSON Pointer points to inside `root`; undefined when there is nothing. */
export function resolvePointer(root: Json, path: string): Json | undefined {
  let found: Json | undefined = root;
  for (const part of path.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as { readonly [key: string]: Json })[name];
  }
  return found;
}
