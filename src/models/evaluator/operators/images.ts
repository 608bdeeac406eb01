import { elementCount, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import {
  elementsOf,
  floatsOf,
  int64,
  integersOf,
  type NodeFacts,
  type Operators,
  rounded,
  scalarOf,
  tensorOperator,
} from '../operator.ts';
import { axisOf, eachPosition, misfit, show } from '../shapes.ts';

/** One axis of a resized tensor: where each output place lies, and what of the input goes into it. */
interface Axis {
  readonly places: readonly (readonly number[])[];
  readonly weights: readonly (readonly number[])[];
  /** Outside the region of a crop: the extrapolation value. */
  readonly outside: readonly boolean[];
}

interface Region {
  readonly start: number;
  readonly end: number;
}

/** Where output place `index` lies in the input (https://onnx.ai/onnx/operators/onnx__Resize.html). */
function coordinate(
  mode: string,
  index: number,
  input: number,
  output: number,
  scale: number,
  region: Region,
): number {
  // The standard counts with the size before it is rounded down to whole elements.
  const exact = scale * input;
  switch (mode) {
    case 'asymmetric':
      return index / scale;
    case 'align_corners':
      return output === 1 ? 0 : (index * (input - 1)) / (exact - 1);
    case 'pytorch_half_pixel':
      return output > 1 ? (index + 0.5) / scale - 0.5 : 0;
    case 'tf_half_pixel_for_nn':
      return (index + 0.5) / scale;
    case 'tf_crop_and_resize':
      return output > 1
        ? region.start * (input - 1) + (index * (region.end - region.start) * (input - 1)) / (output - 1)
        : 0.5 * (region.start + region.end) * (input - 1);
    case 'half_pixel_symmetric': {
      const adjustment = output / exact;
      return (input / 2) * (1 - adjustment) + (index + 0.5) / scale - 0.5;
    }
    case 'half_pixel':
      return (index + 0.5) / scale - 0.5;
    default:
      throw misfit(`a transformation ${JSON.stringify(mode)}`);
  }
}

function nearest(mode: string, x: number): number {
  if (mode === 'floor') return Math.floor(x);
  if (mode === 'ceil') return Math.ceil(x);
  if (mode === 'round_prefer_ceil') return Math.floor(x + 0.5);
  return Math.ceil(x - 0.5);
}

/** Keys' cubic kernel. */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  return x < 2 ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a : 0;
}

/** A place and a weight. */
const BYTES_PER_TAP = 16;

interface Interpolation {
  readonly mode: string;
  readonly transformation: string;
  readonly nearestMode: string;
  readonly cubicA: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
}

/** Places around `x` and their weights, before places outside are drawn to the edge. */
function neighbours(x: number, scale: number, how: Interpolation): [number[], number[]] {
  if (how.mode === 'nearest') return [[nearest(how.nearestMode, x)], [1]];
  const stretch = how.antialias && scale < 1 ? 1 / scale : 1;
  const reach = (how.mode === 'linear' ? 1 : 2) * stretch;
  const first = stretch > 1 ? Math.ceil(x - reach) : Math.floor(x) - (reach - 1);
  const last = stretch > 1 ? Math.floor(x + reach) : Math.floor(x) + reach;
  const places: number[] = [];
  const weights: number[] = [];
  for (let place = first; place <= last; place += 1) {
    const distance = (place - x) / stretch;
    places.push(place);
    weights.push(how.mode === 'linear' ? Math.max(0, 1 - Math.abs(distance)) : cubic(distance, how.cubicA));
  }
  return [places, weights];
}

/** What an axis is made of counts before it is made: a size or a scale from a file may ask for any number of neighbours. */
function countTaps(budget: Budget, output: number, scale: number, how: Interpolation): void {
  const stretch = how.antialias && scale < 1 ? 1 / scale : 1;
  const taps = how.mode === 'nearest' ? 1 : (how.mode === 'linear' ? 2 : 4) * stretch + 1;
  if (!(output >= 0 && taps >= 1)) throw misfit(`an axis of ${output}, scaled by ${scale}`);
  if (output > 0) budget.take(output * taps * BYTES_PER_TAP);
}

function axisPlan(input: number, output: number, scale: number, region: Region, how: Interpolation): Axis {
  const outside: boolean[] = [];
  const places: number[][] = [];
  const weights: number[][] = [];
  for (let index = 0; index < output; index += 1) {
    const x = coordinate(how.transformation, index, input, output, scale, region);
    outside.push(how.transformation === 'tf_crop_and_resize' && (x < 0 || x > input - 1));
    const [around, raw] = neighbours(x, scale, how);
    const kept = raw.map((weight, at) =>
      how.excludeOutside && (around[at]! < 0 || around[at]! >= input) ? 0 : weight,
    );
    const total = how.excludeOutside || how.antialias ? kept.reduce((sum, weight) => sum + weight, 0) : 1;
    places.push(around.map((place) => Math.min(input - 1, Math.max(0, place))));
    weights.push(kept.map((weight) => weight / total));
  }
  return { places, weights, outside };
}

/** Resizes one axis after the other; for all but nearest, sums are float64 between. */
function resizeAxes(
  node: NodeFacts,
  x: Tensor,
  output: readonly number[],
  scales: readonly number[],
  regions: readonly Region[],
  how: Interpolation,
): Tensor {
  const nearestOnly = how.mode === 'nearest';
  let dims = [...x.dims];
  let data: ArrayLike<number> = nearestOnly ? elementsOf(x.data) : floatsOf(x);
  const outsides: (readonly boolean[])[] = [];
  for (let dim = 0; dim < dims.length; dim += 1) {
    outsides.push([]);
    const size = dims[dim]!;
    if (output[dim] === size && scales[dim] === 1 && how.transformation !== 'tf_crop_and_resize') continue;
    if (size === 0) throw misfit(`${show(x.dims)} cannot be resized`);
    countTaps(node.budget, output[dim]!, scales[dim]!, how);
    const plan = axisPlan(size, output[dim]!, scales[dim]!, regions[dim]!, how);
    outsides[dim] = plan.outside;
    const shape = dims.with(dim, output[dim]!);
    const inner = elementCount(dims.slice(dim + 1));
    const next = elementsOf(node.budget.array(nearestOnly ? x.type : 'float64', shape));
    node.budget.work(next.length * (plan.weights[0]?.length ?? 1));
    for (let index = 0; index < next.length; index += 1) {
      const place = Math.floor(index / inner) % output[dim]!;
      const from = Math.floor(index / (inner * output[dim]!)) * size * inner + (index % inner);
      const [around, weights] = [plan.places[place]!, plan.weights[place]!];
      if (nearestOnly) {
        next[index] = data[from + around[0]! * inner]!;
        continue;
      }
      let sum = 0;
      for (let at = 0; at < around.length; at += 1) sum += weights[at]! * data[from + around[at]! * inner]!;
      next[index] = sum;
    }
    dims = shape;
    data = next;
  }
  return extrapolated(node, { x, dims, data }, outsides);
}

function extrapolated(
  node: NodeFacts,
  { x, dims, data }: { x: Tensor; dims: readonly number[]; data: ArrayLike<number> },
  outsides: readonly (readonly boolean[])[],
): Tensor {
  const out = elementsOf(node.budget.array(x.type, dims));
  for (let index = 0; index < out.length; index += 1) out[index] = data[index]!;
  if (outsides.some((each) => each.includes(true))) {
    const value = node.float('extrapolation_value', 0);
    eachPosition(dims, (position, index) => {
      if (position.some((place, dim) => outsides[dim]![place])) out[index] = value;
    });
  }
  return { type: x.type, dims, data: rounded(x.type, out) };
}

/** Opset 10 had only scales, and the coordinates that are now called asymmetric. */
const resize = tensorOperator(10, 1, (node) => {
  const old = node.opset < 11;
  const how: Interpolation = {
    mode: node.string('mode', 'nearest'),
    transformation: old ? 'asymmetric' : node.string('coordinate_transformation_mode', 'half_pixel'),
    nearestMode: old ? 'floor' : node.string('nearest_mode', 'round_prefer_floor'),
    cubicA: node.float('cubic_coeff_a', -0.75),
    excludeOutside: node.int('exclude_outside', 0) === 1,
    antialias: node.int('antialias', 0) === 1,
  };
  if (!['nearest', 'linear', 'cubic'].includes(how.mode)) throw misfit(`a mode ${JSON.stringify(how.mode)}`);
  return (x, roi, scalesInput, sizesInput) => {
    const rank = x!.dims.length;
    const axes = node.ints('axes')?.map((axis) => axisOf(axis, rank)) ?? x!.dims.map((_, dim) => dim);
    const given = old ? roi : scalesInput?.data.length ? scalesInput : undefined;
    const sizes = given ? undefined : sizesInput && integersOf(sizesInput);
    const factors = given && floatsOf(given);
    if ((factors ?? sizes)?.length !== axes.length) throw misfit('neither scales nor sizes for its axes');
    const scales = new Array<number>(rank).fill(1);
    const output = [...x!.dims];
    for (const [index, axis] of axes.entries()) {
      scales[axis] = factors ? factors[index]! : sizes![index]! / x!.dims[axis]!;
    }
    fitAspect(node, axes, scales, !factors);
    for (const [index, axis] of axes.entries()) {
      const keeps = node.string('keep_aspect_ratio_policy', 'stretch') === 'stretch';
      output[axis] =
        sizes && keeps
          ? sizes[index]!
          : factors
            ? Math.floor(x!.dims[axis]! * scales[axis]!)
            : Math.round(x!.dims[axis]! * scales[axis]!);
    }
    const region = roi && !old ? floatsOf(roi) : [];
    const regions = x!.dims.map((_, dim) => {
      const at = axes.indexOf(dim);
      return { start: region[at] ?? 0, end: region[axes.length + at] ?? 1 };
    });
    return resizeAxes(node, x!, output, scales, regions, how);
  };
});

function fitAspect(node: NodeFacts, axes: readonly number[], scales: number[], bySizes: boolean): void {
  const policy = node.string('keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch' || !bySizes) return;
  const all = axes.map((axis) => scales[axis]!);
  const scale = policy === 'not_larger' ? Math.min(...all) : Math.max(...all);
  for (const axis of axes) scales[axis] = scale;
}

/** The forerunner of Resize: scales are an attribute up to opset 8. */
const upsample = tensorOperator(7, 1, (node) => (x, scalesInput) => {
  const scales = scalesInput ? Array.from(floatsOf(scalesInput)) : Array.from(node.floats('scales') ?? []);
  if (scales.length !== x!.dims.length) throw misfit(`scales of ${show(scales)} for ${show(x!.dims)}`);
  const output = x!.dims.map((size, dim) => Math.floor(size * scales[dim]!));
  const mode = node.string('mode', 'nearest');
  const how = {
    mode: mode === 'nearest' ? mode : 'linear',
    transformation: 'asymmetric',
    nearestMode: 'floor',
    cubicA: 0,
    excludeOutside: false,
    antialias: false,
  };
  return resizeAxes(
    node,
    x!,
    output,
    scales,
    x!.dims.map(() => ({ start: 0, end: 1 })),
    how,
  );
});

/** Corners of box `index`: given as two opposite ones, or as its middle and its size. */
function cornersOf(
  boxes: ArrayLike<number>,
  index: number,
  centered: boolean,
): readonly [number, number, number, number] {
  const [a, b, c, d] = [0, 1, 2, 3].map((at) => boxes[index * 4 + at]!) as [number, number, number, number];
  if (centered) return [b - d / 2, a - c / 2, b + d / 2, a + c / 2];
  return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
}

function overlap(a: readonly number[], b: readonly number[]): number {
  const height = Math.min(a[2]!, b[2]!) - Math.max(a[0]!, b[0]!);
  const width = Math.min(a[3]!, b[3]!) - Math.max(a[1]!, b[1]!);
  if (height <= 0 || width <= 0) return 0;
  const area = (box: readonly number[]): number => (box[2]! - box[0]!) * (box[3]! - box[1]!);
  const both = height * width;
  return both / (area(a) + area(b) - both);
}

/** Of boxes that overlap too much, the one with the best score stays. */
const nonMaxSuppression = tensorOperator(10, 2, (node) => {
  const centered = node.int('center_point_box', 0) === 1;
  return (boxes, scores, mostInput, overlapInput, scoreInput) => {
    const most = mostInput ? scalarOf(mostInput) : 0;
    const threshold = overlapInput ? scalarOf(overlapInput) : 0;
    const least = scoreInput ? scalarOf(scoreInput) : Number.NEGATIVE_INFINITY;
    const [batches, classes, count] = scores!.dims as readonly [number, number, number];
    if (scores!.dims.length !== 3 || boxes!.data.length !== batches * count * 4)
      throw misfit(`boxes of ${show(boxes!.dims)}`);
    const [corners, values] = [floatsOf(boxes!), floatsOf(scores!)];
    const selected: number[] = [];
    for (let group = 0; group < batches * classes; group += 1) {
      const [batch, at] = [Math.floor(group / classes), group * count];
      const order = Array.from({ length: count }, (_, index) => index)
        .filter((index) => values[at + index]! > least)
        .sort((a, b) => values[at + b]! - values[at + a]! || a - b);
      const kept: (readonly number[])[] = [];
      for (const index of order) {
        if (kept.length >= most) break;
        node.budget.work(10 + kept.length * 10);
        const box = cornersOf(corners, batch * count + index, centered);
        if (kept.some((other) => overlap(box, other) > threshold)) continue;
        kept.push(box);
        selected.push(batch, group % classes, index);
      }
    }
    return int64([selected.length / 3, 3], selected);
  };
});

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const images: Operators = { Resize: resize, Upsample: upsample, NonMaxSuppression: nonMaxSuppression };
