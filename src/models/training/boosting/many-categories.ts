import type { Column, Dataset } from '../dataset.ts';
import type { Tree, TreeEnsemble } from '../trees.ts';

/** A column as the booster sees it: of `column` of the rows, the categories from `first` on. */
interface Part {
  readonly column: number;
  readonly first: number;
}

/**
 * A column of more categories than there are bins becomes several, each with a part of them and the others missing. Nothing is lost by
 * that: a split tells one category from all others, and what is missing is among the others.
 */
export class CategoryParts {
  readonly #parts: readonly Part[];
  readonly #size: number;

  constructor(columns: readonly Column[], size: number) {
    this.#size = size;
    this.#parts = columns.flatMap((each, column) => {
      const count = each.kind === 'category' ? Math.max(1, Math.ceil(each.categories.length / size)) : 1;
      return Array.from({ length: count }, (_, part) => ({ column, first: part * size }));
    });
  }

  /** Whether any column has several parts. */
  get needed(): boolean {
    return this.#parts.some(({ first }) => first > 0);
  }

  apart<Rows extends Dataset>(dataset: Rows): Rows {
    const columns = this.#parts.map(({ column, first }): Column => {
      const whole = dataset.columns[column]!;
      if (whole.kind === 'number' || whole.categories.length <= this.#size) return whole;
      const end = first + this.#size;
      const values = whole.values.map((code) => (code >= first && code < end ? code - first : -1));
      return { ...whole, values, categories: whole.categories.slice(first, end) };
    });
    return { ...dataset, columns };
  }

  /** Trees that ask for parts, as trees that ask for whole columns. */
  together(ensemble: TreeEnsemble): TreeEnsemble {
    const whole = (tree: Tree): Tree => ({
      ...tree,
      feature: tree.feature.map((part) => this.#parts[part]?.column ?? part),
      threshold: tree.threshold.map((value, node) =>
        tree.equals[node] === 1 ? value + (this.#parts[tree.feature[node]!]?.first ?? 0) : value,
      ),
    });
    return { ...ensemble, trees: ensemble.trees.map(whole) };
  }
}
