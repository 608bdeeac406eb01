import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, it } from 'node:test';
import { parseAst } from 'rolldown/parseAst';

/** Which room may use which, through its `index.ts` alone. `main.ts` may use everything. */
const MAY_IMPORT: { readonly [room: string]: readonly string[] } = {
  sdk: [],
  kernel: ['sdk'],
  build: ['sdk', 'kernel'],
  streams: ['kernel'],
  functions: ['kernel', 'streams'],
  workflows: ['kernel', 'streams', 'functions'],
  models: ['kernel', 'streams', 'functions'],
  storage: ['kernel', 'streams'],
  tables: ['kernel', 'streams'],
  observe: ['kernel'],
  govern: ['kernel'],
  delivery: ['kernel', 'observe'],
  aiops: ['kernel', 'observe', 'delivery'],
  gateway: [
    ...['sdk', 'kernel', 'build', 'streams', 'functions', 'workflows', 'models', 'storage', 'tables'],
    ...['observe', 'govern', 'delivery', 'aiops'],
  ],
  adapters: ['kernel'],
  cli: ['sdk', 'build', 'main'],
  testing: ['sdk', 'kernel', 'build', 'main'],
};

/** Doors beside `index.ts`: the ports, what is spoken across them, and the rules that every log store shares. */
const ADAPTER_DOORS =
  /^[a-z-]+\/([a-z-]+\.)?port\.ts$|^functions\/protocol\.ts$|^streams\/(record-batch|kafka-protocol|coordination)\/index\.ts$/;

/** Formats that are doors of their own: an instance in a worker loads them without the room behind. */
const FORMAT_DOORS = new Set(['streams/record-batch/index.ts', 'streams/kafka-protocol/index.ts']);

/** A function's own lines: functions inside it count for themselves, so that a closure may stand for a class. */
const MAX_FUNCTION_LINES = 70;
/** The composition root is a list of what is made in which order; cutting it up would hide just that. */
const MAX_ROOT_LINES = 180;
/** All lines of a function that is a closure over its state, as those of a class would count. */
const MAX_CLOSURE_LINES = 250;
const MAX_FILE_LINES = 600;

/** Calls that rooms do not make, and what to use instead. */
const BANNED: { readonly [call: string]: string } = {
  'Date.now': 'take a Clock and use clock.now()',
  'performance.now': 'take a Clock and use clock.monotonic()',
  'new Date()': 'take a Clock and use new Date(clock.now())',
  'Math.random': 'take a Random',
  setTimeout: 'take a Clock and use clock.after()',
  setInterval: 'take a Clock and arm clock.after() again',
  'process.env': 'add a field to the section of the room and take the configuration',
  'console.*': "emit the signal 'platform.log'",
};

/** Where the real thing is made, or where there is no platform to be handed anything by. */
const MAY_CALL: { readonly [file: string]: readonly string[] } = {
  'kernel/clock.ts': ['Date.now', 'performance.now', 'setTimeout'],
  'kernel/random.ts': ['Math.random'],
};
const FREE_OF_BANS = new Set(['adapters', 'cli', 'testing', 'main']);

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** What the rules need to know of one file; paths are relative to `src`, with `/`. */
interface Source {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly nodes: readonly Node[];
  readonly imports: readonly { readonly to: string; readonly line: number }[];
  /** Every text in the file: worker modules and fixtures are named, not imported. */
  readonly texts: ReadonlySet<string>;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** Run by the test runner, or (`*.check.ts`) by the type checker. */
const isTest = (path: string): boolean => /\.(test|check)\.ts$/.test(path);
const isForTests = (path: string): boolean => /\.(test|check|contract|fixture|support)\.ts$/.test(path);

function allNodes(root: Node): Node[] {
  const nodes: Node[] = [];
  const pending: unknown[] = [root];
  while (pending.length > 0) {
    const value = pending.pop();
    if (Array.isArray(value)) pending.push(...value);
    if (!isNode(value)) continue;
    nodes.push(value);
    for (const inner of Object.values(value)) if (typeof inner === 'object') pending.push(inner);
  }
  return nodes.sort((a, b) => a.start - b.start);
}

function lineOf(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}

function specifierOf(node: Node): string | undefined {
  const { source } = node;
  if (!isNode(source) || source.type === 'TemplateLiteral') return undefined;
  return typeof source.value === 'string' ? source.value : undefined;
}

function readSource(path: string, text: string): Source {
  const nodes = allNodes(parseAst(text, { lang: 'ts' }) as unknown as Node);
  const room = path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '');
  const imports = nodes.flatMap((node) => {
    const specifier = /^(Import|Export)/.test(node.type) ? specifierOf(node) : undefined;
    if (specifier === undefined) return [];
    const to = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
    return [{ to, line: lineOf(text, node.start) }];
  });
  const texts = nodes.flatMap((node) =>
    node.type === 'Literal' && typeof node.value === 'string' ? [posix.basename(node.value)] : [],
  );
  return { path, room, text, nodes, imports, texts: new Set(texts) };
}

type Rule = (source: Source, all: ReadonlyMap<string, Source>) => readonly string[];

const at = (source: Source, position: number): string =>
  `src/${source.path}:${lineOf(source.text, position)}`;

/** Why `from` may not import `to` (both relative to `src`), or undefined. */
function forbidden(from: Source, to: string): string | undefined {
  const room = to.includes('/') ? to.slice(0, to.indexOf('/')) : to.replace(/\.ts$/, '');
  if (to.endsWith('.contract.ts')) return isForTests(from.path) ? undefined : 'contracts are for tests';
  if (from.room === room) return from.room === 'adapters' ? otherAdapter(from.path, to) : undefined;
  if (isForTests(from.path) && room === 'adapters') {
    return to.split('/').length === 3 && to.endsWith('/index.ts') ? undefined : 'use the door of the adapter';
  }
  if (from.room === 'adapters' && ADAPTER_DOORS.test(to)) return undefined;
  if (from.room !== 'main' && !MAY_IMPORT[from.room]?.includes(room))
    return `${from.room} may not use ${room}`;
  const door = room === 'adapters' ? /^adapters\/[a-z0-9-]+\/index\.ts$/ : /^[a-z-]+\/index\.ts$|^main\.ts$/;
  if (FORMAT_DOORS.has(to)) return undefined;
  return door.test(to) ? undefined : `only ${room}/index.ts is a door`;
}

function otherAdapter(from: string, to: string): string | undefined {
  return from.split('/')[1] === to.split('/')[1] ? undefined : 'an adapter never uses another';
}

const imports: Rule = (source, all) =>
  source.imports.flatMap(({ to, line }) => {
    const place = `src/${source.path}:${line}`;
    if (all.has(to)) {
      const why = forbidden(source, to);
      return why ? [`${place} imports ${to}: ${why}`] : [];
    }
    const outside = source.room === 'sdk' && !isForTests(source.path) && !to.endsWith('.ts');
    return outside ? [`${place} imports ${to}: the sdk uses nothing, not even node:`] : [];
  });

const cycles: Rule = (source, all) => {
  const seen = new Set<string>();
  const find = (path: string, trail: readonly string[]): readonly string[] | undefined => {
    for (const { to } of all.get(path)?.imports ?? []) {
      if (to === source.path) return [...trail, to];
      if (seen.has(to) || !all.has(to)) continue;
      seen.add(to);
      const found = find(to, [...trail, to]);
      if (found) return found;
    }
    return undefined;
  };
  const cycle = find(source.path, [source.path]);
  // Each cycle is told once, by its first file in the order of names.
  if (!cycle || cycle.some((path) => path < source.path)) return [];
  return [`src/${source.path} imports itself: ${cycle.join(' → ')}`];
};

const FUNCTION = /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/;

function linesOf(source: Source, node: Node): number {
  return source.text.slice(node.start, node.end).split('\n').length;
}

/** Lines of the functions right inside; one-liners count for the function around them. */
function nestedLines(source: Source, node: Node): number {
  let inside = node.start;
  let lines = 0;
  for (const other of source.nodes) {
    if (!FUNCTION.test(other.type) || other.start <= inside || other.end > node.end) continue;
    if (other.start === node.start) continue;
    lines += linesOf(source, other) - 1;
    inside = other.end;
  }
  return lines;
}

const lengths: Rule = (source) => {
  const lines = source.text.split('\n').length - 1;
  const long =
    lines > MAX_FILE_LINES ? [`src/${source.path} has ${lines} lines: at most ${MAX_FILE_LINES}`] : [];
  if (isForTests(source.path)) return long;
  for (const node of source.nodes) {
    if (!FUNCTION.test(node.type)) continue;
    const count = linesOf(source, node);
    const own = count - nestedLines(source, node);
    const most = source.room === 'main' ? MAX_ROOT_LINES : MAX_FUNCTION_LINES;
    if (own > most) {
      long.push(`${at(source, node.start)} a function of ${own} lines: at most ${most}`);
    } else if (count > MAX_CLOSURE_LINES) {
      long.push(`${at(source, node.start)} a closure of ${count} lines: at most ${MAX_CLOSURE_LINES}`);
    }
  }
  return long;
};

const unused: Rule = (source, all) => {
  const { path } = source;
  if (isTest(path) || path.endsWith('index.ts') || ['main', 'tidy'].includes(source.room)) return [];
  const name = posix.basename(path);
  const names = [name, name.replace(/\.ts$/, ''), name.replace(/\.ts$/, '.js')];
  for (const other of all.values()) {
    if (other.path === path || (isForTests(other.path) && !isForTests(path))) continue;
    if (other.imports.some(({ to }) => to === path)) return [];
    if (other.room === source.room && names.some((each) => other.texts.has(each))) return [];
  }
  return [`src/${path} is used by nothing: remove it, or name it *.support.ts if it serves tests`];
};

function calledName(node: Node): string | undefined {
  const name = (value: unknown): string => (isNode(value) ? String(value.name ?? '') : '');
  if (node.type === 'CallExpression') return name(node.callee);
  if (node.type === 'NewExpression' && name(node.callee) === 'Date') {
    return (node.arguments as unknown[]).length === 0 ? 'new Date()' : undefined;
  }
  if (node.type !== 'MemberExpression') return undefined;
  return name(node.object) === 'console' ? 'console.*' : `${name(node.object)}.${name(node.property)}`;
}

const banned: Rule = (source) => {
  if (FREE_OF_BANS.has(source.room) || isForTests(source.path)) return [];
  return source.nodes.flatMap((node) => {
    const name = calledName(node);
    if (name === undefined || !Object.hasOwn(BANNED, name) || MAY_CALL[source.path]?.includes(name))
      return [];
    return [`${at(source, node.start)} uses ${name}: ${BANNED[name]}`];
  });
};

const SYNTAX: { readonly [type: string]: string } = {
  ExportAllDeclaration: 'export *: name what is exported',
  TSEnumDeclaration: 'an enum: use a union of texts',
  TSModuleDeclaration: 'a namespace: use a module',
};
const SUPPRESSION =
  /(?:\/\/|\/\*)[^\n]*?(?:biome-ignore|eslint-disable|@ts-(?:ignore|nocheck|expect-error))/g;

const syntax: Rule = (source) => {
  const found = source.nodes
    .filter((node) => Object.hasOwn(SYNTAX, node.type))
    .map((node) => `${at(source, node.start)} has ${SYNTAX[node.type]}`);
  for (const match of source.text.matchAll(SUPPRESSION)) {
    // In a test, `@ts-expect-error` asserts that something does not compile.
    if (isForTests(source.path) && match[0].endsWith('error')) continue;
    found.push(`${at(source, match.index)} silences a check: mend what it found`);
  }
  return found;
};

const RULES: readonly Rule[] = [imports, cycles, lengths, unused, banned, syntax];

function check(files: { readonly [path: string]: string }): readonly string[] {
  const all = new Map(Object.entries(files).map(([path, text]) => [path, readSource(path, text)]));
  return [...all.values()].flatMap((source) => RULES.flatMap((rule) => rule(source, all)));
}

describe('the house', () => {
  it('keeps its rules', () => {
    const root = import.meta.dirname;
    const paths = globSync('**/*.ts', { cwd: root }).map((path) => path.replaceAll('\\', '/'));
    const files = Object.fromEntries(
      paths.sort().map((path) => [path, readFileSync(join(root, path), 'utf8')]),
    );
    assert.ok(paths.includes('kernel/index.ts'), `nothing found below ${dirname(root)}`);
    const violations = check(files);
    assert.equal(violations.length, 0, `\n${violations.join('\n')}\n`);
  });
});

describe('the rules', () => {
  const kernel = {
    'kernel/index.ts': '',
    'streams/port.ts': 'export type A = 1;',
    'streams/index.ts': "import './port.ts';",
  };
  const finds = (files: { readonly [path: string]: string }, expected: RegExp): void => {
    const violations = check({ ...kernel, ...files });
    assert.equal(violations.length, 1, violations.join('\n'));
    assert.match(violations[0]!, expected);
  };
  const allows = (files: { readonly [path: string]: string }): void =>
    assert.deepEqual(check({ ...kernel, ...files }), []);

  it('find an import that the table forbids', () => {
    finds({ 'kernel/index.ts': "import '../streams/index.ts';" }, /kernel may not use streams/);
    finds({ 'govern/index.ts': "\nimport type { A } from '../streams/index.ts';" }, /govern\/index\.ts:2/);
    finds(
      { 'gateway/index.ts': "export { a } from '../adapters/fs/index.ts';", 'adapters/fs/index.ts': '' },
      /gateway may not use adapters/,
    );
    finds(
      { 'functions/index.ts': "const a = await import('../streams/port.ts');" },
      /only streams\/index\.ts/,
    );
    finds(
      { 'adapters/a/index.ts': "import '../b/index.ts';", 'adapters/b/index.ts': '' },
      /never uses another/,
    );
    finds({ 'sdk/index.ts': "import 'node:fs';" }, /not even node:/);
    finds({ 'sdk/index.ts': "import { a } from 'valibot';" }, /the sdk uses nothing/);
    finds(
      {
        'kernel/a.contract.ts': '',
        'kernel/a.test.ts': "import './a.contract.ts';",
        'kernel/index.ts': "import './a.contract.ts';",
      },
      /contracts are for tests/,
    );
    allows({ 'adapters/a/index.ts': "import '../../kernel/index.ts'; import '../../streams/port.ts';" });
    allows({
      'main.ts': "import './adapters/a/index.ts'; import './streams/index.ts';",
      'adapters/a/index.ts': '',
    });
  });

  it('find a cycle, once', () => {
    finds(
      {
        'streams/index.ts': "import './a.ts'; import './port.ts';",
        'streams/a.ts': "import './b.ts';",
        'streams/b.ts': "import type { A } from './a.ts';",
      },
      /streams\/a\.ts → streams\/b\.ts → streams\/a\.ts/,
    );
  });

  it('find what is too long', () => {
    const body = 'x();\n'.repeat(70);
    finds({ 'kernel/index.ts': `export function long() {\n${body}}` }, /a function of 72 lines/);
    const inner = `function inner() {\n${'x();\n'.repeat(25)}}\n`;
    finds({ 'kernel/index.ts': `export function outer() {\n${inner.repeat(10)}}` }, /a closure of 272/);
    finds({ 'kernel/index.ts': 'x();\n'.repeat(601) }, /601 lines/);
    allows({ 'kernel/a.test.ts': `it('long', () => {\n${body}});` });
  });

  it('find a file that nothing uses, or only tests', () => {
    finds({ 'kernel/lost.ts': '' }, /lost\.ts is used by nothing/);
    finds({ 'kernel/lost.ts': '', 'kernel/a.test.ts': "import './lost.ts';" }, /lost\.ts is used by nothing/);
    allows({ 'kernel/job.ts': '', 'kernel/index.ts': "new URL('./job.ts', import.meta.url);" });
    allows({ 'kernel/a.fixture.ts': '', 'kernel/a.test.ts': "spawn('a.fixture.ts');" });
  });

  it('find a banned call, and name what to use instead', () => {
    for (const call of Object.keys(BANNED)) {
      const code =
        call === 'console.*' ? 'console.log(1)' : /^(set|new|process)/.test(call) ? call : `${call}()`;
      const text = call.startsWith('set') ? `${code}(() => 1);` : `export const a = ${code};`;
      finds({ 'streams/index.ts': `import './port.ts';\n${text}` }, /streams\/index\.ts:2 uses/);
      allows({ 'adapters/a/index.ts': text, 'kernel/a.test.ts': text });
    }
    allows({ 'kernel/index.ts': 'new Date(clock.now()); clock.now(); // Date.now()\n"Math.random()";' });
  });

  it('find syntax and comments that hide things', () => {
    finds({ 'kernel/index.ts': "export * from './a.ts';", 'kernel/a.ts': '' }, /export \*/);
    finds({ 'kernel/index.ts': 'enum A { B }' }, /an enum/);
    finds({ 'kernel/index.ts': `// ${'@ts-'}ignore\n` }, /silences a check/);
    finds({ 'kernel/index.ts': `/* ${'biome-'}ignore lint: no */` }, /silences a check/);
    allows({ 'kernel/a.test.ts': `// ${'@ts-'}expect-error\n` });
  });
});
