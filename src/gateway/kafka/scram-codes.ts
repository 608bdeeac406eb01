import type { ScramMechanism } from '../../govern/index.ts';

/** Codes of mechanisms (KIP-554). */
const CODES: readonly (readonly [code: number, mechanism: ScramMechanism])[] = [
  [1, 'SCRAM-SHA-256'],
  [2, 'SCRAM-SHA-512'],
];

export const mechanismOf = (code: number): ScramMechanism | undefined =>
  CODES.find(([known]) => known === code)?.[1];

export const codeOf = (mechanism: ScramMechanism): number =>
  CODES.find(([, known]) => known === mechanism)![0];
