import type { CaseEvent } from './streams.ts';

/** So many cards a day the analysts can look at. */
export const BUDGET = 100;
/** Event days that are kept, so that memory does not grow with the stream. */
const DAYS_KEPT = 60;

/** How a day's ranking turned out, so far. */
export interface DayFigures {
  /** Event day, UTC. */
  readonly day: string;
  /** Cards in the ranking: at most the budget. */
  readonly cards: number;
  /** Of these: whose truth is known, and how many were defrauded on that day. */
  readonly known: number;
  readonly frauds: number;
  /** Of the known ones; null without any. The handbook's card precision, where all are known. */
  readonly precision: number | null;
}

export interface RankedCard {
  readonly rank: number;
  readonly card: string;
  /** The highest of the card's alerts of the day. */
  readonly score: number;
  readonly alerts: number;
  /** Null until it is known. */
  readonly verdict: 'fraud' | 'genuine' | null;
}

export interface DayRanking extends DayFigures {
  readonly budget: number;
  readonly ranking: readonly RankedCard[];
}

interface CardOfDay {
  readonly card: string;
  score: number;
  alerts: number;
  /** Alerts whose truth is known. */
  known: number;
  fraud: boolean;
}

type Day = Map<string, CardOfDay>;

/**
 * A read model of the case events: for each event day the cards that raised alerts, each once by its highest score, as the Fraud
 * Detection Handbook ranks them. A card is defrauded if any of its payments of that day was, one without an alert too.
 */
export class Rankings {
  private readonly days = new Map<string, Day>();

  apply(event: CaseEvent): void {
    if (event.type === 'alerted') this.alert(event.card, dayOf(event.at), event.score);
    if (event.type === 'known') this.learn(event);
  }

  /** Of a day that is not too long ago, or of the latest. */
  of(day: string | undefined): DayRanking | undefined {
    const wanted = day ?? this.newestFirst()[0];
    const cards = wanted === undefined ? undefined : this.days.get(wanted);
    if (!cards) return undefined;
    const ranking = ranked(cards).map(
      (each, place): RankedCard => ({
        rank: place + 1,
        card: each.card,
        score: each.score,
        alerts: each.alerts,
        verdict: verdictOf(each),
      }),
    );
    return { ...figures(wanted!, cards), budget: BUDGET, ranking };
  }

  /** The latest days, newest first. */
  latest(count: number): DayFigures[] {
    return this.newestFirst()
      .slice(0, count)
      .map((day) => figures(day, this.days.get(day)!));
  }

  private newestFirst(): string[] {
    return [...this.days.keys()].sort().reverse();
  }

  private alert(card: string, day: string, score: number): void {
    let cards = this.days.get(day);
    if (!cards) {
      cards = new Map();
      this.days.set(day, cards);
      if (this.days.size > DAYS_KEPT) this.days.delete(this.newestFirst().at(-1)!);
    }
    const known = cards.get(card);
    if (!known) cards.set(card, { card, score, alerts: 1, known: 0, fraud: false });
    else {
      known.score = Math.max(known.score, score);
      known.alerts++;
    }
  }

  private learn({ card, at, alerted, fraud }: Extract<CaseEvent, { type: 'known' }>): void {
    const found = this.days.get(dayOf(at))?.get(card);
    if (!found) return;
    if (alerted) found.known++;
    if (fraud) found.fraud = true;
  }
}

/** Of a time with any offset. */
const dayOf = (at: string): string => new Date(at).toISOString().slice(0, 10);

function ranked(cards: Day): CardOfDay[] {
  return [...cards.values()]
    .sort((a, b) => b.score - a.score || a.card.localeCompare(b.card))
    .slice(0, BUDGET);
}

function verdictOf({ alerts, known, fraud }: CardOfDay): RankedCard['verdict'] {
  if (fraud) return 'fraud';
  return known >= alerts ? 'genuine' : null;
}

function figures(day: string, cards: Day): DayFigures {
  const verdicts = ranked(cards).map(verdictOf);
  const known = verdicts.filter((verdict) => verdict !== null).length;
  const frauds = verdicts.filter((verdict) => verdict === 'fraud').length;
  const precision = known === 0 ? null : Number((frauds / known).toFixed(3));
  return { day, cards: verdicts.length, known, frauds, precision };
}
