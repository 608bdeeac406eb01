import type { Position, TopicPartition } from '../../streams/index.ts';
import { DONE, PENDING, type Slab } from './slab.ts';
import type { Failure, KeyLocks, PartitionQueue, TakeLimits, Work } from './types.ts';
import { emptyWork, offsetAt, pick, sizeOf, sortWork } from './work.ts';

export function createPartitionQueue(
  { topic, partition, stream }: TopicPartition & { readonly stream: string },
  start: Position,
  locks: KeyLocks,
): PartitionQueue {
  const slabs: Slab[] = [];
  const ready: number[] = [];
  const failures = new Map<number, Failure>();
  let retainedBytes = 0;
  let available = 0;
  /** Next record to take, as slab and index; slabs before it may be dropped. */
  let cursorSlab = 0;
  let cursorIndex = 0;
  /** Oldest record that is not done, in the first slab. */
  let frontIndex = 0;
  /** Records between front and cursor. */
  let window = 0;
  let lastTaken = -1;
  const skip = new Set(start.done);

  const free = (slab: Slab): void => {
    if (slab.bytes.length > 0) retainedBytes -= slab.sizeBytes;
    slab.bytes = slab.text = NO_BYTES;
  };

  /** Moves the front over what is done, never past the cursor. */
  const advance = (): void => {
    for (;;) {
      const slab = slabs[0];
      if (!slab) return;
      const stop = cursorSlab === 0 ? cursorIndex : slab.count;
      while (frontIndex < stop && slab.status[frontIndex] === DONE) {
        frontIndex++;
        window--;
      }
      if (frontIndex < slab.count) return;
      free(slab);
      slabs.shift();
      if (cursorSlab > 0) cursorSlab--;
      else cursorIndex = 0;
      frontIndex = 0;
    }
  };

  const takeReady = (work: Work, limits: TakeLimits): 'full' | 'open' => {
    while (ready.length > 0) {
      const key = ready[0]!;
      if (sizeOf(work) > 0 && isFull(work, limits)) return 'full';
      const alone = takeWaiting(key, work, limits);
      if (alone) return 'full';
    }
    return 'open';
  };

  /** Takes what waits for the ready `key`; true when the work must go as it is. */
  const takeWaiting = (key: number, work: Work, limits: TakeLimits): boolean => {
    const first = locks.peek(key);
    const goesAlone = failures.get(first.slab.offsets[first.index]!)?.alone ?? false;
    if (goesAlone && sizeOf(work) > 0) return true;
    ready.shift();
    const waiting = locks.take(key, work);
    while (waiting.length > 0 && waiting[0]!.queue === queue && !isFull(work, limits)) {
      const { slab, index } = waiting.shift()!;
      pick(work, slab, index);
      if (goesAlone) return true;
    }
    return false;
  };

  const takeNew = (work: Work, limits: TakeLimits): void => {
    while (cursorSlab < slabs.length && window < limits.windowRecords && !isFull(work, limits)) {
      const slab = slabs[cursorSlab]!;
      if (cursorIndex === slab.count) {
        cursorSlab++;
        cursorIndex = 0;
        continue;
      }
      const index = cursorIndex++;
      window++;
      lastTaken = slab.offsets[index]!;
      if (slab.status[index] !== PENDING) continue;
      available--;
      if (slab.keyLength[index]! < 0 || locks.acquire(slab.keyHash[index]!, work, slab, index))
        pick(work, slab, index);
    }
  };

  /** Done offsets at or above the front: those of this session, and those handed down that the cursor has not reached. */
  const doneAhead = (): number[] => {
    const done: number[] = [];
    for (let at = 0; at < slabs.length && at <= cursorSlab; at++) {
      const slab = slabs[at]!;
      const end = at === cursorSlab ? cursorIndex : slab.count;
      for (let index = at === 0 ? frontIndex : 0; index < end; index++) {
        if (slab.status[index] === DONE) done.push(slab.offsets[index]!);
      }
    }
    for (const offset of skip) if (offset > lastTaken) done.push(offset);
    return done;
  };

  const queue: PartitionQueue = {
    topic,
    partition,
    stream,
    fetchOffset: start.offset,
    locks,
    ready,
    failures,
    skip,
    get retainedBytes() {
      return retainedBytes;
    },
    get available() {
      return available;
    },
    windowFull: (windowRecords) => window >= windowRecords,
    get availableSinceMs() {
      const behindCursor = slabs[cursorSlab];
      const exhausted = behindCursor && cursorIndex === behindCursor.count;
      return slabs[exhausted ? cursorSlab + 1 : cursorSlab]?.arrivedMs ?? 0;
    },
    add(slab, nextOffset, nowMs) {
      queue.fetchOffset = nextOffset;
      const fresh = slab.count - slab.done;
      if (slab.count === 0) return;
      slab.arrivedMs = nowMs;
      available += fresh;
      retainedBytes += slab.sizeBytes;
      slabs.push(slab);
      if (fresh === 0) free(slab);
    },
    take(limits) {
      const work = emptyWork(queue);
      const hadReady = ready.length > 0;
      if (takeReady(work, limits) === 'open') takeNew(work, limits);
      advance();
      if (sizeOf(work) === 0) return undefined;
      if (hadReady) sortWork(work);
      return work;
    },
    finish(work) {
      for (let at = 0; at < work.indexes.length; at++) {
        const slab = work.slabs[at]!;
        slab.status[work.indexes[at]!] = DONE;
        if (++slab.done === slab.count) free(slab);
        if (failures.size > 0) failures.delete(offsetAt(work, at));
      }
      advance();
      for (const offset of skip) {
        if (offset > lastTaken) break;
        skip.delete(offset);
      }
    },
    get frontOffset() {
      const first = slabs[0];
      return first && frontIndex < first.count ? first.offsets[frontIndex]! : queue.fetchOffset;
    },
    position: () => ({ offset: queue.frontOffset, done: doneAhead() }),
  };
  return queue;
}

const NO_BYTES = Buffer.alloc(0);

function isFull(work: Work, limits: TakeLimits): boolean {
  return sizeOf(work) >= limits.records || work.bytes >= limits.bytes;
}
