/**
 * How the Fraud Detection Handbook measures (Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning
 * for Credit Card Fraud Detection", 2022, chapters 3.4 and 4.4; `get_train_test_set` and `card_precision_top_k` of its
 * shared functions, https://github.com/Fraud-Detection-Handbook/fraud-detection-handbook): train on a week, leave a
 * week until its labels are known, test on the week after.
 */
import { auc, averagePrecision } from 'millrace/training';

export const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;
const DELAY_DAYS = 7;

/** A payment of the weeks that count, with its features as the model takes them. */
export interface Sample {
  readonly atMs: number;
  readonly card: string;
  readonly fraud: boolean;
  readonly values: Float32Array;
}

export interface Period {
  /** Midnight, UTC, before the first day of training. */
  readonly trainFromMs: number;
}

export const testFromMs = ({ trainFromMs }: Period): number =>
  trainFromMs + (WEEK_DAYS + DELAY_DAYS) * DAY_MS;
export const testEndMs = (period: Period): number => testFromMs(period) + WEEK_DAYS * DAY_MS;

/**
 * The payments to train on, and those to test on. A card that is known to be defrauded is not tested any more: from the
 * week of training, and from each day of the week after it once that day's labels are known.
 */
export function divide(
  samples: readonly Sample[],
  period: Period,
): { readonly train: Sample[]; readonly test: Sample[] } {
  const days = new Map<number, Sample[]>();
  for (const sample of samples) {
    const day = Math.floor((sample.atMs - period.trainFromMs) / DAY_MS);
    const ofDay = days.get(day);
    if (ofDay) ofDay.push(sample);
    else days.set(day, [sample]);
  }
  const ofDay = (day: number): readonly Sample[] => days.get(day) ?? [];
  const train = Array.from({ length: WEEK_DAYS }, (_, day) => ofDay(day)).flat();
  const defrauded = new Set<string>();
  const learn = (day: number): void => {
    for (const { card, fraud } of ofDay(day)) if (fraud) defrauded.add(card);
  };
  for (let day = 0; day < WEEK_DAYS; day++) learn(day);
  const test: Sample[] = [];
  for (let day = 0; day < WEEK_DAYS; day++) {
    // The labels of the day before this one, a delay ago: the newest that are known when the day begins.
    learn(WEEK_DAYS + day - 1);
    for (const sample of ofDay(WEEK_DAYS + DELAY_DAYS + day)) {
      if (!defrauded.has(sample.card)) test.push(sample);
    }
  }
  return { train, test };
}

export interface Quality {
  readonly averagePrecision: number;
  readonly auc: number;
  /** Of the 100 cards with the highest score of each day, the part that was defrauded that day; mean over the days. */
  readonly cardPrecisionAt100: number;
}

export function measure(test: readonly Sample[], scores: Float64Array): Quality {
  const label = Uint8Array.from(test, ({ fraud }) => (fraud ? 1 : 0));
  return {
    averagePrecision: averagePrecision(label, scores),
    auc: auc(label, scores),
    cardPrecisionAt100: cardPrecision(test, scores, 100),
  };
}

interface CardOfDay {
  readonly card: string;
  score: number;
  fraud: boolean;
}

/** Cards that an alert has found out are out of the game on later days. */
function cardPrecision(test: readonly Sample[], scores: Float64Array, budget: number): number {
  const days = Map.groupBy(test.keys(), (place) => Math.floor(test[place]!.atMs / DAY_MS));
  const found = new Set<string>();
  let sum = 0;
  for (const day of [...days.keys()].sort((a, b) => a - b)) {
    const cards = new Map<string, CardOfDay>();
    for (const place of days.get(day)!) {
      const { card, fraud } = test[place]!;
      if (found.has(card)) continue;
      const score = scores[place]!;
      const known = cards.get(card);
      if (!known) cards.set(card, { card, score, fraud });
      else {
        known.score = Math.max(known.score, score);
        known.fraud ||= fraud;
      }
    }
    const alerts = [...cards.values()].sort((a, b) => b.score - a.score).slice(0, budget);
    const right = alerts.filter(({ fraud }) => fraud);
    for (const { card } of right) found.add(card);
    sum += right.length / budget;
  }
  return sum / days.size;
}
