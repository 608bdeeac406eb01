import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiVersions } from '../../streams/kafka-protocol/index.ts';
import { fuzz, prepare } from './fuzz.support.ts';
import { testKafka } from './kafka.fixture.ts';

describe('mutated requests', () => {
  it('get an answer of the protocol or the end of their connection, and the door goes on', async () => {
    await using kafka = await testKafka();
    await prepare(kafka);
    const result = await fuzz(kafka, { requests: 3000, seed: 1, parallel: 16 });
    assert.deepEqual(result.defects, []);
    assert.ok(result.answers > 300, `${result.answers} answers`);
    assert.ok(result.ended > 50, `${result.ended} connections ended`);
    // A connection of its own: one that said nothing all the while was closed as idle.
    const { errorCode } = await kafka.client().call(ApiVersions, 0, {
      clientSoftwareName: '',
      clientSoftwareVersion: '',
    });
    assert.equal(errorCode, 0);
  });
});
