import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { manualClock, systemClock } from './clock.ts';

describe('the manual clock', () => {
  it('stands still until it is moved', () => {
    const clock = manualClock(1000);
    assert.deepEqual([clock.now(), clock.monotonic()], [1000, 0]);
    clock.advance(5);
    assert.deepEqual([clock.now(), clock.monotonic()], [1005, 5]);
  });

  it('fires timers in order of time, then of arming, each at its own time', () => {
    const clock = manualClock(0);
    const fired: string[] = [];
    const arm = (delayMs: number, name: string) =>
      clock.after(delayMs, () => fired.push(`${name}@${clock.now()}`));
    arm(20, 'late');
    arm(10, 'first');
    arm(10, 'second');
    arm(-5, 'at once');
    clock.advance(15);
    assert.deepEqual(fired, ['at once@0', 'first@10', 'second@10']);
    assert.equal(clock.pending(), 1);
  });

  it('fires what is armed on the way, if it comes due', () => {
    const clock = manualClock(0);
    const fired: number[] = [];
    const again = (): void => {
      fired.push(clock.now());
      clock.after(10, again);
    };
    clock.after(10, again);
    clock.advance(35);
    assert.deepEqual(fired, [10, 20, 30]);
  });

  it('does not fire what was cancelled, by another timer too', () => {
    const clock = manualClock();
    let fired = 0;
    const second = clock.after(10, () => fired++);
    clock.after(5, () => second.cancel());
    clock.advance(100);
    assert.deepEqual([fired, clock.pending()], [0, 0]);
  });

  it('jumps the wall clock alone: timers follow the monotonic one', () => {
    const clock = manualClock(1000);
    let fired = 0;
    clock.after(10, () => fired++);
    clock.jump(0);
    assert.deepEqual([clock.now(), clock.monotonic(), fired], [0, 0, 0]);
    clock.advance(10);
    assert.deepEqual([clock.now(), fired], [10, 1]);
  });
});

describe('the system clock', () => {
  it('fires a timer once, and never one that was cancelled', async () => {
    const clock = systemClock();
    const before = clock.monotonic();
    const alive = setInterval(() => undefined, 1000);
    const cancelled = clock.after(0, () => assert.fail('it was cancelled'));
    cancelled.cancel();
    await new Promise<void>((resolve) => void clock.after(1, resolve));
    clearInterval(alive);
    assert.ok(clock.monotonic() > before);
  });

  it('does not fire at once for a delay that is too long for Node', async () => {
    const clock = systemClock();
    const timer = clock.after(2 ** 40, () => assert.fail('it fired'));
    // Node takes a delay it cannot hold for 1 ms, and fires timers of one delay in the order they were made.
    await new Promise<void>((resolve) => void clock.after(1, resolve));
    timer.cancel();
  });
});
