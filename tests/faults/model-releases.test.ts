import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createWorld, FAULTS, type Fault } from '../../src/models/releases/world.support.ts';

const FULL = process.env.MILLRACE_FAULTS === 'full';
const GOOD = FULL ? 200 : 4;
const BAD = FULL ? 30 : 1;
const HALF_HOUR = 1_800_000;

/** A release from its gates to its end, with a call every 100 ms. */
async function released(fault: Fault, seed: number) {
  await using world = createWorld(fault, seed);
  const { id } = await world.begin();
  await world.run(HALF_HOUR, 100);
  const { outcome, decisions } = await world.releases.get('credit', id);
  const { old, new: fresh } = world.answered;
  return { outcome, reason: decisions.at(-1)!.reason, share: fresh / (old + fresh) };
}

describe('releases of models, simulated', () => {
  it(`stop at most one of ${GOOD} good versions`, async () => {
    const stopped: string[] = [];
    for (let seed = 0; seed < GOOD; seed++) {
      const { outcome, reason } = await released('none', 1000 + seed);
      if (outcome !== 'released') stopped.push(`${seed}: ${outcome} ${reason}`);
    }
    assert.ok(stopped.length <= 1, stopped.join('\n'));
  });

  for (const fault of FAULTS) {
    it(`stop every version that is ${fault === 'schema' ? 'of another schema' : fault} before it has had 5 % of the traffic`, async () => {
      for (let seed = 0; seed < BAD; seed++) {
        const { outcome, reason, share } = await released(fault, 5000 + seed);
        assert.ok(outcome === 'stopped' || outcome === 'returned', `${seed}: ${outcome} ${reason}`);
        assert.ok(share < 0.05, `${seed}: ${share}`);
      }
    });
  }
});
