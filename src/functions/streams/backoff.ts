import type { Random } from '../../kernel/index.ts';

/**
 * Exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): uniform
 * between 0 and `baseMs` × 2^(attempt - 1), at most `maxMs`. `attempt` is 1 after the first failure.
 */
export function backoffMs(random: Random, baseMs: number, attempt: number, maxMs: number): number {
  return random.float() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 52));
}
