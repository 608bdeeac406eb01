/** Gives the value at a point, and writes the gradient there. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  readonly iterations: number;
  /** Ends when the largest part of the gradient is below this. */
  readonly tolerance: number;
  readonly onStep?: (done: number, value: number) => void;
}

/** Pairs of steps and changes of the gradient that the curvature is told from. */
const MEMORY = 10;

/**
 * Finds the least of a smooth function by L-BFGS (Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4 and 7.5)
 * with a backtracking line search. Changes `point`; gives the iterations it took.
 */
export function minimise(objective: Objective, point: Float64Array, options: MinimiseOptions): number {
  const size = point.length;
  let gradient = new Float64Array(size);
  let next = new Float64Array(size);
  const trial = new Float64Array(size);
  const pairs: { step: Float64Array; change: Float64Array; curvature: number }[] = [];
  let value = objective(point, gradient);
  for (let done = 0; done < options.iterations; done++) {
    if (largest(gradient) < options.tolerance) return done;
    const direction = directionOf(gradient, pairs);
    const slope = dot(direction, gradient);
    let length = pairs.length === 0 ? 1 / Math.max(1, Math.sqrt(-slope)) : 1;
    let found = Number.NaN;
    for (let tries = 0; tries < 40; tries++, length /= 2) {
      for (let place = 0; place < size; place++) trial[place] = point[place]! + length * direction[place]!;
      found = objective(trial, next);
      if (found <= value + 1e-4 * length * slope) break;
    }
    if (!(found < value)) return done;
    const step = new Float64Array(size);
    const change = new Float64Array(size);
    for (let place = 0; place < size; place++) {
      step[place] = trial[place]! - point[place]!;
      change[place] = next[place]! - gradient[place]!;
    }
    const curvature = dot(step, change);
    if (curvature > 1e-12) pairs.push({ step, change, curvature });
    if (pairs.length > MEMORY) pairs.shift();
    point.set(trial);
    value = found;
    [gradient, next] = [next, gradient];
    options.onStep?.(done + 1, value);
  }
  return options.iterations;
}

function directionOf(
  gradient: Float64Array,
  pairs: readonly { step: Float64Array; change: Float64Array; curvature: number }[],
): Float64Array {
  const direction = gradient.slice();
  const factors = new Float64Array(pairs.length);
  for (let each = pairs.length - 1; each >= 0; each--) {
    const { step, change, curvature } = pairs[each]!;
    factors[each] = dot(step, direction) / curvature;
    add(direction, change, -factors[each]!);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = last.curvature / dot(last.change, last.change);
    for (let place = 0; place < direction.length; place++) direction[place]! *= scale;
  }
  pairs.forEach(({ step, change, curvature }, each) => {
    add(direction, step, factors[each]! - dot(change, direction) / curvature);
  });
  return direction.map((part) => -part);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let place = 0; place < a.length; place++) sum += a[place]! * b[place]!;
  return sum;
}

function add(to: Float64Array, from: Float64Array, factor: number): void {
  for (let place = 0; place < to.length; place++) to[place]! += factor * from[place]!;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
