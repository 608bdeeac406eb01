import type { Pool } from './pool.ts';

/**
 * One version of an app as it serves. An invocation belongs to the snapshot that was active when it came: calls that it
 * makes within its app go to the same snapshot, so that no answer mixes versions. A function whose version did not
 * change is the same pool in both snapshots, with its warm instances.
 */
export class AppSnapshot {
  readonly app: string;
  readonly version: string;
  readonly folder: string;
  readonly pools: ReadonlyMap<string, Pool>;
  #inFlight = 0;
  #retired = false;

  constructor(app: string, version: string, folder: string, pools: ReadonlyMap<string, Pool>) {
    this.app = app;
    this.version = version;
    this.folder = folder;
    this.pools = pools;
    for (const pool of pools.values()) pool.hold();
  }

  enter(): void {
    this.#inFlight++;
  }

  leave(): void {
    this.#inFlight--;
    if (this.#retired && this.#inFlight === 0) this.#letGo();
  }

  /** Nothing new comes to it; when the last invocation has left, its pools are let go. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    if (this.#inFlight === 0) this.#letGo();
  }

  #letGo(): void {
    for (const pool of this.pools.values()) pool.letGo();
  }
}
