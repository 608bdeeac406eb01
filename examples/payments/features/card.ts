import { DAY_SECONDS, dropOlder, type Payment, type Recent, secondsOf } from './window.ts';

/** What is remembered of a card, as plain JSON: about a kilobyte for a card that pays twice a day. */
export interface CardState {
  /** Payments so far. */
  count: number;
  /** Mean amount of all payments, wild ones cut: see `learnAmount`. */
  mean: number;
  /** Mean of the squared distances from that mean, the same way. */
  variance: number;
  /** The payments of the last 30 days, oldest first. */
  recent: Recent;
  /** The payments of the last 14 days that were far above the card's mean. */
  unusual: Recent;
}

export interface CardFeatures {
  /** Payments in the last 1, 7 and 30 days, this one among them, and their mean amounts. */
  readonly count1: number;
  readonly count7: number;
  readonly count30: number;
  readonly mean1: number;
  readonly mean7: number;
  readonly mean30: number;
  /** The amount over the card's usual one; 1 for the first payments. */
  readonly ratio: number;
  /** How many standard deviations the amount lies above the card's usual one; 0 for the first payments. */
  readonly excess: number;
  /** Payments of the last 14 days far above the usual, this one not among them, and the largest of their ratios. */
  readonly unusual14: number;
  readonly largest14: number;
}

/** Below so many payments a card's mean says little. */
const FEW_PAYMENTS = 5;
/** A payment of more than so many times the usual is remembered as unusual. */
const UNUSUAL_RATIO = 2.5;
/** A payment counts towards the mean with at most so many times the mean. */
const CUT_RATIO = 2.5;

export function freshCard(): CardState {
  return {
    count: 0,
    mean: 0,
    variance: 0,
    recent: { seconds: [], values: [] },
    unusual: { seconds: [], values: [] },
  };
}

/** Takes the payment into the card's state, and gives what the payment looks like to this card. */
export function observeCard(card: CardState, payment: Payment): CardFeatures {
  const now = secondsOf(payment.atMs);
  const { amount } = payment;
  const known = card.count >= FEW_PAYMENTS;
  const ratio = known ? amount / Math.max(card.mean, 1) : 1;
  const excess = known ? (amount - card.mean) / Math.max(Math.sqrt(card.variance), 1) : 0;
  dropOlder(card.unusual, now - 14 * DAY_SECONDS);
  const unusual14 = card.unusual.values.length;
  let largest14 = 0;
  for (const each of card.unusual.values) largest14 = Math.max(largest14, each);
  if (ratio > UNUSUAL_RATIO) {
    card.unusual.seconds.push(now);
    card.unusual.values.push(ratio);
  }
  dropOlder(card.recent, now - 30 * DAY_SECONDS);
  card.recent.seconds.push(now);
  card.recent.values.push(amount);
  learnAmount(card, amount);
  return { ...velocities(card.recent, now), ratio, excess, unusual14, largest14 };
}

/** A wild payment must not teach the card that wild is normal: it is cut to a multiple of the mean. */
function learnAmount(card: CardState, amount: number): void {
  const known = card.count >= FEW_PAYMENTS;
  const cut = known ? Math.min(amount, CUT_RATIO * card.mean) : amount;
  card.count++;
  const before = cut - card.mean;
  card.mean += before / card.count;
  card.variance += (before * (cut - card.mean) - card.variance) / card.count;
}

function velocities(recent: Recent, now: number) {
  let [count1, count7, sum1, sum7, sum30] = [0, 0, 0, 0, 0];
  const { seconds, values } = recent;
  for (let place = seconds.length - 1; place >= 0; place--) {
    const age = now - seconds[place]!;
    const amount = values[place]!;
    sum30 += amount;
    if (age < 7 * DAY_SECONDS) {
      count7++;
      sum7 += amount;
    }
    if (age < DAY_SECONDS) {
      count1++;
      sum1 += amount;
    }
  }
  const count30 = seconds.length;
  return { count1, count7, count30, mean1: sum1 / count1, mean7: sum7 / count7, mean30: sum30 / count30 };
}
