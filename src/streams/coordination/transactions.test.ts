import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, isMillraceError } from '../../kernel/index.ts';
import type { ProducerIdentity } from '../port.ts';
import { Transactions, type TransactionsSnapshot } from './transactions.ts';

const A0 = { topic: 'a', partition: 0 };
const A1 = { topic: 'a', partition: 1 };

/** Decides and applies at once, as a store does whose writes never fail. */
function coordinator(snapshot?: TransactionsSnapshot, monotonicMs = 0) {
  const transactions = new Transactions(snapshot, monotonicMs);
  const init = (request: Parameters<Transactions['init']>[0]): ProducerIdentity => {
    const { identity, abort, changes } = transactions.init(request, 0);
    if (abort) transactions.apply(abort.complete, 0);
    for (const change of changes) transactions.apply(change, 0);
    return identity;
  };
  const add = (id: string, producer: ProducerIdentity, partitions = [A0], monotonic = 0): void => {
    const change = transactions.addPartitions(id, producer, partitions, 0);
    if (change) transactions.apply(change, monotonic);
  };
  const end = (id: string, producer: ProducerIdentity, outcome: 'commit' | 'abort') => {
    const decided = transactions.decideEnd({ transactionalId: id, producer, outcome }, 0);
    if (decided.end) transactions.apply(decided.end.complete, 0);
    return decided.end;
  };
  /** As clients of KIP-890 do: the answer names the identity to go on with. */
  const endAndRaise = (id: string, producer: ProducerIdentity, outcome: 'commit' | 'abort') => {
    const request = { transactionalId: id, producer, outcome, raiseEpoch: true };
    const { identity, end: ended, changes } = transactions.decideEnd(request, 0);
    if (ended) transactions.apply(ended.complete, 0);
    for (const change of changes) transactions.apply(change, 0);
    return identity;
  };
  return { transactions, init, add, end, endAndRaise };
}

const refuses = (work: () => unknown, code: ErrorCode): void =>
  assert.throws(work, (error) => isMillraceError(error, code));

describe('producer identities', () => {
  it('are new without a transactional id and raise the epoch with one', () => {
    const { init } = coordinator();
    assert.notEqual(init({}).producerId, init({}).producerId);
    const first = init({ transactionalId: 't' });
    const second = init({ transactionalId: 't' });
    assert.deepEqual(second, { producerId: first.producerId, epoch: first.epoch + 1 });
  });

  it('abort what an earlier holder left open, with the epoch that fences it', () => {
    const { transactions, init, add } = coordinator();
    const first = init({ transactionalId: 't' });
    add('t', first);
    const { abort } = transactions.init({ transactionalId: 't' }, 0);
    assert.deepEqual(abort?.marker, { producerId: first.producerId, producerEpoch: 1, outcome: 'abort' });
    assert.deepEqual(abort?.partitions, [A0]);
  });

  it('go on from a current identity, also when the answer was lost, but not from an old one', () => {
    const { init } = coordinator();
    const first = init({ transactionalId: 't' });
    const second = init({ transactionalId: 't', current: first });
    assert.equal(second.epoch, 1);
    assert.deepEqual(init({ transactionalId: 't', current: first }), second);
    init({ transactionalId: 't', current: second });
    refuses(() => init({ transactionalId: 't', current: first }), 'PRODUCER_FENCED');
  });

  it('change when the epochs are used up', () => {
    const { transactions, init, add } = coordinator();
    let identity = init({ transactionalId: 't' });
    const { producerId } = identity;
    while (identity.epoch < 32_766) identity = init({ transactionalId: 't' });
    add('t', identity);
    const { abort, identity: next } = transactions.init({ transactionalId: 't' }, 0);
    assert.equal(abort?.marker.producerEpoch, 32_767);
    assert.notEqual(next.producerId, producerId);
    assert.equal(next.epoch, 0);
  });

  it('refuse timeouts that are not possible', () => {
    const { init } = coordinator();
    refuses(() => init({ transactionalId: 't', transactionTimeoutMs: 900_001 }), 'BAD_REQUEST');
    refuses(() => init({ transactionalId: 't', transactionTimeoutMs: 0 }), 'BAD_REQUEST');
  });
});

describe('a transaction', () => {
  it('admits batches only to partitions that were added', () => {
    const { transactions, init, add, end } = coordinator();
    const producer = init({ transactionalId: 't' });
    refuses(() => transactions.admit(producer, A0), 'TRANSACTION_STATE');
    add('t', producer, [A0, A0]);
    transactions.admit(producer, A0);
    refuses(() => transactions.admit(producer, A1), 'TRANSACTION_STATE');
    assert.deepEqual(end('t', producer, 'commit')?.partitions, [A0]);
    refuses(() => transactions.admit(producer, A0), 'TRANSACTION_STATE');
    refuses(() => transactions.admit({ producerId: 99, epoch: 0 }, A0), 'PRODUCER_UNKNOWN');
  });

  it('takes nothing in while its end is prepared, and goes on when the end is cancelled', () => {
    const { transactions, init, add } = coordinator();
    const producer = init({ transactionalId: 't' });
    add('t', producer);
    transactions.decideEnd({ transactionalId: 't', producer, outcome: 'commit' }, 0);
    refuses(() => transactions.admit(producer, A0), 'TRANSACTION_STATE');
    refuses(() => add('t', producer, [A1]), 'TRANSACTION_STATE');
    refuses(() => transactions.init({ transactionalId: 't' }, 0), 'TRANSACTION_STATE');
    transactions.cancelEnd('t');
    transactions.admit(producer, A0);
  });

  it('ends once; the same end again is answered, another is refused', () => {
    const { init, add, end } = coordinator();
    const producer = init({ transactionalId: 't' });
    refuses(() => end('t', producer, 'commit'), 'TRANSACTION_STATE');
    add('t', producer);
    assert.ok(end('t', producer, 'commit'));
    assert.equal(end('t', producer, 'commit'), undefined);
    refuses(() => end('t', producer, 'abort'), 'TRANSACTION_STATE');
    refuses(() => end('t', { ...producer, epoch: 5 }, 'commit'), 'PRODUCER_FENCED');
    refuses(() => end('u', producer, 'commit'), 'PRODUCER_UNKNOWN');
  });

  it('raises the epoch with its end where it is asked to, and tells the new one again when the answer was lost', () => {
    const { transactions, init, add, endAndRaise } = coordinator();
    const first = init({ transactionalId: 't' });
    refuses(() => endAndRaise('t', first, 'commit'), 'TRANSACTION_STATE');
    add('t', first);
    const second = endAndRaise('t', first, 'commit');
    assert.deepEqual(second, { producerId: first.producerId, epoch: 1 });
    assert.deepEqual(endAndRaise('t', first, 'commit'), second);
    refuses(() => endAndRaise('t', first, 'abort'), 'PRODUCER_FENCED');
    refuses(() => add('t', first), 'PRODUCER_FENCED');
    assert.equal(
      endAndRaise('t', second, 'abort').epoch,
      2,
      'nothing was open, and still nothing late can join',
    );
    add('t', { ...second, epoch: 2 });
    transactions.apply(transactions.prepareTimeout('t', 0, 1e9)!.complete, 0);
    refuses(() => endAndRaise('t', { ...second, epoch: 2 }, 'abort'), 'PRODUCER_FENCED');
  });

  it('goes on under another producer id when its end uses up the epochs', () => {
    const { transactions, init, add, endAndRaise } = coordinator();
    let identity = init({ transactionalId: 't' });
    while (identity.epoch < 32_766) identity = endAndRaise('t', identity, 'abort');
    add('t', identity);
    const next = endAndRaise('t', identity, 'commit');
    assert.notEqual(next.producerId, identity.producerId);
    assert.equal(transactions.idOf(next.producerId), 't');
    assert.deepEqual(endAndRaise('t', identity, 'commit'), next);
    add('t', next);
  });

  it('fences a holder that was taken over, though it asks to go on', () => {
    const { init } = coordinator();
    const zombie = init({ transactionalId: 't' });
    init({ transactionalId: 't' });
    refuses(() => init({ transactionalId: 't', current: zombie }), 'PRODUCER_FENCED');
  });

  it('tells which positions wait for it; one sent again replaces the one before', () => {
    const { transactions, init, end } = coordinator();
    const producer = init({ transactionalId: 't' });
    for (const offset of [5, 7]) {
      const offsets = [{ ...A0, offset, done: [] }];
      transactions.apply(transactions.addOffsets(producer, 'g', offsets, 3), 0);
    }
    assert.deepEqual(transactions.pendingOffsets('g'), [A0]);
    assert.deepEqual(transactions.pendingOffsets('h'), []);
    assert.deepEqual(transactions.list(), [
      {
        ...{ transactionalId: 't', ...producer, state: 'ongoing', timeoutMs: 60_000, startedMs: 3 },
        ...{ partitions: [], groups: ['g'] },
      },
    ]);
    assert.deepEqual(end('t', producer, 'commit')?.offsets, [
      { group: 'g', offsets: [{ ...A0, offset: 7, done: [] }] },
    ]);
    assert.deepEqual(transactions.pendingOffsets('g'), []);
  });

  it('carries offsets of groups to its commit and drops them when it aborts', () => {
    const { transactions, init, end } = coordinator();
    const producer = init({ transactionalId: 't' });
    const offsets = [{ ...A0, offset: 5, done: [] }];
    transactions.apply(transactions.addOffsets(producer, 'g', offsets, 0), 0);
    assert.deepEqual(end('t', producer, 'commit')?.offsets, [{ group: 'g', offsets }]);
    transactions.apply(transactions.addOffsets(producer, 'g', offsets, 0), 0);
    assert.deepEqual(end('t', producer, 'abort')?.offsets, []);
  });

  it('runs out by the monotonic clock and fences its producer', () => {
    const { transactions, init, add } = coordinator();
    const producer = init({ transactionalId: 't', transactionTimeoutMs: 100 });
    add('t', producer, [A0], 50);
    add('t', producer, [A1], 120);
    assert.deepEqual(transactions.overdue(149), []);
    assert.deepEqual(transactions.overdue(150), ['t']);
    const aborted = transactions.prepareTimeout('t', 0, 150)!;
    assert.equal(aborted.outcome, 'abort');
    transactions.apply(aborted.complete, 150);
    refuses(() => transactions.admit(producer, A0), 'PRODUCER_FENCED');
    assert.deepEqual(transactions.overdue(1000), []);
  });

  it('comes back open from a snapshot, with its whole timeout', () => {
    const { transactions, init, add } = coordinator();
    const producer = init({ transactionalId: 't', transactionTimeoutMs: 100 });
    add('t', producer);
    transactions.decideEnd({ transactionalId: 't', producer, outcome: 'commit' }, 0);
    const again = coordinator(JSON.parse(JSON.stringify(transactions.snapshot())), 1000);
    again.transactions.admit(producer, A0);
    assert.deepEqual(again.transactions.overdue(1099), []);
    assert.deepEqual(again.transactions.overdue(1100), ['t']);
    assert.notEqual(again.init({}).producerId, producer.producerId);
  });

  it('is forgotten when nobody used it for long, unless it is open', () => {
    const { transactions, init, add } = coordinator();
    init({ transactionalId: 'idle' });
    add('open', init({ transactionalId: 'open' }));
    const gone = transactions.expireIdle(1000, 999);
    assert.deepEqual(gone, [{ kind: 'transaction-gone', transactionalId: 'idle' }]);
    for (const change of gone) transactions.apply(change, 0);
    assert.equal(transactions.find('idle'), undefined);
  });
});
