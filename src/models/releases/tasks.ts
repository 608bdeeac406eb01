import { seededRandom } from '../../kernel/index.ts';
import { type HeldBack, judgeHeldBack } from './held-back.ts';
import type { ReleaseSettings } from './settings.ts';
import type { GateResult } from './verdict.ts';

/** A task of the platform's workers: hundreds of resamples would hold the main thread too long. */

export interface JudgeHeldBackInput {
  readonly heldBack: HeldBack;
  readonly settings: ReleaseSettings;
  readonly seed: number;
}

export function judge({ heldBack, settings, seed }: JudgeHeldBackInput): GateResult[] {
  return judgeHeldBack(heldBack, settings, seededRandom(seed));
}
