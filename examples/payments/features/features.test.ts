import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generatePayments } from '../traffic/generator.ts';
import { createFeatures, knownAtMs, type LabelledPayment } from './batch.ts';
import { type CardFeatures, freshCard, observeCard, packCard, unpackCard } from './card.ts';
import { Packer, Unpacker } from './pack.ts';
import { type FeatureRow, featureRow } from './row.ts';
import {
  freshTerminal,
  LABEL_DELAY_SECONDS,
  learnFraud,
  observeTerminal,
  packTerminal,
  unpackTerminal,
} from './terminal.ts';
import { DAY_SECONDS } from './window.ts';

function take(count: number): LabelledPayment[] {
  const payments: LabelledPayment[] = [];
  for (const payment of generatePayments({ seed: 3 })) {
    payments.push(payment);
    if (payments.length === count) break;
  }
  return payments;
}

/** Keyed state as the platform keeps it: a text by key, read for each event and written after it. */
function keyedState<State>(unpack: (text: string | undefined) => State, pack: (state: State) => string) {
  const texts = new Map<string, string>();
  return {
    update<Result>(key: string, change: (state: State) => Result): Result {
      const state = unpack(texts.get(key));
      const result = change(state);
      texts.set(key, pack(state));
      return result;
    },
    longest: () => Math.max(...[...texts.values()].map((text) => text.length)),
  };
}

interface Arrival {
  readonly atMs: number;
  readonly payment: LabelledPayment;
  readonly card?: CardFeatures;
}

/**
 * Payments come to their cards in order; from the cards they come to their terminals, some of them two days late, and frauds
 * become known when they are due.
 */
function streamed(payments: readonly LabelledPayment[]): { rows: FeatureRow[]; longest: number } {
  const cards = keyedState(unpackCard, packCard);
  const terminals = keyedState(unpackTerminal, packTerminal);
  const arrivals: Arrival[] = [];
  for (const payment of payments) {
    const card = cards.update(payment.card, (state) => observeCard(state, payment));
    arrivals.push({ atMs: payment.atMs + (payment.id % 3) * DAY_SECONDS * 1000, payment, card });
    if (payment.fraud) arrivals.push({ atMs: knownAtMs(payment.atMs), payment });
  }
  // What is known when a payment is made has come before it.
  arrivals.sort((a, b) => a.atMs - b.atMs || (a.card ? 1 : 0) - (b.card ? 1 : 0));
  const rows = new Map<number, FeatureRow>();
  for (const { payment, card } of arrivals) {
    terminals.update(payment.terminal, (state) => {
      if (card) rows.set(payment.id, featureRow(payment, card, observeTerminal(state, payment, card)));
      else learnFraud(state, payment.id);
    });
  }
  return {
    rows: payments.map(({ id }) => rows.get(id)!),
    longest: Math.max(cards.longest(), terminals.longest()),
  };
}

describe('the features of payments', () => {
  it('are the same as a stream and in batch, row for row, though terminals see payments out of order', () => {
    const payments = take(20_000);
    const features = createFeatures();
    const batch = payments.map(features);
    const stream = streamed(payments);
    assert.deepEqual(stream.rows, batch);
    assert.ok(batch.some(({ suspect30 }) => suspect30 > 0));
    assert.ok(batch.some(({ terminalRate30 }) => terminalRate30 > 0));
    assert.ok(stream.longest < 2_000, `a key's state takes ${stream.longest} characters`);
  });

  it('count windows by event time, to the second', () => {
    const features = createFeatures();
    let id = 0;
    const at = (seconds: number, amount = 10): FeatureRow =>
      features({ id: id++, atMs: seconds * 1000, amount, card: 'c', terminal: 't', fraud: false });
    at(0, 30);
    assert.equal(at(DAY_SECONDS - 1).count1, 2);
    assert.equal(at(DAY_SECONDS).count1, 2, 'the first is a whole day old');
    const row = at(7 * DAY_SECONDS, 20);
    assert.deepEqual([row.count1, row.count7, row.count30], [1, 3, 4]);
    assert.deepEqual([row.mean1, row.mean7, row.mean30], [20, 40 / 3, 70 / 4]);
    assert.deepEqual([row.terminalCount1, row.terminalCount7, row.terminalCount30], [1, 1, 1]);
    assert.equal(at(100 * DAY_SECONDS).count30, 1);
  });

  it('know of a fraud a week after it was made, not before', () => {
    const features = createFeatures();
    const at = (id: number, seconds: number, fraud = false): FeatureRow =>
      features({ id, atMs: seconds * 1000, amount: 10, card: `c${id}`, terminal: 't', fraud });
    at(0, 0, true);
    assert.equal(at(1, LABEL_DELAY_SECONDS - 1).terminalRate30, 0);
    const known = at(2, LABEL_DELAY_SECONDS);
    assert.deepEqual([known.terminalRate30, known.suspect30, known.spellDays], [1, 1, 7]);
    const later = at(3, 2 * LABEL_DELAY_SECONDS + 1);
    assert.deepEqual([later.terminalRate30, later.suspect30, later.genuineSince], [1 / 3, 1, 2]);
  });

  it('take a fraud once, however often it comes, and none that the terminal does not know', () => {
    const terminal = freshTerminal();
    observeTerminal(terminal, { id: 5, atMs: 0, amount: 10 }, { ratio: 1 });
    learnFraud(terminal, 5);
    const once = structuredClone(terminal);
    learnFraud(terminal, 5);
    learnFraud(terminal, 6);
    assert.deepEqual(terminal, once);
  });
});

describe('the state of a card and of a terminal', () => {
  it('comes back from its text as it was', () => {
    assert.deepEqual(unpackCard(undefined), freshCard());
    assert.deepEqual(unpackTerminal(undefined), freshTerminal());
    const card = freshCard();
    const terminal = freshTerminal();
    for (const payment of take(300)) {
      const ofCard = observeCard(card, payment);
      observeTerminal(terminal, { ...payment, id: payment.id * 1e12 }, ofCard);
    }
    assert.ok(card.unusual.ratios.length > 0 && card.recent.cents.length === 300);
    assert.deepEqual(unpackCard(packCard(card)), card);
    assert.deepEqual(unpackTerminal(packTerminal(terminal)), terminal);
  });

  it('holds whole numbers of 53 bits of either sign', () => {
    const numbers = [0, 1, -1, 63, 64, -64, -65, 2 ** 31, -(2 ** 31), 2 ** 52 - 1, -(2 ** 52 - 1)];
    const packer = new Packer();
    for (let round = 0; round < 2000; round++) for (const each of numbers) packer.whole(each);
    const from = new Unpacker(packer.text());
    for (let round = 0; round < 2000; round++) for (const each of numbers) assert.equal(from.whole(), each);
  });
});
