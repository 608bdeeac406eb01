import { randomBytes, randomInt } from 'node:crypto';

/** Randomness as a dependency: a seed replays a run. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, bound). */
  integer(bound: number): number;
  bytes(length: number): Uint8Array;
}

export function systemRandom(): Random {
  return {
    float: () => Math.random(),
    integer: (bound) => randomInt(bound),
    bytes: (length) => randomBytes(length),
  };
}

/** A small, fast generator (sfc32 by Chris Doty-Humphrey, public domain) for reproducible runs; not for secrets. */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x243f6a88 ^ (seed * 2654435761);
  let c = 0xb7e15162;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let warmup = 0; warmup < 15; warmup++) next();
  return {
    float: () => next() / 4294967296,
    integer: (bound) => Math.floor((next() / 4294967296) * bound),
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
  };
}
