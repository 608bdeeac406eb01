import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BUDGET, Rankings } from './ranking.ts';

const DAY = '2026-03-01';
let payment = 0;
const alerted = (card: string, score: number, day = DAY) => ({
  ...{ type: 'alerted' as const, card, at: `${day}T10:00:00Z`, payment: payment++ },
  ...{ amount: 10, score, reason: '' },
});
const known = (card: string, fraud: boolean, alerted = true) => ({
  ...{ type: 'known' as const, card, at: `${DAY}T10:00:00Z`, payment: payment++ },
  ...{ alerted, fraud },
});

describe('the ranking of a day', () => {
  it('holds a card once, by its highest score, and no more cards than the budget', () => {
    const rankings = new Rankings();
    for (let card = 0; card < BUDGET + 20; card++) {
      rankings.apply(alerted(`c${card}`, 0.5 + card / 1000));
      rankings.apply(alerted(`c${card}`, 0.5));
    }
    rankings.apply(alerted('c0', 0.99));
    const { ranking, cards, day } = rankings.of(undefined)!;
    assert.deepEqual([day, cards, ranking.length], [DAY, BUDGET, BUDGET]);
    const c0 = { rank: 1, card: 'c0', score: 0.99, alerts: 3, verdict: null };
    assert.deepEqual(ranking[0], c0);
    assert.equal(ranking[1]!.card, `c${BUDGET + 19}`);
    assert.equal(new Set(ranking.map(({ card }) => card)).size, BUDGET);
  });

  it('tells its precision as the truth becomes known, that of payments without an alert too', () => {
    const rankings = new Rankings();
    for (const [card, score] of [
      ['a', 0.9],
      ['b', 0.8],
      ['b', 0.7],
      ['c', 0.6],
      ['d', 0.55],
    ] as const) {
      rankings.apply(alerted(card, score));
    }
    assert.equal(rankings.of(DAY)!.precision, null);
    rankings.apply(known('a', true));
    rankings.apply(known('b', false));
    assert.equal(rankings.of(DAY)!.ranking[1]!.verdict, null, 'one of its two alerts is still open');
    rankings.apply(known('b', false));
    rankings.apply(known('c', true, false));
    rankings.apply(known('nobody', true, false));
    const [figures] = rankings.latest(3);
    assert.deepEqual(figures, { day: DAY, cards: 4, known: 3, frauds: 2, precision: 0.667 });
  });

  it('is forgotten after sixty days with alerts', () => {
    const rankings = new Rankings();
    for (let day = 0; day < 80; day++) {
      const text = new Date(Date.UTC(2026, 2, 1 + day)).toISOString().slice(0, 10);
      rankings.apply(alerted('a', 0.9, text));
    }
    assert.equal(rankings.of(DAY), undefined);
    assert.equal(rankings.latest(1000).length, 60);
    assert.equal(rankings.of(undefined)!.day, '2026-05-19');
  });
});
