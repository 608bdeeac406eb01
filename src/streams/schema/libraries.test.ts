import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toJsonSchema } from '@valibot/to-json-schema';
import { type } from 'arktype';
import * as v from 'valibot';
import * as z from 'zod';
import type { Json, JsonSchema } from '../../kernel/index.ts';
import { subsetProblem } from './compatibility.ts';
import { createSchemaCompiler } from './compile.ts';

const { compile } = createSchemaCompiler();
const fits = (schema: unknown, value: Json): boolean =>
  compile(schema as JsonSchema).problems(value, 0).length === 0;

const TEXTS: [string, z.ZodType, string, string][] = [
  ['email', z.email(), 'ann@example.org', 'ann'],
  ['uuid', z.uuid(), '0b5f3f6e-3a1c-4d7e-9a55-0f6a3c2b1d00', '0b5f'],
  ['url', z.url(), 'https://example.org/a?b', 'nowhere'],
  ['datetime', z.iso.datetime(), '2026-01-31T12:00:00Z', '2026-02-30T12:00:00Z'],
  ['date', z.iso.date(), '2024-02-29', '2023-02-29'],
  ['duration', z.iso.duration(), 'P1DT2H', 'PT'],
  ['ipv4', z.ipv4(), '10.0.0.1', '10.0.0'],
  ['ipv6', z.ipv6(), '::1', ':::1'],
  ['cidr', z.cidrv4(), '10.0.0.0/8', '10.0.0.0/64'],
  ['base64', z.base64(), 'aGk=', 'a'],
  ['nanoid', z.nanoid(), 'V1StGXR8_Z5jdHi6B-myT', 'x'],
  ['ulid', z.ulid(), '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'x'],
  ['e164', z.e164(), '+4915112345678', '4915'],
];

test('what zod makes of its formats is taken and checked', () => {
  for (const [name, schema, good, bad] of TEXTS) {
    const json = z.toJSONSchema(schema);
    assert.equal(fits(json, good), true, `${name} ${JSON.stringify(json)}`);
    assert.equal(fits(json, bad), false, `${name} ${JSON.stringify(json)}`);
  }
});

test('what zod and arktype make of objects is taken and checked', () => {
  const zod = z.toJSONSchema(
    z.object({
      id: z.int(),
      tags: z.array(z.string()).optional(),
      kind: z.union([z.literal('a'), z.null()]),
    }),
  );
  const ark = type({ id: 'number.integer', 'tags?': 'string[]', kind: "'a' | null" }).toJsonSchema();
  for (const schema of [zod, ark]) {
    assert.equal(fits(schema, { id: 1, kind: null, tags: ['x'] }), true, JSON.stringify(schema));
    assert.equal(fits(schema, { id: 1.5, kind: 'a' }), false);
    assert.equal(fits(schema, { id: 1, kind: 'b' }), false);
  }
});

test('objects of valibot and zod take another optional member, and give one up', () => {
  const pairs = [
    [v.object({ id: v.string() }), v.object({ id: v.string(), note: v.optional(v.string()) })],
  ].map(([less, more]) => [toJsonSchema(less!), toJsonSchema(more!)]);
  const zod = [z.object({ id: z.string() }), z.object({ id: z.string(), note: z.string().optional() })];
  pairs.push(zod.map((schema) => z.toJSONSchema(schema, { io: 'input' })) as (typeof pairs)[number]);
  for (const [less, more] of pairs as unknown as [JsonSchema, JsonSchema][]) {
    assert.equal(subsetProblem(less, more), undefined, JSON.stringify(more));
    assert.equal(subsetProblem(more, less), undefined, JSON.stringify(less));
  }
});
