import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, LIMITS } from '../../kernel/index.ts';
import { requireJson } from './check.ts';
import { parseKeyPath } from './key-path.ts';
import { createScanner } from './scanner.ts';

const SEED_TEXTS = [
  '{"a":[1,-0,2.5e-10,true,false,null,"x\\u00e9\\n"],"b":{"c":{}},"d":[]}',
  '  [ 1 , {"k" : "v" } , [ ] ]\t',
  '"\\ud800\\"\\\\é😀"',
  '-12.50E+3',
  '{"card":"4000","user":{"id":7},"card":"last"}',
];

function accepts(text: string): boolean {
  const bytes = Buffer.from(text);
  const scanner = createScanner();
  const end = scanner.scan(bytes, 0, bytes.length);
  return (
    end >= 0 &&
    bytes.subarray(end).toString().trim() === '' &&
    !/[^ \t\r\n]/.test(bytes.subarray(end).toString())
  );
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function keyText(text: string, pointer: string): string | undefined {
  const bytes = Buffer.from(text);
  const scanner = createScanner({ path: parseKeyPath(pointer) });
  assert.ok(scanner.scan(bytes, 0, bytes.length) >= 0, text);
  return scanner.keyStart < 0 ? undefined : bytes.subarray(scanner.keyStart, scanner.keyEnd).toString();
}

test('every text that JSON.stringify writes is accepted, with any white space between', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(undefined, 1, '\t', ' \r'), (text, space) => {
      assert.ok(accepts(JSON.stringify(JSON.parse(text), null, space)));
    }),
  );
});

test('mutated texts are accepted exactly when JSON.parse accepts them', () => {
  const characters = [...'{}[]",:\\u0019aeEtfn+-. \n\t\u0001é\ud800\u2028'];
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(...SEED_TEXTS), fc.json()),
      fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom(...characters)), { maxLength: 4 }),
      (text, edits) => {
        for (const [place, kind, character] of edits) {
          const at = text.length === 0 ? 0 : place % text.length;
          text = text.slice(0, at) + (kind === 1 ? '' : character) + text.slice(kind === 2 ? at : at + 1);
        }
        // What arrives is UTF-8: a lone surrogate is the replacement character by then.
        const received = text.toWellFormed();
        assert.equal(accepts(received), parses(received), JSON.stringify(received));
      },
    ),
    { numRuns: 20_000 },
  );
});

test('every truncation of a document is refused exactly when JSON.parse refuses it', () => {
  for (const text of SEED_TEXTS) {
    for (let length = 0; length <= text.length; length++) {
      const part = text.slice(0, length).toWellFormed();
      assert.equal(accepts(part), parses(part), part);
    }
  }
});

test('nesting is accepted up to the limit and named beyond it', () => {
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  assert.ok(accepts(nested(LIMITS.jsonDepth)));
  assert.throws(
    () => requireJson(Buffer.from(nested(LIMITS.jsonDepth + 1))),
    (error) => isMillraceError(error, 'BAD_JSON') && /100 levels/.test(error.message),
  );
  assert.ok(!accepts('[{"a":'.repeat(500_000)));
});

test('the value at a key path is the one JSON.parse gives', () => {
  assert.equal(keyText('{"card":"4000","amount":1}', '/card'), '"4000"');
  assert.equal(keyText('{"x":{"card":1},"card" : 12.5 ,"y":0}', '/card'), '12.5');
  assert.equal(keyText('{"user":{"a":[{"id":1}],"id":{"z":[]}}}', '/user/id'), '{"z":[]}');
  assert.equal(keyText('{"a":1,"a":2}', '/a'), '2');
  assert.equal(keyText('{"user":{"id":1},"user":{}}', '/user/id'), undefined);
  assert.equal(keyText('{"user":[{"id":1}]}', '/user/id'), undefined);
  assert.equal(keyText('{"c\\u0061rd":"x"}', '/card'), '"x"');
  assert.equal(keyText('{"a/b~c":1}', '/a~1b~0c'), '1');
  assert.equal(keyText('[{"card":1}]', '/card'), undefined);
  assert.equal(keyText('"card"', '/card'), undefined);
});

test('for any object and any path, the scan finds what a walk through the parsed value finds', () => {
  const names = fc.constantFrom('a', 'b', 'é', 'a"b', '\\', '');
  const value = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant(null)),
      fc.dictionary(names, tie('node'), { maxKeys: 4, noNullPrototype: true }),
      fc.array(tie('node'), { maxLength: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(value, fc.array(names, { minLength: 1, maxLength: 3 }), (document, path) => {
      let expected: unknown = document;
      for (const name of path) {
        const holds = typeof expected === 'object' && expected !== null && !Array.isArray(expected);
        expected =
          holds && Object.hasOwn(expected as object, name)
            ? (expected as Record<string, unknown>)[name]
            : undefined;
      }
      const found = keyText(JSON.stringify(document), path.map((name) => `/${name}`).join(''));
      assert.deepEqual(found === undefined ? undefined : JSON.parse(found), expected);
    }),
    { numRuns: 2000 },
  );
});

test('a path that is no JSON Pointer is refused with the remedy', () => {
  for (const pointer of ['', 'card', '/a~2', '/a~']) {
    assert.throws(
      () => parseKeyPath(pointer),
      (error) => isMillraceError(error, 'STREAM_CONFIG_INVALID'),
    );
  }
});

test('bytes that are no UTF-8 are named by their position', () => {
  const valid = Buffer.from(`"${'é😀'.repeat(5000)}"`);
  requireJson(valid);
  for (const at of [1, 4095, 4097, 20_000, valid.length - 2]) {
    const broken = Buffer.from(valid);
    broken[at] = 0xff;
    assert.throws(
      () => requireJson(broken),
      (error) => {
        assert.ok(isMillraceError(error, 'BAD_ENCODING'));
        const named = Number(/byte (\d+)/.exec(error.message)?.[1]);
        return named <= at && at - named <= 3;
      },
    );
  }
});

test('errors say where and what was expected', () => {
  const message = (text: string): string => {
    try {
      requireJson(Buffer.from(text));
    } catch (error) {
      if (isMillraceError(error, 'BAD_JSON')) return error.message;
      throw error;
    }
    return 'accepted';
  };
  assert.equal(message('{"a" 1}'), "Invalid JSON at byte 6: expected ':', found '1'.");
  assert.equal(message('{a:1}'), "Invalid JSON at byte 2: expected a member name or '}', found 'a'.");
  assert.equal(message('[1,2'), "Invalid JSON at byte 5: expected ',' or ']', found the end of the input.");
  assert.equal(message('1 2'), "Invalid JSON at byte 3: expected the end of the value, found '2'.");
  assert.equal(
    message('"a\u0001"'),
    'Invalid JSON at byte 3: expected the rest of a string, found the control character 0x01.',
  );
  assert.equal(message('\ufeff{}'), 'Invalid JSON at byte 1: expected a value, found a byte order mark.');
});
