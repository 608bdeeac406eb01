import { parseAst } from 'rolldown/parseAst';

/**
 * A module seen as a list of top-level statements: which names each declares, needs and exports. It serves one purpose:
 * to hold out of a module just what one function needs, so that an edit elsewhere in the file leaves the function's
 * code, and therefore its version, alone.
 *
 * An unused top-level declaration is dropped whatever its initialiser calls; a bare statement (`register();`) stays.
 */
export interface ModuleShape {
  readonly source: string;
  readonly statements: readonly Statement[];
  /** Whether it makes resources itself. */
  readonly importsMillrace: boolean;
  readonly index: ShapeIndex;
}

/** Made once a module: an app with thousands of functions in one file is asked for each of them. */
interface ShapeIndex {
  readonly declaredIn: ReadonlyMap<string, Statement>;
  readonly acting: readonly Statement[];
  /** By the name that it exports or passes on; `*` for whole modules that it passes on. */
  readonly exporting: ReadonlyMap<string, readonly Statement[]>;
  /** Where the statement before it ends. */
  readonly gapStart: ReadonlyMap<Statement, number>;
  /** Line breaks of the source, and where each of their characters stands. */
  readonly breaks: string;
  readonly breakPlaces: readonly number[];
}

export interface Statement {
  readonly start: number;
  readonly end: number;
  readonly declares: readonly string[];
  readonly needs: ReadonlySet<string>;
  /** Kept whatever is asked for: it does something by itself. */
  readonly acts: boolean;
  /** Where it imports or re-exports from. */
  readonly from?: { readonly specifier: string };
  readonly links: readonly Link[];
}

/** One name that crosses the module's border. `*` is the whole namespace. */
export interface Link {
  readonly kind: 'import' | 'export' | 'reexport';
  /** Name inside this module: of the declaration an export shows, of the binding an import makes. */
  readonly local: string;
  /** Name outside: exported as, or imported from the other module as. */
  readonly outer: string;
  /** Of a re-export: the name in the module it comes from. */
  readonly source?: string;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [property: string]: unknown;
}

const EXPRESSION_OF_TYPESCRIPT = new Set([
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSTypeAssertion',
  'TSInstantiationExpression',
]);

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** Names of all identifiers under `node` that may refer to a binding; too many is safe, too few is not. */
function collectReferences(node: Node, into: Set<string>): void {
  if (node.type === 'Identifier' || node.type === 'JSXIdentifier') into.add(node.name as string);
  if (node.type.startsWith('TS') && !EXPRESSION_OF_TYPESCRIPT.has(node.type)) return;
  for (const [property, value] of Object.entries(node)) {
    const isName =
      (property === 'property' && node.type === 'MemberExpression') ||
      (property === 'key' && (node.type === 'Property' || node.type === 'PropertyDefinition'));
    if (isName && node.computed !== true && node.shorthand !== true) continue;
    if (Array.isArray(value)) {
      for (const each of value) if (isNode(each)) collectReferences(each, into);
    } else if (isNode(value)) collectReferences(value, into);
  }
}

function referencesOf(node: Node): Set<string> {
  const names = new Set<string>();
  collectReferences(node, names);
  return names;
}

/** Names that a declaration binds, patterns included. */
function declaredBy(node: Node): string[] {
  if (node.type === 'VariableDeclaration') {
    return (node.declarations as Node[]).flatMap((each) => [...referencesOf(each.id as Node)]);
  }
  const id = node.id;
  return isNode(id) && typeof id.name === 'string' ? [id.name] : [];
}

const nameOf = (node: unknown): string => ((node as Node).name ?? (node as Node).value) as string;

function fromOf(node: Node): Statement['from'] {
  return { specifier: (node.source as Node).value as string };
}

function importStatement(node: Node): Partial<Statement> {
  const specifiers = node.specifiers as Node[];
  const values = specifiers.filter((each) => each.importKind !== 'type');
  if (node.importKind === 'type' || (specifiers.length > 0 && values.length === 0)) return {};
  const links = values.map((each): Link => {
    const outer =
      each.type === 'ImportSpecifier'
        ? nameOf(each.imported)
        : each.type === 'ImportDefaultSpecifier'
          ? 'default'
          : '*';
    return { kind: 'import', local: nameOf(each.local), outer };
  });
  return {
    declares: links.map((link) => link.local),
    acts: links.length === 0,
    from: fromOf(node),
    links,
  };
}

function namedExport(node: Node): Partial<Statement> {
  if (node.exportKind === 'type') return {};
  if (isNode(node.declaration)) {
    const declares = declaredBy(node.declaration);
    const links = declares.map((name): Link => ({ kind: 'export', local: name, outer: name }));
    return { declares, needs: referencesOf(node.declaration), links };
  }
  const specifiers = (node.specifiers as Node[]).filter((each) => each.exportKind !== 'type');
  if (isNode(node.source)) {
    const links = specifiers.map(
      (each): Link => ({
        kind: 'reexport',
        local: '',
        outer: nameOf(each.exported),
        source: nameOf(each.local),
      }),
    );
    return { from: fromOf(node), links };
  }
  const links = specifiers.map(
    (each): Link => ({ kind: 'export', local: nameOf(each.local), outer: nameOf(each.exported) }),
  );
  return { needs: new Set(links.map((link) => link.local)), links };
}

function describe(node: Node): Partial<Statement> {
  switch (node.type) {
    case 'ImportDeclaration':
      return importStatement(node);
    case 'ExportNamedDeclaration':
      return namedExport(node);
    case 'ExportDefaultDeclaration': {
      const declaration = node.declaration as Node;
      const links: Link[] = [{ kind: 'export', local: 'default', outer: 'default' }];
      return { declares: ['default', ...declaredBy(declaration)], needs: referencesOf(declaration), links };
    }
    case 'ExportAllDeclaration': {
      if (node.exportKind === 'type') return {};
      const outer = isNode(node.exported) ? nameOf(node.exported) : '*';
      return { from: fromOf(node), links: [{ kind: 'reexport', local: '', outer, source: '*' }] };
    }
    case 'VariableDeclaration':
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return { declares: declaredBy(node), needs: referencesOf(node) };
    default:
      if (node.type.startsWith('TSInterface') || node.type.startsWith('TSTypeAlias')) return {};
      return { declares: declaredBy(node), needs: actsOn(node), acts: true };
  }
}

/** Enums and namespaces hide their references from `collectReferences`; keep all names they mention. */
function actsOn(node: Node): Set<string> {
  if (!node.type.startsWith('TS')) return referencesOf(node);
  const names = new Set<string>();
  for (const value of Object.values(node))
    if (isNode(value)) collectReferences({ ...value, type: 'X' }, names);
  return names;
}

/** Throws what the parser throws; the bundler has the better message for a file that does not parse. */
export function shapeOf(source: string, path: string): ModuleShape {
  const program = parseAst(source, { lang: path.endsWith('x') ? 'tsx' : 'ts' }, path) as unknown as {
    body: Node[];
  };
  const statements = program.body.map(
    (node): Statement => ({
      start: node.start,
      end: node.end,
      declares: [],
      needs: new Set(),
      acts: false,
      links: [],
      ...describe(node),
    }),
  );
  const importsMillrace = statements.some(
    ({ from }) => from?.specifier === 'millrace' || from?.specifier.startsWith('millrace/'),
  );
  return { source, statements, importsMillrace, index: indexOf(source, statements) };
}

function indexOf(source: string, statements: readonly Statement[]): ShapeIndex {
  const declaredIn = new Map<string, Statement>();
  const exporting = new Map<string, Statement[]>();
  const gapStart = new Map<Statement, number>();
  let at = 0;
  for (const statement of statements) {
    for (const name of statement.declares) declaredIn.set(name, statement);
    for (const { kind, outer } of statement.links) {
      if (kind === 'import') continue;
      const same = exporting.get(outer);
      if (same) same.push(statement);
      else exporting.set(outer, [statement]);
    }
    gapStart.set(statement, at);
    at = statement.end;
  }
  const breakPlaces = [...source.matchAll(/[\n\r]/g)].map((found) => found.index);
  return {
    declaredIn,
    acting: statements.filter((statement) => statement.acts),
    exporting,
    gapStart,
    breaks: source.replace(/[^\n\r]/g, ''),
    breakPlaces,
  };
}

/** The statements that exporting `names` takes, in their order. */
export function neededFor({ index }: ModuleShape, names: ReadonlySet<string>): ReadonlySet<Statement> {
  const { declaredIn, acting, exporting } = index;
  const kept = new Set<Statement>();
  const keep = (statement: Statement | undefined): void => {
    if (!statement || kept.has(statement)) return;
    kept.add(statement);
    for (const name of statement.needs) keep(declaredIn.get(name));
  };
  for (const statement of acting) keep(statement);
  for (const name of names.has('*') ? exporting.keys() : [...names, '*']) {
    for (const statement of exporting.get(name) ?? []) keep(statement);
  }
  return new Set([...kept].sort((a, b) => a.start - b.start));
}

/** Names that any of `kept` refers to. */
export function referencedBy(kept: ReadonlySet<Statement>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const statement of kept) for (const name of statement.needs) names.add(name);
  return names;
}

/** Whether a link of a kept statement is wanted itself: an import may bring more names than are needed. */
export function isWanted(link: Link, names: ReadonlySet<string>, referenced: ReadonlySet<string>): boolean {
  if (link.kind === 'import') return referenced.has(link.local);
  return link.outer === '*' || names.has('*') || names.has(link.outer);
}

const quoted = (name: string): string =>
  /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : JSON.stringify(name);
const renamed = (from: string, to: string): string =>
  from === to ? quoted(from) : `${quoted(from)} as ${quoted(to)}`;

/** An import or re-export of just these links, from another place. */
function rewritten(links: readonly Link[], target: string): string {
  const from = ` from ${JSON.stringify(target)};`;
  const parts: string[] = [];
  const imports = links.filter((link) => link.kind === 'import');
  const plain = imports.filter((link) => link.outer !== '*');
  if (plain.length > 0)
    parts.push(`import { ${plain.map((link) => renamed(link.outer, link.local)).join(', ')} }${from}`);
  for (const link of imports) if (link.outer === '*') parts.push(`import * as ${link.local}${from}`);
  for (const link of links) {
    if (link.kind !== 'reexport') continue;
    if (link.source !== '*') parts.push(`export { ${renamed(link.source!, link.outer)} }${from}`);
    else parts.push(link.outer === '*' ? `export *${from}` : `export * as ${quoted(link.outer)}${from}`);
  }
  return parts.length === 0 ? `import ${JSON.stringify(target)};` : parts.join(' ');
}

/**
 * The source with only what exporting `names` takes; of the rest the line breaks stay, so that every statement keeps its
 * line and column. `redirect` says where an import leads instead of where it is written to.
 */
export function pruned(
  shape: ModuleShape,
  names: ReadonlySet<string>,
  redirect: (specifier: string) => string | undefined,
): string {
  const kept = neededFor(shape, names);
  const referenced = referencedBy(kept);
  const { source, index, statements } = shape;
  // What stands before the first statement may say how the whole file is to be read.
  let at = statements[0]?.start ?? source.length;
  let text = source.slice(0, at);
  for (const statement of kept) {
    const { start, end, from, links } = statement;
    const target = from && redirect(from.specifier);
    const gapStart = Math.max(at, index.gapStart.get(statement)!);
    text += blank(index, at, gapStart) + source.slice(gapStart, start);
    if (target === undefined) text += source.slice(start, end);
    else {
      const wanted = links.filter((link) => isWanted(link, names, referenced));
      text += rewritten(wanted, target) + breaksBetween(index, start, end);
    }
    at = end;
  }
  return `${text}\n`;
}

function breaksBetween({ breaks, breakPlaces }: ShapeIndex, start: number, end: number): string {
  return breaks.slice(firstFrom(breakPlaces, start), firstFrom(breakPlaces, end));
}

/** As many lines, and as many columns on the last of them. */
function blank(index: ShapeIndex, start: number, end: number): string {
  const last = index.breakPlaces[firstFrom(index.breakPlaces, end) - 1] ?? -1;
  return breaksBetween(index, start, end) + ' '.repeat(end - Math.max(start, last + 1));
}

/** Index of the first of the sorted `places` that is not below `place`. */
function firstFrom(places: readonly number[], place: number): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (places[middle]! < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
