import type { CommitResult } from '../port.ts';

/** One commit among those of its assignment. */
export interface CommitTurn {
  /** To be called once nothing that was called later can take effect before it. */
  ordered(): void;
  /** Whether one that was called before it has failed: then it must not take effect. Asked again where it does. */
  overtaken(): boolean;
}

/**
 * Keeps L8 for one assignment: commits pass their checks one after the other, and one that fails takes along all that were
 * called before its failure was known. Those answer FENCED; what is called afterwards counts again.
 */
export function createCommitOrder(): (
  commit: (turn: CommitTurn) => Promise<CommitResult> | CommitResult,
) => Promise<CommitResult> {
  let calls = 0;
  let brokenThrough = 0;
  let last: Promise<void> = Promise.resolve();
  return async (commit) => {
    const ticket = ++calls;
    const before = last;
    const { promise, resolve: ordered } = Promise.withResolvers<void>();
    last = promise;
    const overtaken = (): boolean => ticket <= brokenThrough;
    await before;
    try {
      return overtaken() ? { status: 'FENCED' } : await commit({ ordered, overtaken });
    } catch (error) {
      brokenThrough = Math.max(brokenThrough, calls);
      throw error;
    } finally {
      ordered();
    }
  };
}
