import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { subjectOf } from './client-certificate.ts';

describe('the subject of a client certificate', () => {
  it('is written as RFC 2253 writes it', () => {
    assert.equal(
      subjectOf({ subject: 'C=DE\nO=Example, Inc.\nOU=shop\nCN=ann' }),
      'CN=ann,OU=shop,O=Example\\, Inc.,C=DE',
    );
    assert.equal(subjectOf({ subject: 'CN=#a+b=c ' }), 'CN=\\#a\\+b=c\\ ');
  });
});
