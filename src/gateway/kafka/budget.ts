/** Bytes that all connections together may hold of requests; who finds none left waits in turn. */
export class Budget {
  #free: number;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(totalBytes: number) {
    this.#free = totalBytes;
  }

  /** Takes the bytes now and returns true, or later and calls `go` then. */
  take(bytes: number, go: () => void): boolean {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes;
      return true;
    }
    this.#waiting.push({ bytes, go });
    return false;
  }

  /** Gives bytes back; or, with the `go` of one who still waits, ends its waiting. */
  give(bytes: number): void {
    this.#free += bytes;
    this.#serve();
  }

  forget(go: () => void): void {
    const index = this.#waiting.findIndex((each) => each.go === go);
    if (index >= 0) this.#waiting.splice(index, 1);
    this.#serve();
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.bytes <= this.#free) {
      const { bytes, go } = this.#waiting.shift()!;
      this.#free -= bytes;
      go();
    }
  }
}
