import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generatePayments } from '../traffic/generator.ts';
import { createFeatures, type LabelledPayment } from './batch.ts';
import { type CardFeatures, type CardState, freshCard, observeCard } from './card.ts';
import { type FeatureRow, featureRow } from './row.ts';
import {
  freshTerminal,
  LABEL_DELAY_SECONDS,
  learnLabel,
  observeTerminal,
  type TerminalState,
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

/** Keyed state as the platform keeps it: a text of JSON by key, read for each event and written after it. */
function keyedState<State>(fresh: () => State) {
  const texts = new Map<string, string>();
  return {
    update<Result>(key: string, change: (state: State) => Result): Result {
      const text = texts.get(key);
      const state = text === undefined ? fresh() : (JSON.parse(text) as State);
      const result = change(state);
      texts.set(key, JSON.stringify(state));
      return result;
    },
    longest: () => Math.max(...[...texts.values()].map((text) => text.length)),
  };
}

/** One stream of payments by card, one of payments and labels by terminal: each key sees its own events alone. */
function streamed(payments: readonly LabelledPayment[]): { rows: FeatureRow[]; longest: number } {
  const cards = keyedState<CardState>(freshCard);
  const terminals = keyedState<TerminalState>(freshTerminal);
  const byTerminal = new Map<string, { dueMs: number; event: LabelledPayment; card?: CardFeatures }[]>();
  for (const event of payments) {
    const card = cards.update(event.card, (state) => observeCard(state, event));
    const events = byTerminal.get(event.terminal) ?? [];
    byTerminal.set(event.terminal, events);
    events.push({ dueMs: event.atMs, event, card });
    events.push({ dueMs: event.atMs + LABEL_DELAY_SECONDS * 1000, event });
  }
  const rows = new Map<number, FeatureRow>();
  for (const [terminal, events] of byTerminal) {
    // A label that is due when a payment is made comes first.
    events.sort((a, b) => a.dueMs - b.dueMs || (a.card ? 1 : 0) - (b.card ? 1 : 0));
    for (const { event, card } of events) {
      terminals.update(terminal, (state) => {
        if (card) rows.set(event.id, featureRow(event, card, observeTerminal(state, event, card)));
        else learnLabel(state, event);
      });
    }
  }
  return {
    rows: payments.map(({ id }) => rows.get(id)!),
    longest: Math.max(cards.longest(), terminals.longest()),
  };
}

describe('the features of payments', () => {
  it('are the same as a stream and in batch, row for row', () => {
    const payments = take(20_000);
    const features = createFeatures();
    const batch = payments.map(features);
    const stream = streamed(payments);
    assert.deepEqual(stream.rows, batch);
    assert.ok(
      batch.some(({ suspect30 }) => suspect30 > 0) && batch.some(({ terminalRate30 }) => terminalRate30 > 0),
    );
    assert.ok(stream.longest < 20_000, `a key's state takes ${stream.longest} characters`);
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

  it('take a label once, however often it comes', () => {
    const terminal = freshTerminal();
    observeTerminal(terminal, { id: 5, atMs: 0, amount: 10 }, { ratio: 1 });
    learnLabel(terminal, { id: 5, fraud: true });
    const once = structuredClone(terminal);
    learnLabel(terminal, { id: 5, fraud: true });
    learnLabel(terminal, { id: 6, fraud: true });
    assert.deepEqual(terminal, once);
  });
});
