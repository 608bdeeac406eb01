import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ErrorCode, isMillraceError } from '../../kernel/index.ts';
import { type ProducedBatch, ProducerStates } from './producer-states.ts';

const refuses = (states: ProducerStates, batch: ProducedBatch, code: ErrorCode): void =>
  assert.throws(
    () => states.admit(batch),
    (error) => isMillraceError(error, code),
  );

const batch = (baseSequence: number, count = 1, options: Partial<ProducedBatch> = {}): ProducedBatch => ({
  producerId: 7,
  producerEpoch: 0,
  baseSequence,
  lastOffsetDelta: count - 1,
  transactional: false,
  ...options,
});

/** Appends batches one after the other and answers with the next offset. */
function appendAll(states: ProducerStates, batches: readonly ProducedBatch[], from = 0): number {
  let offset = from;
  for (const one of batches) {
    assert.equal(states.admit(one), undefined);
    states.append(one, offset, 0);
    offset += one.lastOffsetDelta + 1;
  }
  return offset;
}

describe('idempotent producers', () => {
  it('lets plain batches pass', () => {
    const states = new ProducerStates();
    assert.equal(states.admit(batch(-1, 3, { producerId: -1 })), undefined);
    states.append(batch(-1, 3, { producerId: -1 }), 0, 0);
    assert.deepEqual(states.active(), []);
  });

  it('recognises the last five batches and no older one', () => {
    const states = new ProducerStates();
    appendAll(states, [batch(0, 2), batch(2), batch(3), batch(4), batch(5), batch(6, 3)]);
    assert.deepEqual(states.admit(batch(2)), {
      baseSequence: 2,
      lastSequence: 2,
      baseOffset: 2,
      lastOffset: 2,
      appendTimeMs: -1,
    });
    assert.equal(states.admit(batch(6, 3))?.lastOffset, 8);
    refuses(states, batch(0, 2), 'SEQUENCE_OUT_OF_ORDER');
    refuses(states, batch(6, 2), 'SEQUENCE_OUT_OF_ORDER');
  });

  it('refuses a gap, an unknown producer in the middle, and an old epoch', () => {
    const states = new ProducerStates();
    refuses(states, batch(3), 'PRODUCER_UNKNOWN');
    appendAll(states, [batch(0), batch(1)]);
    refuses(states, batch(3), 'SEQUENCE_OUT_OF_ORDER');
    refuses(states, batch(4, 1, { producerEpoch: 1 }), 'SEQUENCE_OUT_OF_ORDER');
    appendAll(states, [batch(0, 1, { producerEpoch: 1 })], 2);
    refuses(states, batch(2), 'PRODUCER_FENCED');
  });

  it('goes on at 0 after sequence 2^31 - 1, also within a batch', () => {
    const last = 2 ** 31 - 1;
    const entry = {
      baseSequence: last - 3,
      lastSequence: last - 2,
      baseOffset: 0,
      lastOffset: 1,
      appendTimeMs: -1,
    };
    const states = new ProducerStates({
      producers: [{ producerId: 7, epoch: 0, batches: [entry], lastTimeMs: 0 }],
      aborted: [],
    });
    appendAll(states, [batch(last - 1, 4), batch(2)], 2);
    assert.equal(states.admit(batch(last - 1, 4))?.baseOffset, 2);
    refuses(states, batch(0), 'SEQUENCE_OUT_OF_ORDER');
  });

  it('takes appends back as if they had not been', () => {
    const states = new ProducerStates();
    appendAll(states, [batch(0)]);
    const before = states.snapshot();
    const undo = [
      states.append(batch(1), 1, 5),
      states.append(batch(0, 1, { producerId: 8, transactional: true }), 2, 5),
    ];
    for (const one of undo.toReversed()) one();
    assert.deepEqual(states.snapshot(), before);
    assert.equal(states.lastStableOffset(10), 10);
  });

  it('forgets producers that were silent, but none with an open transaction', () => {
    const states = new ProducerStates();
    appendAll(states, [batch(0), batch(0, 1, { producerId: 8, transactional: true })]);
    states.expire(1000, 999);
    assert.deepEqual(
      states.active().map((one) => one.producerId),
      [8],
    );
  });
});

describe('transactions of one partition', () => {
  const open = (states: ProducerStates, producerId: number, offset: number): void =>
    void states.append(batch(0, 1, { producerId, transactional: true }), offset, 0);

  it('is stable up to the first undecided transaction', () => {
    const states = new ProducerStates();
    assert.equal(states.lastStableOffset(3), 3);
    open(states, 1, 3);
    open(states, 2, 4);
    assert.equal(states.lastStableOffset(5), 3);
    states.mark({ producerId: 1, producerEpoch: 0, outcome: 'commit' }, 5, 0);
    assert.equal(states.lastStableOffset(5), 3, 'its marker is not durable yet');
    assert.equal(states.lastStableOffset(6), 4);
    states.mark({ producerId: 2, producerEpoch: 0, outcome: 'abort' }, 6, 0);
    assert.equal(states.lastStableOffset(7), 7);
    assert.deepEqual(states.abortedBetween(0, 5), [{ producerId: 2, firstOffset: 4, lastOffset: 6 }]);
    assert.deepEqual(states.abortedBetween(0, 4), []);
    assert.deepEqual(states.abortedBetween(7, 9), []);
  });

  it('fences the epochs before the marker', () => {
    const states = new ProducerStates();
    open(states, 1, 0);
    states.mark({ producerId: 1, producerEpoch: 1, outcome: 'abort' }, 1, 0);
    refuses(states, batch(1, 1, { producerId: 1, transactional: true }), 'PRODUCER_FENCED');
    assert.equal(
      states.admit(batch(0, 1, { producerId: 1, producerEpoch: 1, transactional: true })),
      undefined,
    );
  });

  it('refuses a plain batch inside a transaction', () => {
    const states = new ProducerStates();
    open(states, 1, 0);
    refuses(states, batch(1, 1, { producerId: 1 }), 'TRANSACTION_STATE');
  });

  it('comes back the same from its snapshot', () => {
    const states = new ProducerStates();
    open(states, 1, 0);
    open(states, 2, 1);
    states.mark({ producerId: 1, producerEpoch: 0, outcome: 'abort' }, 2, 0);
    const again = new ProducerStates(JSON.parse(JSON.stringify(states.snapshot())));
    assert.deepEqual(again.snapshot(), states.snapshot());
    assert.equal(again.lastStableOffset(3), 1);
    again.startAt(3);
    assert.deepEqual(again.abortedBetween(0, 9), []);
  });

  it('is not changed by markers of before its snapshot that are replayed over it', () => {
    const states = new ProducerStates();
    open(states, 1, 0);
    states.mark({ producerId: 1, producerEpoch: 0, outcome: 'abort' }, 1, 0);
    const second = batch(1, 1, { producerId: 1, transactional: true });
    states.append(second, 2, 0);
    const again = new ProducerStates(states.snapshot());
    again.mark({ producerId: 1, producerEpoch: 0, outcome: 'abort' }, 1, 0);
    assert.deepEqual(again.snapshot(), states.snapshot());
    again.append(second, 2, 0);
    again.mark({ producerId: 1, producerEpoch: 0, outcome: 'commit' }, 3, 0);
    assert.deepEqual(again.abortedBetween(2, 9), [], 'what was committed is not among the aborted');
  });
});
