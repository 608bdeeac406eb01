import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CompatibilityMode, isMillraceError, type Json, type JsonSchema } from '../../kernel/index.ts';
import { checkEvolution, subsetProblem } from './compatibility.ts';
import { fitsSchema } from './compile.ts';

const closed = (properties: { [name: string]: JsonSchema }, required: string[] = []): JsonSchema => ({
  type: 'object',
  properties: properties as { [name: string]: Json },
  required,
  additionalProperties: false,
});
const open = (properties: { [name: string]: JsonSchema }, required: string[] = []): JsonSchema => ({
  type: 'object',
  properties: properties as { [name: string]: Json },
  required,
});
const text: JsonSchema = { type: 'string' };
const whole: JsonSchema = { type: 'integer' };

const allowed: [string, JsonSchema, JsonSchema][] = [
  ['the same', closed({ a: text }), closed({ a: text })],
  ['a new optional member of a closed object', closed({ a: text }), closed({ a: text, b: whole })],
  ['a member no longer required', closed({ a: text }, ['a']), closed({ a: text })],
  ['an object opened', closed({ a: text }), { type: 'object', properties: { a: text } }],
  ['integer to number', closed({ a: whole }), closed({ a: { type: 'number' } })],
  ['nullable by a list of types', text, { type: ['string', 'null'] }],
  ['nullable by anyOf', text, { anyOf: [text, { type: 'null' }] }],
  ['a list of types into anyOf', { type: ['string', 'null'] }, { anyOf: [{ type: 'null' }, text] }],
  ['anyOf into a list of types', { anyOf: [{ type: 'null' }, text] }, { type: ['string', 'null'] }],
  ['an enum grown', { enum: ['a', 'b'] }, { enum: ['b', 'a', 'c'] }],
  ['an enum into its type', { enum: ['a', 'b'] }, { type: 'string', minLength: 1 }],
  [
    'bounds loosened',
    { type: 'number', minimum: 5, maximum: 8 },
    { type: 'number', exclusiveMinimum: 4, maximum: 9 },
  ],
  ['lengths loosened', { type: 'string', minLength: 3, maxLength: 4 }, { type: 'string', minLength: 2 }],
  [
    'items loosened',
    { type: 'array', items: whole, minItems: 2 },
    { type: 'array', items: { type: 'number' } },
  ],
  ['a map from a closed object', closed({ a: whole }), { type: 'object', additionalProperties: whole }],
  ['the same through a reference', { $ref: '#/$defs/a', $defs: { a: text } }, text],
  [
    'recursive schemas, one member more',
    { $ref: '#/$defs/n', $defs: { n: closed({ next: { $ref: '#/$defs/n' } }) } },
    { $ref: '#/$defs/n', $defs: { n: closed({ next: { $ref: '#/$defs/n' }, id: whole }) } },
  ],
  [
    'a case more in a tagged union',
    { oneOf: [closed({ kind: { const: 'a' } }, ['kind']), closed({ kind: { const: 'b' } }, ['kind'])] },
    {
      oneOf: [
        closed({ kind: { const: 'a' } }, ['kind']),
        closed({ kind: { const: 'b' } }, ['kind']),
        closed({ kind: { const: 'c' } }, ['kind']),
      ],
    },
  ],
  ['a new optional member of an open object', open({ a: text }), open({ a: text, b: whole })],
  ['a member taken from an open object', open({ a: text, b: whole }), open({ a: text })],
  [
    'a member new to both alternatives',
    { anyOf: [open({ a: text }), text] },
    { anyOf: [open({ b: whole }), text] },
  ],
  ['an open object closed', open({ a: text }), closed({ a: text })],
  [
    'an open object into a map of what it holds',
    open({ a: whole }),
    { type: 'object', additionalProperties: whole },
  ],
  ['boolean into its two values', { type: 'boolean' }, { enum: [true, false] }],
  ['an opaque keyword that stays', { type: 'string', not: { const: 'x' } }, { not: { const: 'x' } }],
];

const refused: [string, JsonSchema, JsonSchema, string][] = [
  ['a new required member', closed({ a: text }), closed({ a: text, b: text }, ['b']), '/b is required'],
  ['a member taken away', closed({ a: text, b: text }), closed({ a: text }), '/b is no longer allowed'],
  ['another type', closed({ a: text }), closed({ a: whole }), '/a no longer allows string'],
  [
    'a typed member where anything was allowed',
    { type: 'object' },
    { type: 'object', properties: { a: text } },
    '/a is new, but the other schema allows members of any kind',
  ],
  ['an object closed that listed nothing', { type: 'object' }, closed({ a: text }), '/a is new'],
  ['another type in an open object', open({ a: text }), open({ a: whole }), '/a no longer allows string'],
  [
    'a required member in an open object',
    open({ a: text }),
    open({ a: text, b: text }, ['b']),
    '/b is required',
  ],
  [
    'a typed member where others were allowed by name',
    { ...(open({ a: text }) as object), additionalProperties: true },
    open({ a: text, b: text }),
    '/b is new, but the other schema allows members of any kind',
  ],
  [
    'another type of a member that an alternative declares',
    { ...(open({ a: text }) as object), anyOf: [{ properties: { b: whole } }, { required: ['c'] }] },
    open({ a: text, b: text }),
    '/b is new',
  ],
  [
    'a member that is required without being listed',
    open({ a: text }, ['b']),
    open({ a: text, b: text }, ['b']),
    '/b',
  ],
  ['the same, closed', open({ a: text }, ['b']), closed({ a: text }), '/b is no longer allowed'],
  ['number to integer', { type: 'number' }, whole, ' no longer allows number'],
  ['an enum that shrank', { enum: ['a', 'b'] }, { enum: ['a'] }, ' no longer allows the value "b"'],
  ['a tighter bound', { minimum: 1 }, { minimum: 2 }, '/minimum is 2'],
  ['a new pattern', text, { type: 'string', pattern: '^a' }, '/pattern is'],
  ['items tightened', { type: 'array' }, { type: 'array', items: whole }, '/items no longer allows'],
  [
    'a keyword that cannot be judged',
    text,
    { type: 'string', not: { const: 'x' } },
    '/not uses a keyword whose change cannot be judged',
  ],
];

test('what only loosens a schema is seen as such', () => {
  for (const [what, narrow, wide] of allowed) assert.equal(subsetProblem(narrow, wide), undefined, what);
});

test('what could shut out a value is refused with its place', () => {
  for (const [what, narrow, wide, reason] of refused) {
    const problem = subsetProblem(narrow, wide);
    assert.ok(
      problem && `${problem.path} ${problem.message}`.startsWith(reason),
      `${what}: ${JSON.stringify(problem)}`,
    );
  }
});

const scalar = fc.oneof(
  fc.record(
    { type: fc.constantFrom('integer', 'number'), minimum: fc.integer({ min: 0, max: 3 }) },
    { requiredKeys: ['type'] },
  ),
  fc.record(
    {
      type: fc.constant('number'),
      exclusiveMaximum: fc.integer({ min: 0, max: 4 }),
      multipleOf: fc.constantFrom(1, 2),
    },
    { requiredKeys: ['type'] },
  ),
  fc.record(
    {
      type: fc.constant('string'),
      maxLength: fc.integer({ min: 0, max: 2 }),
      minLength: fc.integer({ min: 0, max: 2 }),
    },
    { requiredKeys: ['type'] },
  ),
  fc.record({
    enum: fc.uniqueArray(fc.constantFrom(0, 1, 'a', 'bb', null, true), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    type: fc.uniqueArray(fc.constantFrom('null', 'string', 'boolean', 'integer', 'array', 'object'), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  fc.record({ const: fc.constantFrom(0, 'a', null) }),
  fc.constantFrom<JsonSchema>(true, false, {}, { not: { type: 'string' } }),
);

const schemas = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    scalar,
    fc.record(
      {
        type: fc.constant('object'),
        properties: fc.dictionary(fc.constantFrom('a', 'b'), tie('node'), { noNullPrototype: true }),
        required: fc.uniqueArray(fc.constantFrom('a', 'b')),
        additionalProperties: fc.oneof(fc.boolean(), tie('node')),
        patternProperties: fc.dictionary(fc.constantFrom('^a', 'b$'), tie('node'), {
          maxKeys: 1,
          noNullPrototype: true,
        }),
        maxProperties: fc.integer({ min: 0, max: 2 }),
      },
      { requiredKeys: [] },
    ),
    fc.record(
      {
        type: fc.constant('array'),
        items: tie('node'),
        prefixItems: fc.array(tie('node'), { minLength: 1, maxLength: 2 }),
        minItems: fc.integer({ min: 0, max: 2 }),
        maxItems: fc.integer({ min: 0, max: 2 }),
        uniqueItems: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    fc.record({ anyOf: fc.array(tie('node'), { minLength: 1, maxLength: 2 }) }),
    fc.record({ oneOf: fc.array(tie('node'), { minLength: 1, maxLength: 2 }) }),
    fc.record({ allOf: fc.array(tie('node'), { minLength: 1, maxLength: 2 }) }),
  ),
})).node as fc.Arbitrary<JsonSchema>;

const values = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom(null, true, false, 0, 1, 2, 3, 0.5, '', 'a', 'bb'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'ab', 'c'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value as fc.Arbitrary<Json>;

type Node = { readonly [keyword: string]: Json };
const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The ways to fit a schema: each is a list of parts that hold together, without alternatives. */
function waysToFit(schema: Json): Json[][] {
  if (!isNode(schema)) return [[schema]];
  const { allOf = [], anyOf, oneOf, ...rest } = schema;
  const together = (left: Json[][], right: Json[][]): Json[][] =>
    left.flatMap((one) => right.map((other) => [...one, ...other]));
  const every = (allOf as Json[]).map(waysToFit);
  const some = [anyOf, oneOf].filter((cases) => cases !== undefined) as Json[][];
  return [...every, ...some.map((cases) => cases.flatMap(waysToFit))].reduce(together, [[rest]]);
}

/** Whether a value holds only members that its schema declares, where the schema lists members at all. */
function isDeclared(schema: Json, value: Json): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return waysToFit(schema).some((parts) => {
    if (!fitsSchema({ allOf: parts }, value)) return false;
    const nodes = parts.filter(isNode);
    if (Array.isArray(value)) {
      return value.every((item, index) => isDeclared({ allOf: itemParts(nodes, index) }, item));
    }
    const lists = nodes.some((node) => node.properties !== undefined);
    return Object.entries(value).every(([name, member]) => {
      const told = nodes.flatMap((node) => memberParts(node, name));
      const required = nodes.some((node) => (node.required as string[] | undefined)?.includes(name));
      return (told.length > 0 || required || !lists) && isDeclared({ allOf: told }, member);
    });
  });
}

function itemParts(nodes: readonly Node[], index: number): Json[] {
  return nodes.map((node) => (node.prefixItems as Json[] | undefined)?.[index] ?? node.items ?? true);
}

function memberParts(node: Node, name: string): Json[] {
  const { properties = {}, patternProperties = {}, additionalProperties } = node;
  const told = Object.entries(patternProperties as Node).flatMap(([pattern, schema]) =>
    new RegExp(pattern).test(name) ? [schema] : [],
  );
  if (Object.hasOwn(properties as Node, name)) told.push((properties as Node)[name]!);
  return told.length > 0 || additionalProperties === undefined ? told : [additionalProperties];
}

test('a schema that is judged wider takes every value of the narrower one that holds declared members only', () => {
  let judged = 0;
  fc.assert(
    fc.property(
      schemas,
      schemas,
      fc.array(values, { minLength: 20, maxLength: 30 }),
      (first, second, samples) => {
        // Loosened copies make pairs that are in fact compatible frequent.
        for (const [narrow, wide] of [
          [first, second],
          [{ allOf: [first, second] }, second],
          [first, { anyOf: [second, first] }],
        ] as [JsonSchema, JsonSchema][]) {
          if (subsetProblem(narrow, wide)) continue;
          judged++;
          for (const value of samples) {
            if (fitsSchema(narrow, value) && isDeclared(narrow as Json, value))
              assert.ok(fitsSchema(wide, value), JSON.stringify({ narrow, wide, value }));
          }
        }
      },
    ),
    { numRuns: Number(process.env.RUNS ?? 60) },
  );
  assert.ok(judged > 30, `${judged} pairs`);
});

test('each mode looks in its direction, the transitive ones at every version', () => {
  const versions = [closed({ a: text }), closed({ a: text, b: text })].map((schema, index) => ({
    version: index + 1,
    schema,
    mode: 'none' as const,
    createdMs: 0,
  }));
  const refuses = (mode: CompatibilityMode, next: JsonSchema): boolean => {
    try {
      checkEvolution('s', mode, versions, versions[1]!.schema, next);
      return false;
    } catch (error) {
      assert.ok(isMillraceError(error, 'SCHEMA_INCOMPATIBLE') && error.errors.length > 0);
      return true;
    }
  };
  const wider = closed({ a: text, b: text, c: text });
  const narrower = closed({ a: text });
  const middle = closed({ a: text, b: { enum: ['x'] } });
  const modes = ['none', 'backward', 'forward', 'full'] as const;
  assert.deepEqual(
    modes.map((mode) => refuses(mode, wider)),
    [false, false, true, true],
  );
  assert.deepEqual(
    modes.map((mode) => refuses(mode, narrower)),
    [false, true, false, true],
  );
  assert.equal(refuses('forward', middle), false);
  assert.equal(refuses('forward-transitive', middle), true);
  assert.equal(refuses('backward-transitive', wider), false);
});
