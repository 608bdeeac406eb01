import type { BinnedMatrix } from './bins.ts';
import { CELL, type HistogramLayout } from './histogram.ts';
import type { BoostingSettings } from './settings.ts';

/** What a set of rows adds up to. */
export interface Sums {
  gradient: number;
  hessian: number;
  readonly count: number;
}

export interface Split {
  readonly feature: number;
  /** Rows of this bin or a smaller one go left; of a category, rows of this bin alone. */
  readonly bin: number;
  readonly missingLeft: boolean;
  readonly gain: number;
  /** Counts are not part of it: they are known once the rows are divided. */
  readonly left: Omit<Sums, 'count'>;
  readonly right: Omit<Sums, 'count'>;
}

/** The values that leaves below a node may take, from monotone columns above it. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

export type SplitSettings = Pick<
  BoostingSettings,
  'lambdaL2' | 'minChildWeight' | 'minDataInLeaf' | 'minSplitGain'
>;

/** The value of a leaf that makes the loss least (second order), within bounds; before the learning rate. */
export function leafValue(gradient: number, hessian: number, lambdaL2: number, bounds: Bounds): number {
  const value = hessian + lambdaL2 > 0 ? -gradient / (hessian + lambdaL2) : 0;
  return Math.min(bounds.high, Math.max(bounds.low, value));
}

/**
 * Finds the best split of a node from its histogram. The gain is that of the second-order approximation (Chen and
 * Guestrin, "XGBoost", 2016, equation 7, times two as in LightGBM); missing values are tried on both sides.
 */
export class SplitFinder {
  readonly #columns: BinnedMatrix['columns'];
  readonly #layout: HistogramLayout;
  readonly #settings: SplitSettings;
  readonly #monotone: Int8Array;
  readonly #isMonotone: boolean;
  // The best split so far, as fields: nothing is allocated while bins are scanned.
  #gain = 0;
  #feature = -1;
  #bin = 0;
  #missingLeft = false;
  readonly #best = { gradient: 0, hessian: 0 };

  constructor(
    columns: BinnedMatrix['columns'],
    layout: HistogramLayout,
    settings: SplitSettings,
    monotone: Int8Array,
  ) {
    this.#columns = columns;
    this.#layout = layout;
    this.#settings = settings;
    this.#monotone = monotone;
    this.#isMonotone = monotone.some((direction) => direction !== 0);
  }

  find(histogram: Float64Array, total: Sums, bounds: Bounds, features: Int32Array): Split | undefined {
    const { minDataInLeaf, minChildWeight, minSplitGain } = this.#settings;
    if (total.count < 2 * minDataInLeaf || total.hessian < 2 * minChildWeight) return undefined;
    const unsplit = this.#score(total.gradient, total.hessian, bounds);
    this.#gain = unsplit + minSplitGain;
    this.#feature = -1;
    for (const feature of features) {
      const column = this.#columns[feature]!;
      if (column.categorical) this.#scanCategories(histogram, feature, total, bounds);
      else {
        this.#scan(histogram, feature, total, bounds, false);
        if (column.hasMissing) this.#scan(histogram, feature, total, bounds, true);
      }
    }
    if (this.#feature < 0) return undefined;
    const left = { ...this.#best };
    return {
      feature: this.#feature,
      bin: this.#bin,
      missingLeft: this.#missingLeft,
      gain: this.#gain - unsplit,
      left,
      right: {
        gradient: total.gradient - left.gradient,
        hessian: total.hessian - left.hessian,
      },
    };
  }

  #score(gradient: number, hessian: number, bounds: Bounds): number {
    const { lambdaL2 } = this.#settings;
    if (!this.#isMonotone) return (gradient * gradient) / (hessian + lambdaL2);
    const value = leafValue(gradient, hessian, lambdaL2, bounds);
    return -(2 * gradient * value + (hessian + lambdaL2) * value * value);
  }

  /**
   * The least sum of hessians on a side. How many rows a side has is told by its hessians, as LightGBM does: exact
   * where all rows' are equal, and near enough elsewhere to save a third of the histogram.
   */
  #leastHessian(total: Sums): number {
    const { minDataInLeaf, minChildWeight } = this.#settings;
    const perRow = total.hessian / total.count;
    return Math.max(minChildWeight, (minDataInLeaf - 0.5) * perRow, Number.MIN_VALUE);
  }

  /** Every cut of a numeric column, with its missing values on one side. */
  #scan(histogram: Float64Array, feature: number, total: Sums, bounds: Bounds, missingLeft: boolean): void {
    const { lambdaL2 } = this.#settings;
    const { bins, hasMissing } = this.#columns[feature]!;
    const offset = this.#layout.offsets[feature]!;
    const missing = offset + bins * CELL;
    const plain = !this.#isMonotone;
    let gradient = missingLeft ? histogram[missing]! : 0;
    let hessian = missingLeft ? histogram[missing + 1]! : 0;
    const leastHessian = this.#leastHessian(total);
    // With missing values on the right, "all that is not missing" is a cut of its own.
    const last = hasMissing && !missingLeft ? bins : bins - 1;
    for (let bin = 0; bin < last; bin++) {
      const cell = offset + bin * CELL;
      const here = histogram[cell + 1]!;
      gradient += histogram[cell]!;
      hessian += here;
      if (here === 0 || hessian < leastHessian) continue;
      const otherHessian = total.hessian - hessian;
      if (otherHessian < leastHessian) break;
      const otherGradient = total.gradient - gradient;
      const gain = plain
        ? (gradient * gradient) / (hessian + lambdaL2) +
          (otherGradient * otherGradient) / (otherHessian + lambdaL2)
        : this.#boundedGain(feature, gradient, hessian, otherGradient, otherHessian, bounds);
      if (gain > this.#gain) this.#take(gain, feature, bin, missingLeft, gradient, hessian);
    }
  }

  /** Each category against all others. */
  #scanCategories(histogram: Float64Array, feature: number, total: Sums, bounds: Bounds): void {
    const leastHessian = this.#leastHessian(total);
    const { bins } = this.#columns[feature]!;
    const offset = this.#layout.offsets[feature]!;
    for (let bin = 0; bin < bins; bin++) {
      const cell = offset + bin * CELL;
      const [gradient, hessian] = [histogram[cell]!, histogram[cell + 1]!];
      const otherHessian = total.hessian - hessian;
      if (hessian < leastHessian || otherHessian < leastHessian) continue;
      const gain =
        this.#score(gradient, hessian, bounds) + this.#score(total.gradient - gradient, otherHessian, bounds);
      if (gain > this.#gain) this.#take(gain, feature, bin, false, gradient, hessian);
    }
  }

  #boundedGain(
    feature: number,
    gradient: number,
    hessian: number,
    otherGradient: number,
    otherHessian: number,
    bounds: Bounds,
  ): number {
    const direction = this.#monotone[feature]!;
    if (direction !== 0) {
      const { lambdaL2 } = this.#settings;
      const left = leafValue(gradient, hessian, lambdaL2, bounds);
      const right = leafValue(otherGradient, otherHessian, lambdaL2, bounds);
      if ((right - left) * direction < 0) return -Infinity;
    }
    return this.#score(gradient, hessian, bounds) + this.#score(otherGradient, otherHessian, bounds);
  }

  #take(
    gain: number,
    feature: number,
    bin: number,
    missingLeft: boolean,
    gradient: number,
    hessian: number,
  ): void {
    this.#gain = gain;
    this.#feature = feature;
    this.#bin = bin;
    this.#missingLeft = missingLeft;
    this.#best.gradient = gradient;
    this.#best.hessian = hessian;
  }
}
