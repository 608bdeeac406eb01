import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareSchemas, prepareSchema, serializeSchema } from './formats.ts';
import type { SchemaType } from './types.ts';

const text = (schema: unknown): string => (typeof schema === 'string' ? schema : JSON.stringify(schema));

/** Kinds of problems when readers of `next` meet records of `before`. */
function reading(type: SchemaType, next: unknown, before: unknown): string[] {
  const [newer, older] = [next, before].map((schema) => ({ type, text: text(schema), references: [] }));
  const rules = 'strict';
  return compareSchemas({ next: newer!, earlier: [older!], backward: true, forward: false, rules }).map(
    (problem) => problem.split(' ')[0]!,
  );
}

const record = (...fields: unknown[]) => ({ type: 'record', name: 'R', fields });
const field = (type: unknown, more: object = {}) => ({ name: 'a', type, ...more });
const symbols = (list: string[], more: object = {}) => ({ type: 'enum', name: 'E', symbols: list, ...more });

/** next, before, what is wrong: "Schema Resolution" of the Avro specification, case by case. */
const AVRO: readonly (readonly [string, unknown, unknown, string?])[] = [
  ['a promotion', 'long', 'int'],
  ['a promotion of another', 'double', 'float'],
  ['text as bytes', 'bytes', 'string'],
  ['a demotion', 'int', 'long', 'TYPE_MISMATCH'],
  ['another kind', 'string', 'int', 'TYPE_MISMATCH'],
  ['a field with a default', record(field('int', { default: 1 })), record()],
  ['a field without one', record(field('int')), record(), 'READER_FIELD_MISSING_DEFAULT_VALUE'],
  ['a field less', record(), record(field('int'))],
  ['a field under an alias', record({ name: 'b', type: 'int', aliases: ['a'] }), record(field('int'))],
  ['another name', { ...record(), name: 'S' }, record(), 'NAME_MISMATCH'],
  ['the old name as alias', { ...record(), name: 'S', aliases: ['R'] }, record()],
  ['another namespace', { ...record(), namespace: 'n' }, record()],
  ['symbols more', symbols(['A', 'B']), symbols(['A'])],
  ['symbols less', symbols(['A']), symbols(['A', 'B']), 'MISSING_ENUM_SYMBOLS'],
  ['symbols less, with a default', symbols(['A'], { default: 'A' }), symbols(['A', 'B'])],
  [
    'another size',
    { type: 'fixed', name: 'F', size: 2 },
    { type: 'fixed', name: 'F', size: 1 },
    'FIXED_SIZE_MISMATCH',
  ],
  ['a union of it', ['null', 'int'], 'int'],
  ['a union without it', ['null', 'int'], 'string', 'MISSING_UNION_BRANCH'],
  ['one of a union', 'int', ['null', 'int'], 'TYPE_MISMATCH'],
  ['a branch more', ['null', 'int', 'string'], ['null', 'int']],
  ['items', { type: 'array', items: 'long' }, { type: 'array', items: 'int' }],
  ['values', { type: 'map', values: 'int' }, { type: 'map', values: 'string' }, 'TYPE_MISMATCH'],
  [
    'itself inside itself',
    record(field(['null', 'R']), { name: 'b', type: 'long' }),
    record(field(['null', 'R']), { name: 'b', type: 'int' }),
  ],
  [
    'a record that fits no branch, met again',
    record(
      { name: 'x', type: ['null', { type: 'record', name: 'I', fields: [field('int')] }] },
      { name: 'y', type: 'I' },
    ),
    record(
      { name: 'x', type: ['null', { type: 'record', name: 'I', fields: [] }] },
      { name: 'y', type: 'I' },
    ),
    'MISSING_UNION_BRANCH READER_FIELD_MISSING_DEFAULT_VALUE',
  ],
];

const proto = (body: string, head = 'syntax = "proto3";') =>
  `${head} message M { ${body} } enum E { Z = 0; }`;

/** The same for Protobuf, after "Updating A Message Type" of its language guide. */
const PROTOBUF: readonly (readonly [string, string, string, string?])[] = [
  ['a field more', proto('int32 a = 1; int32 b = 2;'), proto('int32 a = 1;')],
  ['a field less', proto(''), proto('int32 a = 1;')],
  ['another name', proto('int32 b = 1;'), proto('int32 a = 1;')],
  ['a number of the same group', proto('bool a = 1;'), proto('int64 a = 1;')],
  ['an enum for a number', proto('E a = 1;'), proto('int32 a = 1;')],
  ['bytes for text', proto('bytes a = 1;'), proto('string a = 1;')],
  ['zigzag for plain', proto('sint32 a = 1;'), proto('int32 a = 1;'), 'FIELD_SCALAR_KIND_CHANGED'],
  ['a message for a number', proto('M a = 1;'), proto('int32 a = 1;'), 'FIELD_KIND_CHANGED'],
  ['a map for a message', proto('map<string, int32> a = 1;'), proto('M a = 1;'), 'FIELD_KIND_CHANGED'],
  [
    'other values in a map',
    proto('map<string, string> a = 1;'),
    proto('map<string, int32> a = 1;'),
    'FIELD_SCALAR_KIND_CHANGED',
  ],
  [
    'another message',
    `${proto('N a = 1;')} message N {}`,
    `${proto('M a = 1;')} message N {}`,
    'FIELD_NAMED_TYPE_CHANGED',
  ],
  ['a message less', proto(''), `${proto('')} message N {}`, 'MESSAGE_REMOVED'],
  ['a nested message less', proto(''), proto('message N {}'), 'MESSAGE_REMOVED'],
  [
    'another package',
    proto('', 'syntax = "proto3"; package q;'),
    proto('', 'syntax = "proto3"; package p;'),
    'PACKAGE_CHANGED',
  ],
  ['one field moved into a oneof', proto('oneof o { int32 a = 1; int32 b = 2; }'), proto('int32 a = 1;')],
  [
    'two of them',
    proto('oneof o { int32 a = 1; int32 b = 2; }'),
    proto('int32 a = 1; int32 b = 2;'),
    'MULTIPLE_FIELDS_MOVED_TO_ONEOF',
  ],
  [
    'one less in a oneof',
    proto('oneof o { int32 a = 1; }'),
    proto('oneof o { int32 a = 1; int32 b = 2; }'),
    'ONEOF_FIELD_REMOVED',
  ],
  ['out of a oneof', proto('int32 a = 1; int32 b = 2;'), proto('oneof o { int32 a = 1; int32 b = 2; }')],
  ['a required field more', 'message M { required int32 a = 1; }', 'message M {}', 'REQUIRED_FIELD_ADDED'],
  ['a required field less', 'message M {}', 'message M { required int32 a = 1; }', 'REQUIRED_FIELD_REMOVED'],
];

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const closed = { additionalProperties: false };
const A = { a: { type: 'string' } };

/** JSON Schema as Confluent's registry judges it: what an open object may hold beside its members counts. */
const JSON_SCHEMA: readonly (readonly [string, unknown, unknown, boolean])[] = [
  ['a member added to an open object', object(A), object({}), false],
  ['a member without a type added', object({ a: {} }), object({}), true],
  ['a member added to a closed object', object(A, closed), object({}, closed), true],
  ['a member taken from an open object', object({}), object(A), true],
  ['a member taken from a closed object', object({}, closed), object(A, closed), false],
  ['a required member', object(A, { required: ['a'] }), object(A), false],
  [
    'one with a default',
    object({ a: { type: 'string', default: '' } }, { required: ['a'] }),
    object(A),
    true,
  ],
  ['a wider type', { type: 'number' }, { type: 'integer' }, true],
  ['a narrower type', { type: 'integer' }, { type: 'number' }, false],
];

describe('schemas of subjects', () => {
  for (const [type, cases] of [
    ['AVRO', AVRO],
    ['PROTOBUF', PROTOBUF],
  ] as const) {
    it(`are compared as ${type} resolves them`, () => {
      for (const [what, next, before, problem] of cases)
        assert.deepEqual([...new Set(reading(type, next, before))], problem?.split(' ') ?? [], what);
    });
  }

  it('are compared as JSON Schema', () => {
    for (const [what, next, before, good] of JSON_SCHEMA)
      assert.equal(reading('JSON', next, before).length === 0, good, what);
  });

  it('are refused where they are none, saying why', () => {
    const cases: readonly [SchemaType, unknown, RegExp][] = [
      ['AVRO', { type: 'record', name: 'R' }, /needs a list of fields/],
      ['AVRO', record(field('int'), field('int')), /field 'a' twice/],
      ['AVRO', record(field('S')), /names the type 'S'/],
      ['AVRO', record(field('int', { default: 'x' })), /default of R\.a is "x"/],
      ['AVRO', ['int', 'int'], /int twice/],
      ['AVRO', ['int', ['null']], /union right inside a union/],
      ['AVRO', symbols(['A', 'A']), /each once/],
      ['AVRO', { ...record(), name: '1R' }, /no valid name/],
      ['PROTOBUF', 'message M { int32 a = 0; }', /number 0, which no field can have/],
      ['PROTOBUF', 'message M { int32 a = 1; int32 b = 1; }', /number 1 twice/],
      ['PROTOBUF', 'message M { Nobody a = 1; }', /defined nowhere/],
      ['PROTOBUF', 'message M { int32 a = 1', /ends too early/],
      ['PROTOBUF', 'import "other.proto"; message M {}', /none of its references/],
      ['PROTOBUF', 'nonsense {}', /where a declaration/],
      ['JSON', { $ref: '#/$defs/none' }, /refers to nothing/],
      ['JSON', { $ref: 'other.json' }, /none of its references/],
      ['JSON', '[1]', /an object, true or false/],
    ];
    for (const [type, schema, message] of cases) {
      const prepared = prepareSchema({
        schema: { type, text: text(schema), references: [] },
        normalize: false,
      });
      assert.match('invalid' in prepared ? prepared.invalid : 'taken', message, text(schema));
    }
  });

  it('of Protobuf are the same with other comments, and as descriptors say what they say as text', () => {
    const one = `syntax = "proto3"; package shop.v1; // a comment
      option java_package = "com.shop";
      message Order { reserved 9, 12 to 14; string id = 1; repeated Line lines = 2; map<string, Money> totals = 3;
        oneof paid { Money cash = 4; string card = 5; } optional int32 note = 6; Kind kind = 7;
        message Line { sint64 count = 1; } enum Kind { NONE = 0; MUCH = 1; } }
      message Money { fixed64 amount = 1; }
      service Shop { rpc Buy (Order) returns (stream Money); }`;
    const schema = { type: 'PROTOBUF', text: one, references: [] } as const;
    const packed = serializeSchema(schema);
    const back = prepareSchema({ schema: { ...schema, text: packed }, normalize: false });
    assert.ok('text' in back);
    assert.deepEqual(reading('PROTOBUF', back.text, one), []);
    assert.deepEqual(reading('PROTOBUF', one, back.text), []);
    assert.equal(serializeSchema({ ...schema, text: back.text }), packed);
    assert.match(back.text, /oneof paid \{\n {4}Money|optional int32 note = 6;/);
    const identity = (given: string) => {
      const prepared = prepareSchema({ schema: { ...schema, text: given }, normalize: false });
      return 'identity' in prepared ? prepared.identity : assert.fail(prepared.invalid);
    };
    assert.equal(identity(one.replace('// a comment', '/* another */')), identity(one));
  });

  it('of any text are refused or taken, never anything else', () => {
    const seeds = [...AVRO, ...PROTOBUF].map(([, next]) => text(next));
    const mutated = fc
      .tuple(fc.constantFrom(...seeds), fc.nat(), fc.string({ maxLength: 4 }), fc.nat({ max: 6 }))
      .map(
        ([seed, at, put, cut]) =>
          seed.slice(0, at % seed.length) + put + seed.slice((at % seed.length) + cut),
      );
    fc.assert(
      fc.property(mutated, fc.constantFrom<SchemaType>('AVRO', 'JSON', 'PROTOBUF'), (given, type) => {
        const prepared = prepareSchema({ schema: { type, text: given, references: [] }, normalize: true });
        assert.ok('invalid' in prepared || typeof prepared.text === 'string');
      }),
      { numRuns: 2000 },
    );
  });
});
