/** Numbers of a list as they are read: four bytes for each where all fit, eight where not. */
export type NumberArray = Int32Array | Float32Array | Float64Array;

const FIRST_SIZE = 8;

/** Numbers that come one by one and end in an array of their own, without an object for each or a guess at how many there are. */
export class NumberList {
  #array: NumberArray;
  #length = 0;

  constructor(holds: 'int' | 'float') {
    this.#array = holds === 'int' ? new Int32Array(FIRST_SIZE) : new Float32Array(FIRST_SIZE);
  }

  /** Of a list of floats: a float32. */
  push(value: number): void {
    if (this.#length === this.#array.length) this.#grow();
    this.#array[this.#length] = value;
    if (this.#array[this.#length] !== value && this.#array instanceof Int32Array) this.#widen(value);
    this.#length += 1;
  }

  get length(): number {
    return this.#length;
  }

  finish(): NumberArray {
    return this.#array.slice(0, this.#length);
  }

  #grow(): void {
    const Kind = this.#array.constructor as new (length: number) => NumberArray;
    const larger = new Kind(this.#array.length * 2);
    larger.set(this.#array);
    this.#array = larger;
  }

  #widen(value: number): void {
    this.#array = Float64Array.from(this.#array);
    this.#array[this.#length] = value;
  }
}
