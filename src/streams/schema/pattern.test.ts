import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyse, compilePattern, patternProblem } from './pattern.ts';

test('patterns that people write are taken, and match as the engine does', () => {
  const patterns: [string, string, string][] = [
    ['^[A-Z]{3}$', 'EUR', 'EURO'],
    ['^\\d+(\\.\\d+)*$', '1.20.3', '1..2'],
    ['^[a-z0-9]+(?:-[a-z0-9]+)*$', 'a-slug-9', '-a'],
    ['^(?=.*[A-Z])(?=.*\\d).{8,}$', 'Passw0rds', 'password'],
    [
      "^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$",
      'ann.b@mail.example.org',
      'a..b@c.de',
    ],
    ['^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$', '00:1b:44:11:3a:b7', '00:1b'],
    ['^\\p{Lu}\\p{Ll}+$', 'Émile', 'émile'],
    ['^(?:a|b|cd)+$', 'abcdab', 'abd'],
    ['^(\\d{3}-?)+$', '123-456', '12-3'],
    ['^[^@\\]]+@x$', 'a.b@x', 'a]@x'],
  ];
  for (const [pattern, fits, fitsNot] of patterns) {
    assert.equal(patternProblem(pattern), undefined, pattern);
    assert.equal(compilePattern(pattern).test(fits), true, pattern);
    assert.equal(compilePattern(pattern).test(fitsNot), false, pattern);
  }
});

test('patterns that can run without end are refused with the reason', () => {
  for (const pattern of [
    '^(a+)+$',
    '^(a|a)*$',
    '^(a|ab|b)*$',
    '(x+x+)+y',
    '^(a*)*$',
    '^((a+)?b?)*$',
    '^(\\w+\\s?)+$',
    '^(.*,)+$',
    '(?=(a+)+b)c',
  ]) {
    assert.match(patternProblem(pattern) ?? 'accepted', /without end/, pattern);
  }
  assert.match(patternProblem('^(a+)\\1$') ?? 'accepted', /refers back/);
  assert.match(patternProblem('(') ?? 'accepted', /not a regular expression/);
  assert.match(patternProblem('a'.repeat(3000)) ?? 'accepted', /longer than 2000/);
});

test('texts are only as long as the pattern can take in time', () => {
  assert.equal(analyse('^[a-z]+-[0-9]+$').maxLength, Number.POSITIVE_INFINITY);
  assert.equal(analyse('^.*x$').maxLength, 10_000);
  assert.equal(analyse('[0-9]+x').maxLength, 10_000);
  assert.equal(analyse('^.*a.*b$').maxLength, 464);
  const slow = compilePattern('^.*.*.*=$');
  assert.equal(slow.test('='), true);
  assert.equal(slow.test(`${'x'.repeat(1_000_000)}=`), false);
});
