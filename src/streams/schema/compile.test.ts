import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMillraceError, type Json, type JsonSchema } from '../../kernel/index.ts';
import { createSchemaCompiler } from './compile.ts';

const compiler = createSchemaCompiler();

function problems(schema: JsonSchema, value: Json, sizeBytes = 100): string[] {
  return compiler
    .compile(schema)
    .problems(value, sizeBytes)
    .map(({ path, message }) => `${path} ${message}`);
}

function refusal(schema: JsonSchema): string {
  try {
    compiler.compile(schema);
  } catch (error) {
    if (!isMillraceError(error, 'SCHEMA_INVALID')) throw error;
    return error.errors.map(({ path, message }) => `${path} ${message}`).join('; ');
  }
  return 'accepted';
}

const PAYMENT: JsonSchema = {
  type: 'object',
  required: ['card', 'amount'],
  properties: {
    card: { type: 'string', minLength: 4 },
    amount: { type: 'number', exclusiveMinimum: 0 },
    at: { type: 'string', format: 'date-time' },
    tags: { type: 'array', items: { enum: ['web', 'shop'] }, uniqueItems: true },
  },
  additionalProperties: false,
};

test('a value that fits has no problems', () => {
  assert.deepEqual(
    problems(PAYMENT, { card: '4000', amount: 1, at: '2026-02-28T10:00:00Z', tags: ['web'] }),
    [],
  );
  assert.deepEqual(problems(true, { anything: [1] }), []);
});

test('every problem of a value is named by its path in plain words', () => {
  assert.deepEqual(
    problems(PAYMENT, {
      amount: 0,
      at: '2026-02-30T10:00:00Z',
      tags: ['web', 'web', 'car'],
      'x/y': 1,
    }).sort(),
    [
      '/amount must be greater than 0',
      '/at must be a valid date-time',
      '/card is missing',
      '/tags must not hold the same item twice',
      '/tags/2 must be one of "web", "shop"',
      '/x~1y is not a member that the schema knows',
    ],
  );
});

test('a large value names its first problem only', () => {
  assert.equal(problems({ items: { type: 'string' } }, [1, 2, 3], 1_000_000).length, 1);
  assert.equal(
    problems(
      { items: { type: 'string' } },
      Array.from({ length: 1000 }, () => 1),
    ).length,
    100,
  );
});

test('both drafts work: lists of items mean what their draft says', () => {
  const tuple = { items: [{ type: 'string' }, { type: 'number' }] };
  assert.deepEqual(problems({ $schema: 'http://json-schema.org/draft-07/schema#', ...tuple }, ['a', 'b']), [
    '/1 must be number',
  ]);
  assert.deepEqual(
    problems({ $schema: 'https://json-schema.org/draft/2020-12/schema', prefixItems: tuple.items }, [
      'a',
      'b',
    ]),
    ['/1 must be number'],
  );
  assert.match(refusal(tuple), /^\/items /);
  assert.match(
    refusal({ $schema: 'http://json-schema.org/draft-04/schema#' }),
    /^\/\$schema only the drafts/,
  );
});

test('local references work, recursive ones too', () => {
  const tree = {
    $ref: '#/$defs/node',
    $defs: {
      node: { type: 'object', properties: { next: { $ref: '#/$defs/node' }, id: { type: 'integer' } } },
    },
  };
  assert.deepEqual(problems(tree, { next: { next: { id: 1 } } }), []);
  assert.deepEqual(problems(tree, { next: { next: { id: 'x' } } }), ['/next/next/id must be integer']);
});

test('unknown formats and x- keywords are annotations', () => {
  assert.deepEqual(
    problems({ type: 'string', format: 'iban', 'x-owner': 'team', example: 'x', deprecated: true }, 'x'),
    [],
  );
});

test('schemas that reach out, wait, never end or say nonsense are refused with the path', () => {
  assert.match(refusal({ $async: true }), /^\/\$async .*wait/);
  assert.match(
    refusal({ properties: { a: { $ref: 'https://example.com/s.json' } } }),
    /^\/properties\/a\/\$ref .*lies elsewhere/,
  );
  assert.match(refusal({ $ref: '#/$defs/none' }), /^\/\$ref .*names nothing/);
  assert.match(refusal({ $ref: '#' }), /never end/);
  assert.match(
    refusal({ allOf: [{ $ref: '#/$defs/a' }], $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }] } } }),
    /never end/,
  );
  assert.match(refusal({ type: 'strin' }), /^\/type must be/);
  assert.match(refusal({ properties: { a: { minimum: 'x' } } }), /^\/properties\/a\/minimum must be number/);
  assert.match(refusal({ requird: ['a'] }), /unknown keyword.*requird/);
  assert.match(
    refusal({ properties: { a: { pattern: '^(a+)+$' } } }),
    /^\/properties\/a\/pattern .*without end/,
  );
  assert.match(
    refusal({ patternProperties: { '(x*)*': true } }),
    /^\/patternProperties\/\(x\*\)\* .*without end/,
  );
  assert.match(refusal('text' as never), /must be/);
});

test('hostile sizes are refused: deep, large, and doubling references', () => {
  let deep: JsonSchema = true;
  for (let level = 0; level < 100; level++) deep = { not: deep };
  assert.match(refusal(deep), /nested deeper/);
  assert.match(refusal({ enum: ['x'.repeat(300_000)] }), /larger than 256 kB/);
  const doubling = Object.fromEntries(
    Array.from({ length: 40 }, (_, level) => [
      `d${level}`,
      level === 39 ? true : { allOf: [{ $ref: `#/$defs/d${level + 1}` }, { $ref: `#/$defs/d${level + 1}` }] },
    ]),
  );
  assert.match(refusal({ $ref: '#/$defs/d0', $defs: doubling }), /times over/);
});
