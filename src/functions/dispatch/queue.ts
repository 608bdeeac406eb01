/** First in, first out, with removal from the middle; constant time at both ends however long it grows. */
export class Queue<Item extends object> {
  #items = new Set<Item>();

  get size(): number {
    return this.#items.size;
  }

  push(item: Item): void {
    this.#items.add(item);
  }

  peek(): Item | undefined {
    return this.#items.values().next().value;
  }

  shift(): Item | undefined {
    const first = this.peek();
    if (first) this.#items.delete(first);
    return first;
  }

  remove(item: Item): boolean {
    return this.#items.delete(item);
  }

  /** Empties it. */
  drain(): Item[] {
    const items = [...this.#items];
    this.#items = new Set();
    return items;
  }
}
