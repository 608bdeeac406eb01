import type { KeyLocks, Waiter, Work } from './types.ts';

interface Held {
  holder: Work | undefined;
  /** In order; the first is the next to go. */
  waiting: Waiter[];
}

export function createKeyLocks(): KeyLocks {
  const locks = new Map<number, Work | Held>();
  let nextAnonymous = 2 ** 32;

  const isHeld = (lock: Work | Held): lock is Held => 'waiting' in lock;
  const ready = (key: number, held: Held): void => {
    held.holder = undefined;
    held.waiting[0]!.queue.ready.push(key);
  };

  return {
    acquire(key, work, slab, index) {
      const lock = locks.get(key);
      if (lock === work) return true;
      if (lock === undefined) {
        locks.set(key, work);
        work.locks.push(key);
        return true;
      }
      const waiter = { queue: work.queue, slab, index };
      if (!isHeld(lock)) locks.set(key, { holder: lock, waiting: [waiter] });
      else if (lock.holder === work && lock.waiting.length === 0) return true;
      else lock.waiting.push(waiter);
      return false;
    },
    release(key) {
      const lock = locks.get(key);
      if (lock && isHeld(lock) && lock.waiting.length > 0) ready(key, lock);
      else locks.delete(key);
    },
    holdBack(key, records) {
      const lock = locks.get(key);
      const waiting = lock && isHeld(lock) ? lock.waiting : [];
      locks.set(key, { holder: undefined, waiting: [...records, ...waiting] });
    },
    due(key) {
      ready(key, locks.get(key) as Held);
    },
    take(key, work) {
      const held = locks.get(key) as Held;
      held.holder = work;
      work.locks.push(key);
      return held.waiting;
    },
    peek: (key) => (locks.get(key) as Held).waiting[0]!,
    anonymous: () => nextAnonymous++,
  };
}
