import type { TopicPartition } from '../../streams/port.ts';
import { placeKey } from './bounds.ts';

interface Watcher {
  readonly places: ReadonlySet<string>;
  readonly onAdvance: () => void;
}

/** Tells those who watch a partition that its end has moved, at most once per turn of the event loop. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();
  readonly #advanced = new Set<string>();

  add(places: readonly TopicPartition[], onAdvance: () => void): () => void {
    const watcher = { places: new Set(places.map(placeKey)), onAdvance };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  advanced(place: TopicPartition): void {
    if (this.#advanced.size === 0) setImmediate(() => this.#tell());
    this.#advanced.add(placeKey(place));
  }

  #tell(): void {
    const advanced = new Set(this.#advanced);
    this.#advanced.clear();
    for (const watcher of [...this.#watchers]) {
      if (this.#watchers.has(watcher) && !watcher.places.isDisjointFrom(advanced)) watcher.onAdvance();
    }
  }
}
