import type { CaseEvent } from './streams.ts';

/** A case is open from a card's first alert until an analyst closes it; a later alert opens a new one. */
export interface Case {
  readonly card: string;
  readonly openedAt: string;
  readonly alerts: number;
  readonly amount: number;
  readonly reasons: readonly string[];
}

export type Cases = Map<string, Case>;

/** The read model is nothing but this fold over the events, from the first to the last. */
export function apply(cases: Cases, event: CaseEvent): void {
  if (event.type === 'known') return;
  if (event.type === 'closed') {
    cases.delete(event.card);
    return;
  }
  const open = cases.get(event.card);
  cases.set(event.card, {
    card: event.card,
    openedAt: open?.openedAt ?? event.at,
    alerts: (open?.alerts ?? 0) + 1,
    amount: Math.round(((open?.amount ?? 0) + event.amount) * 100) / 100,
    reasons: [...new Set([...(open?.reasons ?? []), event.reason])].slice(-5),
  });
}

export function worstFirst(cases: Cases, limit: number): Case[] {
  return [...cases.values()]
    .sort((a, b) => b.amount - a.amount || a.card.localeCompare(b.card))
    .slice(0, limit);
}
