import type { FeatureRow } from '../features/row.ts';

/** Why a payment is suspect, in words for an analyst: what stands out most among its features. */
export function reasonFor(row: FeatureRow): string {
  if (row.amount > 220) return `${row.amount.toFixed(2)} is a very large amount`;
  if (row.ratio > 2.5) return `${row.ratio.toFixed(1)} times what this card usually pays`;
  if (row.suspect30 > 0) {
    const payments = row.suspect30 === 1 ? 'a payment' : `${row.suspect30} payments`;
    return `${payments} at this terminal turned out to be fraud`;
  }
  if (row.unusual14 > 0) return 'the card was used for unusual amounts lately';
  return 'unlike genuine payments in several ways at once';
}
