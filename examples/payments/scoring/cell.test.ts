import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { observeTerminal } from '../features/terminal.ts';
import { TerminalCell, type Waiting } from './cell.ts';

const WEEK_MS = 7 * 86_400_000;
const PAID_MS = Date.parse('2018-04-01T00:00:00Z');

function waiting(id: number, afterMs: number): Waiting {
  return { id, at: new Date(PAID_MS + afterMs).toISOString(), card: `card ${id}`, score: 0.25 };
}

/** As an event finds it: written and read since. */
const stored = (cell: TerminalCell): TerminalCell => TerminalCell.unpack(cell.pack());

describe('the cell of a terminal', () => {
  it('comes back as it was, whether those that wait were looked at or not', () => {
    const cell = TerminalCell.unpack(undefined);
    observeTerminal(cell.terminal, { id: 1, atMs: PAID_MS, amount: 10 }, { ratio: 1 });
    assert.deepEqual(stored(cell).terminal, cell.terminal);
    assert.ok(!cell.pack().includes(' '), 'nobody waits');
    cell.wait(waiting(2, 1000));
    cell.wait(waiting(1, 0));
    const twice = stored(stored(cell));
    assert.equal(twice.pack(), cell.pack());
    assert.deepEqual(twice.takeFraud(2), waiting(2, 1000));
    assert.equal(twice.takeFraud(2), undefined);
    assert.deepEqual(stored(twice).takeFraud(1), waiting(1, 0));
  });

  it('tells who is genuine a week later, each once, in the order in which they came', () => {
    const cell = TerminalCell.unpack(undefined);
    for (const payment of [waiting(2, 1000), waiting(1, 0), waiting(3, 5000)]) cell.wait(payment);
    const first = stored(cell);
    assert.deepEqual(first.takeGenuine(PAID_MS + WEEK_MS - 1), []);
    const due = first.takeGenuine(PAID_MS + WEEK_MS + 1000);
    assert.deepEqual(due, [waiting(2, 1000), waiting(1, 0)]);
    const second = stored(first);
    assert.deepEqual(second.takeGenuine(PAID_MS + WEEK_MS + 1000), []);
    assert.deepEqual(second.takeGenuine(PAID_MS + WEEK_MS + 5000), [waiting(3, 5000)]);
    assert.ok(!second.pack().includes(' '));
  });
});
