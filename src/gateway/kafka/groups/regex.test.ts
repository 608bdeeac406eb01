import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KafkaError } from '../errors.ts';
import { compileRegex } from './regex.ts';

const refuses = (regex: string): void =>
  assert.throws(
    () => compileRegex(regex),
    (error) => error instanceof KafkaError && error.kafkaName === 'INVALID_REGULAR_EXPRESSION',
    regex,
  );

describe('expressions for names', () => {
  it('match the whole name', () => {
    const matches = compileRegex('pay.*|refunds');
    assert.deepEqual(['payments', 'refunds', 'prepayments', 'refunds-2'].map(matches), [
      true,
      true,
      false,
      false,
    ]);
  });

  it('are written as RE2 writes them', () => {
    assert.ok(compileRegex('(?i)PAY[a-m]+ENTS')('paymmENTS'));
    assert.ok(!compileRegex('PAY')('pay'));
    assert.ok(compileRegex('\\Qa.b\\E-\\d+')('a.b-12'));
    assert.ok(!compileRegex('\\Qa.b\\E')('axb'));
    assert.ok(compileRegex('(?P<area>eu|us)-orders')('eu-orders'));
    assert.ok(compileRegex('\\Aorders\\z')('orders'));
  });

  it('are refused when they are none, look around, refer back, or could take without end', () => {
    for (const regex of ['(', '[', '*', 'a(?=b)', '(?<!a)b', '(a)\\1', '(a+)+$', 'x'.repeat(1001)])
      refuses(regex);
  });
});
