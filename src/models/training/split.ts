import { seededRandom } from '../../kernel/index.ts';
import { type Dataset, takeRows } from './dataset.ts';
import { DEFAULT_SEED, type TrainingSpec } from './spec.ts';

export interface Parted {
  readonly train: Dataset;
  readonly held: Dataset | undefined;
}

/** Holds a part of the rows back. Each side keeps at least one row; with none to be held back, all are learnt from. */
export function holdBack(dataset: Dataset, part: number, spec: Pick<TrainingSpec, 'split' | 'seed'>): Parted {
  const count = Math.round(dataset.rows * part);
  if (count === 0 || count === dataset.rows) return { train: dataset, held: undefined };
  const order = Int32Array.from({ length: dataset.rows }, (_, row) => row);
  if (spec.split !== 'last') shuffle(order, spec.seed ?? DEFAULT_SEED);
  const kept = dataset.rows - count;
  // Rows stay in their order: learning from them must not depend on how the split was drawn.
  return {
    train: takeRows(dataset, order.slice(0, kept).sort()),
    held: takeRows(dataset, order.slice(kept).sort()),
  };
}

function shuffle(order: Int32Array, seed: number): void {
  const random = seededRandom(seed);
  for (let place = order.length - 1; place > 0; place--) {
    const other = random.integer(place + 1);
    [order[place], order[other]] = [order[other]!, order[place]!];
  }
}
