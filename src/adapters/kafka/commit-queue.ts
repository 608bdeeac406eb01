import type { CommitTurn } from '../../streams/coordination/index.ts';
import type { CommitResult } from '../../streams/port.ts';
import type { CheckedCommit } from './commit-transaction.ts';

/** Commits that share a transaction, at most. */
const MOST_COMMITS = 64;
const MOST_BYTES = 8 * 1024 * 1024;

export interface Waiting {
  readonly checked: CheckedCommit;
  readonly turn: CommitTurn;
}

interface Queued extends Waiting {
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Runs commits in the order they came, those together that came while others were under way. */
export class CommitQueue {
  readonly #run: (waiting: readonly Waiting[]) => Promise<CommitResult[]>;
  readonly #queued: Queued[] = [];
  #draining = false;

  constructor(run: (waiting: readonly Waiting[]) => Promise<CommitResult[]>) {
    this.#run = run;
  }

  /** One that was called before a failure was known, but has come only now, falls with it. */
  add(waiting: Waiting): Promise<CommitResult> | CommitResult {
    if (waiting.turn.overtaken()) return { status: 'FENCED' };
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>();
    this.#queued.push({ ...waiting, resolve, reject });
    if (!this.#draining) void this.#drain();
    return promise;
  }

  /** Never rejects. That it has ended is known in the same step in which the queue was found empty: none is left behind. */
  async #drain(): Promise<void> {
    this.#draining = true;
    while (this.#queued.length > 0) {
      // What is called in one turn of the event loop goes together.
      await new Promise(setImmediate);
      const going = this.#take();
      try {
        const results = await this.#run(going);
        for (const [index, { resolve }] of going.entries()) resolve(results[index]!);
      } catch (error) {
        const [failed, ...others] = going;
        failed!.reject(error);
        for (const { resolve } of [...others, ...this.#queued.splice(0)]) resolve({ status: 'FENCED' });
      }
    }
    this.#draining = false;
  }

  #take(): Queued[] {
    let bytes = 0;
    let count = 0;
    for (const { checked } of this.#queued) {
      bytes += checked.commit.appends.reduce((sum, { batch }) => sum + batch.length, 0);
      if (count > 0 && (bytes > MOST_BYTES || count === MOST_COMMITS)) break;
      count++;
    }
    return this.#queued.splice(0, count);
  }
}
