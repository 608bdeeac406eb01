import { createHash } from 'node:crypto';

/** A choice and its share of the traffic; shares are relative and need not add up to anything. */
export interface WeightedChoice {
  readonly name: string;
  /** ≥ 0; 0 gets nothing. */
  readonly weight: number;
}

/** Uniform in (0, 1), the same for the same texts everywhere and for ever. */
function draw(key: string, name: string): number {
  const digest = createHash('sha256').update(key).update('\0').update(name).digest();
  return (digest.readUIntBE(0, 6) + 0.5) / 2 ** 48;
}

/**
 * Picks one of the choices for a key: the same key gets the same choice as long as the weights stand, each choice gets
 * its share of many keys, and a change of weights moves only the keys that it has to move (a canary from 5 % to 10 %
 * takes 5 % more and sends none back). Weighted rendezvous hashing: each choice draws u from (key, name) and the
 * highest weight / -ln(u) wins (Mosko and others, "Weighted distributed hash tables", SPAA 2005). Undefined when
 * nothing has any weight. Throws RangeError for a weight below 0 or not finite.
 */
export function chooseWeighted<Choice extends WeightedChoice>(
  choices: readonly Choice[],
  key: string,
): Choice | undefined {
  let best: Choice | undefined;
  let bestScore = 0;
  for (const choice of choices) {
    if (!(choice.weight >= 0 && Number.isFinite(choice.weight))) {
      throw new RangeError(`The weight of '${choice.name}' is ${choice.weight}; it must be 0 or more.`);
    }
    if (choice.weight === 0) continue;
    const score = choices.length === 1 ? 1 : choice.weight / -Math.log(draw(key, choice.name));
    if (score > bestScore) {
      best = choice;
      bestScore = score;
    }
  }
  return best;
}
