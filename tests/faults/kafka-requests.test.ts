/** A million mutated requests of the Kafka protocol: no crash, no hang, no growth, always an answer or a closed connection. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fuzz, prepare } from '../../src/gateway/kafka/fuzz.support.ts';
import { testKafka } from '../../src/gateway/kafka/kafka.fixture.ts';

const ROUNDS = process.env.MILLRACE_FAULTS === 'full' ? 100 : 3;
const REQUESTS = 10_000;
/** What a round may leave behind, of a heap that grows in steps: far less than one leak of a request of each would be. */
const GROWTH_BYTES = 32 * 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('mutated requests of the Kafka protocol', () => {
  it(`${ROUNDS * REQUESTS} of them`, async () => {
    let settled = 0;
    for (let round = 0; round < ROUNDS; round++) {
      {
        await using kafka = await testKafka();
        await prepare(kafka);
        const result = await fuzz(kafka, { requests: REQUESTS, seed: round + 1, parallel: 32 });
        assert.deepEqual(result.defects, [], `seed ${round + 1}`);
        assert.ok(result.answers > 0);
      }
      collect();
      const { heapUsed } = process.memoryUsage();
      // Code is compiled and caches fill in the first rounds.
      if (round === 1) settled = heapUsed;
      else if (round > 1) assert.ok(heapUsed < settled + GROWTH_BYTES, `${heapUsed} bytes after ${settled}`);
    }
  });
});
