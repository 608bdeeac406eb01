import { Packer, Unpacker } from './pack.ts';
import { centsOf, countUpTo, DAY_SECONDS, type Payment, secondsOf } from './window.ts';

/** What is remembered of a card. Lists are in the order of time, oldest first. */
export interface CardState {
  /** Payments so far. */
  count: number;
  /** Mean amount of all payments, wild ones cut: see `learnAmount`. */
  mean: number;
  /** Mean of the squared distances from that mean, the same way. */
  variance: number;
  /** The payments of the last 30 days. */
  readonly recent: { readonly seconds: number[]; readonly cents: number[] };
  /** The payments of the last 14 days that were far above the card's mean, with how many times it was. */
  readonly unusual: { readonly seconds: number[]; readonly ratios: number[] };
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
export const UNUSUAL_RATIO = 2.5;
/** A payment counts towards the mean with at most so many times the mean. */
const CUT_RATIO = 2.5;

export function freshCard(): CardState {
  return {
    count: 0,
    mean: 0,
    variance: 0,
    recent: { seconds: [], cents: [] },
    unusual: { seconds: [], ratios: [] },
  };
}

/** Takes the payment into the card's state, and gives what the payment looks like to this card. */
export function observeCard(card: CardState, payment: Payment): CardFeatures {
  const now = secondsOf(payment.atMs);
  const { recent, unusual } = card;
  const known = card.count >= FEW_PAYMENTS;
  const ratio = known ? payment.amount / Math.max(card.mean, 1) : 1;
  const excess = known ? (payment.amount - card.mean) / Math.max(Math.sqrt(card.variance), 1) : 0;
  forget(unusual.seconds, unusual.ratios, now - 14 * DAY_SECONDS);
  const unusual14 = unusual.ratios.length;
  let largest14 = 0;
  for (const each of unusual.ratios) largest14 = Math.max(largest14, each);
  if (ratio > UNUSUAL_RATIO) {
    unusual.seconds.push(now);
    unusual.ratios.push(ratio);
  }
  forget(recent.seconds, recent.cents, now - 30 * DAY_SECONDS);
  recent.seconds.push(now);
  recent.cents.push(centsOf(payment.amount));
  learnAmount(card, payment.amount);
  const { count1, count7, count30, mean1, mean7, mean30 } = velocities(card, now);
  return { count1, count7, count30, mean1, mean7, mean30, ratio, excess, unusual14, largest14 };
}

function forget(seconds: number[], values: number[], second: number): void {
  const old = countUpTo(seconds, second);
  if (old === 0) return;
  seconds.splice(0, old);
  values.splice(0, old);
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

function velocities({ recent: { seconds, cents } }: CardState, now: number) {
  let [count1, count7, cents1, cents7, cents30] = [0, 0, 0, 0, 0];
  for (let place = seconds.length - 1; place >= 0; place--) {
    const age = now - seconds[place]!;
    cents30 += cents[place]!;
    if (age < 7 * DAY_SECONDS) {
      count7++;
      cents7 += cents[place]!;
    }
    if (age < DAY_SECONDS) {
      count1++;
      cents1 += cents[place]!;
    }
  }
  const count30 = seconds.length;
  return {
    count1,
    count7,
    count30,
    mean1: cents1 / 100 / count1,
    mean7: cents7 / 100 / count7,
    mean30: cents30 / 100 / count30,
  };
}

const packer = new Packer();

export function packCard({ count, mean, variance, recent, unusual }: CardState): string {
  packer.whole(count);
  packer.double(mean);
  packer.double(variance);
  packer.whole(unusual.seconds.length);
  let before = 0;
  for (let place = 0; place < unusual.seconds.length; place++) {
    const second = unusual.seconds[place]!;
    packer.whole(second - before);
    packer.double(unusual.ratios[place]!);
    before = second;
  }
  packer.whole(recent.seconds.length);
  before = 0;
  for (let place = 0; place < recent.seconds.length; place++) {
    const second = recent.seconds[place]!;
    packer.whole(second - before);
    packer.whole(recent.cents[place]!);
    before = second;
  }
  return packer.text();
}

/** A card that nothing is known of where there is no text. */
export function unpackCard(text: string | undefined): CardState {
  const card = freshCard();
  if (text === undefined) return card;
  const from = new Unpacker(text);
  card.count = from.whole();
  card.mean = from.double();
  card.variance = from.double();
  const { recent, unusual } = card;
  for (let rest = from.whole(), second = 0; rest > 0; rest--) {
    second += from.whole();
    unusual.seconds.push(second);
    unusual.ratios.push(from.double());
  }
  for (let rest = from.whole(), second = 0; rest > 0; rest--) {
    second += from.whole();
    recent.seconds.push(second);
    recent.cents.push(from.whole());
  }
  return card;
}
