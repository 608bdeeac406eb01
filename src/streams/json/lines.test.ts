import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, LIMITS } from '../../kernel/index.ts';
import { parseKeyPath } from './key-path.ts';
import { indexLines, PLACE } from './lines.ts';

function valuesOf(body: string): string[] {
  const { bytes, count, places } = indexLines(Buffer.from(body));
  return Array.from({ length: count }, (_, index) =>
    Buffer.from(
      bytes.subarray(
        places[index * PLACE.size + PLACE.valueStart],
        places[index * PLACE.size + PLACE.valueEnd],
      ),
    ).toString(),
  );
}

function failure(body: string): string {
  try {
    indexLines(Buffer.from(body));
  } catch (error) {
    if (isMillraceError(error)) return `${error.code} ${error.errors[0]?.path} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

test('one value a line: blank lines and carriage returns are passed over, the last newline is optional', () => {
  assert.deepEqual(valuesOf(''), []);
  assert.deepEqual(valuesOf('\n \r\n\t\n'), []);
  assert.deepEqual(valuesOf('{"a":1}\r\n\n  [ 1, 2 ] \n"x"'), ['{"a":1}', '[ 1, 2 ]', '"x"']);
});

test('errors name the line, the byte in it, and what was expected', () => {
  assert.equal(
    failure('1\n{"a":\n2}\n'),
    'BAD_JSON /1 Invalid JSON on line 2 at byte 6: expected a value, found the end of the line.',
  );
  assert.equal(
    failure('1\n\n{} {}'),
    "BAD_JSON /1 Invalid JSON on line 3 at byte 4: expected the end of the line (one value a line), found '{'.",
  );
  assert.equal(
    failure('{"a'),
    'BAD_JSON /0 Invalid JSON on line 1 at byte 4: expected the rest of a member name, found the end of the input.',
  );
  assert.match(failure('"a\n"'), /^BAD_JSON \/0 .*line 1 at byte 3.*the end of the line/);
});

test('more values than one call may hold are refused', () => {
  assert.equal(valuesOf('1\n'.repeat(LIMITS.batchRecords)).length, LIMITS.batchRecords);
  assert.match(failure('1\n'.repeat(LIMITS.batchRecords + 1)), /^PAYLOAD_TOO_LARGE/);
});

test('any values, joined by newlines, come back byte for byte with their keys', () => {
  fc.assert(
    fc.property(fc.array(fc.json(), { maxLength: 50 }), (texts) => {
      assert.deepEqual(
        valuesOf(texts.join('\n')),
        texts.map((text) => text.trim()),
      );
    }),
  );
  const { places, bytes } = indexLines(Buffer.from('{"k":"é"}\n{"x":1}\n'), parseKeyPath('/k'));
  assert.equal(Buffer.from(bytes.subarray(places[2], places[3])).toString(), '"é"');
  assert.equal(places[PLACE.size + PLACE.keyStart], -1);
});
