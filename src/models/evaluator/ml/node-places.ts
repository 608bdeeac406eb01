/**
 * Where the node of a tree stands in the lists of a file. Nearly all files give a tree's nodes one after the other, numbered from
 * zero: then a node's place is that of its tree's first plus its number. Others are found by maps.
 */
export class NodePlaces {
  readonly #trees: ArrayLike<number>;
  readonly #numbers: ArrayLike<number>;
  /** By tree: its first place; undefined where the nodes are in another order. */
  readonly #first: ReadonlyMap<number, number> | undefined;
  readonly #maps: ReadonlyMap<number, ReadonlyMap<number, number>> | undefined;
  /** What was asked for last: nodes of a tree are mostly asked for together. */
  #tree: number | undefined;
  #firstOfTree = -1;
  #mapOfTree: ReadonlyMap<number, number> | undefined;

  constructor(trees: ArrayLike<number>, numbers: ArrayLike<number>) {
    this.#trees = trees;
    this.#numbers = numbers;
    this.#first = firstPlaces(trees, numbers);
    if (!this.#first) this.#maps = allPlaces(trees, numbers);
  }

  /** The node's place; -1 where it is not there. */
  find(tree: number | undefined, number: number | undefined): number {
    if (tree === undefined || number === undefined) return -1;
    if (tree !== this.#tree) {
      this.#tree = tree;
      this.#firstOfTree = this.#first?.get(tree) ?? -1;
      this.#mapOfTree = this.#maps?.get(tree);
    }
    if (!this.#first) return this.#mapOfTree?.get(number) ?? -1;
    const place = this.#firstOfTree + number;
    return this.#firstOfTree >= 0 && this.#trees[place] === tree && this.#numbers[place] === number
      ? place
      : -1;
  }
}

function firstPlaces(trees: ArrayLike<number>, numbers: ArrayLike<number>): Map<number, number> | undefined {
  const first = new Map<number, number>();
  let start = 0;
  for (let index = 0; index < trees.length; index += 1) {
    if (index === 0 || trees[index] !== trees[index - 1]) {
      if (first.has(trees[index]!)) return undefined;
      first.set(trees[index]!, index);
      start = index;
    }
    if (numbers[index] !== index - start) return undefined;
  }
  return first;
}

function allPlaces(trees: ArrayLike<number>, numbers: ArrayLike<number>): Map<number, Map<number, number>> {
  const byTree = new Map<number, Map<number, number>>();
  for (let index = 0; index < trees.length; index += 1) {
    const nodes = byTree.get(trees[index]!);
    if (nodes) nodes.set(numbers[index]!, index);
    else byTree.set(trees[index]!, new Map([[numbers[index]!, index]]));
  }
  return byTree;
}
