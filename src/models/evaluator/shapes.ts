import { elementCount } from '../tensor.ts';

/** Thrown by operators when what they are given does not fit; whoever runs the node says which one it was. */
export class Misfit extends Error {}

export function misfit(message: string): Misfit {
  return new Misfit(message);
}

export function show(dims: readonly number[]): string {
  return `[${dims.join(', ')}]`;
}

/** Steps between neighbours along each dim of a row-major tensor. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let step = 1;
  for (let dim = dims.length - 1; dim >= 0; dim -= 1) {
    strides[dim] = step;
    step *= dims[dim]!;
  }
  return strides;
}

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, dim) => size === b[dim]);
}

/** An axis counted from either end, from 0. */
export function axisOf(axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank)
    throw misfit(`axis ${axis} of a tensor with ${rank} dims`);
  return at;
}

/** The dims that numpy's broadcasting gives (https://numpy.org/doc/stable/user/basics.broadcasting.html). */
export function broadcastDims(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((dims) => dims.length));
  const result = new Array<number>(rank).fill(1);
  for (const dims of shapes) {
    for (let dim = 0; dim < dims.length; dim += 1) {
      const at = rank - dims.length + dim;
      const size = dims[dim]!;
      if (size === 1 || size === result[at]) continue;
      if (result[at] !== 1) throw misfit(`${shapes.map(show).join(' and ')} cannot be broadcast together`);
      result[at] = size;
    }
  }
  return result;
}

/** Strides over `dims` for a tensor of `own` dims that is broadcast to them: 0 where it repeats. */
export function broadcastStrides(own: readonly number[], dims: readonly number[]): number[] {
  const strides = stridesOf(own);
  const lead = dims.length - own.length;
  return dims.map((_, dim) => (dim < lead || own[dim - lead] === 1 ? 0 : strides[dim - lead]!));
}

/** Drops dims of 1 and joins neighbours that all strides walk as one, so that inner loops are long. */
export function collapse(
  dims: readonly number[],
  ...strides: readonly (readonly number[])[]
): { readonly dims: number[]; readonly strides: number[][] } {
  const joined: number[] = [];
  const steps: number[][] = strides.map(() => []);
  for (let dim = 0; dim < dims.length; dim += 1) {
    const size = dims[dim]!;
    if (size === 1) continue;
    const last = joined.length - 1;
    const joins = last >= 0 && strides.every((step, index) => steps[index]![last] === step[dim]! * size);
    if (joins) joined[last]! *= size;
    else joined.push(size);
    for (const [index, step] of strides.entries()) {
      if (joins) steps[index]![last] = step[dim]!;
      else steps[index]!.push(step[dim]!);
    }
  }
  if (joined.length === 0) {
    joined.push(1);
    for (const step of steps) step.push(0);
  }
  return { dims: joined, strides: steps };
}

/**
 * Copies elements at `strides` from `offset` into a row-major target of `dims`. Any kind of array: elements are only moved.
 */
export function copyStrided(
  source: ArrayLike<unknown>,
  offset: number,
  strides: readonly number[],
  target: { [index: number]: unknown },
  dims: readonly number[],
): void {
  const total = elementCount(dims);
  if (total === 0) return;
  const flat = collapse(dims, strides);
  const rank = flat.dims.length;
  const steps = flat.strides[0]!;
  const length = flat.dims[rank - 1]!;
  const step = steps[rank - 1]!;
  const counter = new Array<number>(rank).fill(0);
  let from = offset;
  for (let to = 0; to < total; to += length) {
    for (let index = 0, at = from; index < length; index += 1, at += step) target[to + index] = source[at];
    for (let dim = rank - 2; dim >= 0; dim -= 1) {
      from += steps[dim]!;
      if (++counter[dim]! < flat.dims[dim]!) break;
      from -= steps[dim]! * flat.dims[dim]!;
      counter[dim] = 0;
    }
  }
}

/** Walks every position of `dims` in row-major order; `visit` gets the coordinates, which it must not keep. */
export function eachPosition(
  dims: readonly number[],
  visit: (position: readonly number[], index: number) => void,
): void {
  const total = elementCount(dims);
  const position = new Array<number>(dims.length).fill(0);
  for (let index = 0; index < total; index += 1) {
    visit(position, index);
    for (let dim = dims.length - 1; dim >= 0; dim -= 1) {
      if (++position[dim]! < dims[dim]!) break;
      position[dim] = 0;
    }
  }
}

/** A tensor of `dims` seen as [outer, size of the axis, inner]. */
export function aroundAxis(
  dims: readonly number[],
  axis: number,
): { outer: number; size: number; inner: number } {
  return {
    outer: elementCount(dims.slice(0, axis)),
    size: dims[axis]!,
    inner: elementCount(dims.slice(axis + 1)),
  };
}
