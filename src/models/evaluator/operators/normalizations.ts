import { elementCount, type Tensor } from '../../tensor.ts';
import { floatsOf, type NodeFacts, type Operators, rounded, tensorOperator } from '../operator.ts';
import {
  aroundAxis,
  axisOf,
  broadcastDims,
  broadcastStrides,
  eachPosition,
  misfit,
  show,
} from '../shapes.ts';
import { planReduction } from './reductions.ts';

interface Moments {
  readonly mean: number;
  readonly variance: number;
}

/** Mean and variance of `size` elements from `at` on. */
function momentsOf(data: ArrayLike<number>, at: number, size: number): Moments {
  let sum = 0;
  for (let index = at; index < at + size; index += 1) sum += data[index]!;
  const mean = sum / size;
  let squares = 0;
  for (let index = at; index < at + size; index += 1) squares += (data[index]! - mean) ** 2;
  return { mean, variance: squares / size };
}

function result(node: NodeFacts, x: Tensor, value: (index: number) => number): Tensor {
  const out = node.budget.array(x.type, x.dims) as Float32Array;
  node.budget.work(out.length * 8);
  for (let index = 0; index < out.length; index += 1) out[index] = value(index);
  return { type: x.type, dims: x.dims, data: rounded(x.type, out) };
}

function perChannel(tensor: Tensor, channels: number): ArrayLike<number> {
  if (tensor.data.length !== channels) throw misfit(`${show(tensor.dims)} for ${channels} channels`);
  return floatsOf(tensor);
}

/** In training mode (an attribute since opset 14) it takes the batch's own moments and gives the running ones. */
const batch = tensorOperator(1, 5, (node) => {
  const epsilon = node.float('epsilon', 1e-5);
  const momentum = node.float('momentum', 0.9);
  const trains = node.opset >= 14 && node.int('training_mode', 0) === 1;
  return (x, scaleInput, biasInput, meanInput, varianceInput) => {
    const channels = x!.dims[1] ?? 1;
    const inner = elementCount(x!.dims.slice(2));
    const [scale, bias] = [perChannel(scaleInput!, channels), perChannel(biasInput!, channels)];
    let [mean, variance] = [perChannel(meanInput!, channels), perChannel(varianceInput!, channels)];
    const data = floatsOf(x!);
    const running: Tensor[] = [];
    if (trains) {
      const own = channelMoments(x!, data, node);
      const blend = (before: ArrayLike<number>, now: Float64Array): Tensor => ({
        ...{ type: meanInput!.type, dims: [channels] },
        data: Float32Array.from(
          now,
          (value, channel) => before[channel]! * momentum + value * (1 - momentum),
        ),
      });
      running.push(blend(mean, own.mean), blend(variance, own.variance));
      [mean, variance] = [own.mean, own.variance];
    }
    const factor = Float64Array.from(
      { length: channels },
      (_, channel) => scale[channel]! / Math.sqrt(variance[channel]! + epsilon),
    );
    const y = result(node, x!, (index) => {
      const channel = Math.floor(index / inner) % channels;
      return (data[index]! - mean[channel]!) * factor[channel]! + bias[channel]!;
    });
    return [y, ...running];
  };
});

function channelMoments(
  x: Tensor,
  data: ArrayLike<number>,
  node: NodeFacts,
): { mean: Float64Array; variance: Float64Array } {
  const channels = x.dims[1] ?? 1;
  const axes = x.dims.map((_, dim) => dim).filter((dim) => dim !== 1);
  const { bases, offsets } = planReduction(x.dims, axes, false, node.budget);
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let channel = 0; channel < channels; channel += 1) {
    const line = Float64Array.from(offsets, (offset) => data[bases[channel]! + offset]!);
    const moments = momentsOf(line, 0, line.length);
    mean[channel] = moments.mean;
    variance[channel] = moments.variance;
  }
  return { mean, variance };
}

/** Normalizes stretches of `size` elements; `scale` and `bias` say how each channel continues. */
function stretches(
  node: NodeFacts,
  x: Tensor,
  size: number,
  epsilon: number,
  finish: (value: number, index: number) => number,
): Tensor {
  const data = floatsOf(x);
  const moments = Array.from({ length: size === 0 ? 0 : data.length / size }, (_, index) =>
    momentsOf(data, index * size, size),
  );
  return result(node, x, (index) => {
    const { mean, variance } = moments[Math.floor(index / size)]!;
    return finish((data[index]! - mean) / Math.sqrt(variance + epsilon), index);
  });
}

const instance = tensorOperator(1, 3, (node) => (x, scaleInput, biasInput) => {
  const channels = x!.dims[1] ?? 1;
  const size = elementCount(x!.dims.slice(2));
  const [scale, bias] = [perChannel(scaleInput!, channels), perChannel(biasInput!, channels)];
  return stretches(node, x!, size, node.float('epsilon', 1e-5), (value, index) => {
    const channel = Math.floor(index / size) % channels;
    return value * scale[channel]! + bias[channel]!;
  });
});

/** Scale and bias are for each group in opset 18 and for each channel since 21. */
const group = tensorOperator(18, 3, (node) => (x, scaleInput, biasInput) => {
  const groups = node.int('num_groups', 1);
  const channels = x!.dims[1] ?? 1;
  const inner = elementCount(x!.dims.slice(2));
  if (!(groups > 0) || channels % groups !== 0) throw misfit(`${channels} channels in ${groups} groups`);
  const count = node.opset < 21 ? groups : channels;
  const [scale, bias] = [perChannel(scaleInput!, count), perChannel(biasInput!, count)];
  const size = (channels / groups) * inner;
  const unit = node.opset < 21 ? size : inner;
  return stretches(node, x!, size, node.float('epsilon', 1e-5), (value, index) => {
    const place = Math.floor(index / unit) % count;
    return value * scale[place]! + bias[place]!;
  });
});

/** The elements of `tensor` in the order of a result of `dims`. */
function broadcastTo(tensor: Tensor, dims: readonly number[], node: NodeFacts): ArrayLike<number> {
  if (elementCount(broadcastDims(tensor.dims, dims)) !== elementCount(dims))
    throw misfit(`${show(tensor.dims)} for ${show(dims)}`);
  const data = floatsOf(tensor);
  const steps = broadcastStrides(tensor.dims, dims);
  const out = node.budget.array('float64', dims) as Float64Array;
  eachPosition(dims, (position, index) => {
    let at = 0;
    for (let dim = 0; dim < position.length; dim += 1) at += position[dim]! * steps[dim]!;
    out[index] = data[at]!;
  });
  return out;
}

const layer = tensorOperator(17, 2, (node) => (x, scaleInput, biasInput) => {
  const axis = axisOf(node.int('axis', -1), x!.dims.length);
  const epsilon = node.float('epsilon', 1e-5);
  const shape = x!.dims.slice(axis);
  const size = elementCount(shape);
  const scale = broadcastTo(scaleInput!, shape, node);
  const bias = biasInput && broadcastTo(biasInput, shape, node);
  const y = stretches(
    node,
    x!,
    size,
    epsilon,
    (value, index) => value * scale[index % size]! + (bias ? bias[index % size]! : 0),
  );
  const dims = x!.dims.map((each, dim) => (dim < axis ? each : 1));
  const data = floatsOf(x!);
  const moments = Array.from({ length: elementCount(dims) }, (_, index) =>
    momentsOf(data, index * size, size),
  );
  const mean: Tensor = { type: 'float32', dims, data: Float32Array.from(moments, (each) => each.mean) };
  const inverse = Float32Array.from(moments, ({ variance }) => 1 / Math.sqrt(variance + epsilon));
  return [y, mean, { type: 'float32' as const, dims, data: inverse }].slice(0, Math.max(1, node.outputCount));
});

const rootMeanSquare = tensorOperator(23, 2, (node) => (x, scaleInput) => {
  const axis = axisOf(node.int('axis', -1), x!.dims.length);
  const epsilon = node.float('epsilon', 1e-5);
  const size = elementCount(x!.dims.slice(axis));
  const scale = broadcastTo(scaleInput!, x!.dims.slice(axis), node);
  const data = floatsOf(x!);
  const roots = Array.from({ length: data.length / size || 0 }, (_, index) => {
    let squares = 0;
    for (let at = index * size; at < (index + 1) * size; at += 1) squares += data[at]! ** 2;
    return Math.sqrt(squares / size + epsilon);
  });
  return result(
    node,
    x!,
    (index) => (data[index]! / roots[Math.floor(index / size)]!) * scale[index % size]!,
  );
});

const meanVariance = tensorOperator(9, 1, (node) => {
  const axes = node.ints('axes') ?? [0, 2, 3];
  return (x) => {
    const { bases, offsets } = planReduction(x!.dims, axes, false, node.budget);
    const data = floatsOf(x!);
    const out = node.budget.array(x!.type, x!.dims) as Float32Array;
    for (const base of bases) {
      const line = Float64Array.from(offsets, (offset) => data[base + offset]!);
      const { mean, variance } = momentsOf(line, 0, line.length);
      for (const [index, offset] of offsets.entries())
        out[base + offset] = (line[index]! - mean) / (Math.sqrt(variance) + 1e-9);
    }
    return { type: x!.type, dims: x!.dims, data: rounded(x!.type, out) };
  };
});

/** Divides by what the neighbouring channels hold. */
const local = tensorOperator(1, 1, (node) => {
  const size = node.int('size', 1);
  const [alpha, beta, bias] = [node.float('alpha', 1e-4), node.float('beta', 0.75), node.float('bias', 1)];
  return (x) => {
    const { size: channels, inner } = aroundAxis(x!.dims, axisOf(1, x!.dims.length));
    const data = floatsOf(x!);
    node.budget.work(data.length * size);
    return result(node, x!, (index) => {
      const channel = Math.floor(index / inner) % channels;
      const first = Math.max(0, channel - Math.floor((size - 1) / 2));
      const last = Math.min(channels - 1, channel + Math.ceil((size - 1) / 2));
      let squares = 0;
      for (let each = first; each <= last; each += 1) squares += data[index + (each - channel) * inner]! ** 2;
      return data[index]! / (bias + (alpha / size) * squares) ** beta;
    });
  };
});

const lp = tensorOperator(1, 1, (node) => {
  const p = node.int('p', 2);
  return (x) => {
    const { size, inner } = aroundAxis(x!.dims, axisOf(node.int('axis', -1), x!.dims.length));
    const data = floatsOf(x!);
    return result(node, x!, (index) => {
      const start = Math.floor(index / (size * inner)) * size * inner + (index % inner);
      let sum = 0;
      for (let each = 0; each < size; each += 1) sum += Math.abs(data[start + each * inner]!) ** p;
      const norm = sum ** (1 / p);
      return norm === 0 ? 0 : data[index]! / norm;
    });
  };
});

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const normalizations: Operators = {
  BatchNormalization: batch,
  InstanceNormalization: instance,
  GroupNormalization: group,
  LayerNormalization: layer,
  RMSNormalization: rootMeanSquare,
  MeanVarianceNormalization: meanVariance,
  LRN: local,
  LpNormalization: lp,
};
