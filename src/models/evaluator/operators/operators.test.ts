import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { attribute, named, node, type OnnxAttribute } from '../../onnx/index.ts';
import { elementCount, type Tensor } from '../../tensor.ts';
import { floats, integers, modelOf } from '../model.support.ts';
import { erf } from './activations.ts';

const anyRank = (rank: number): null[] => new Array<null>(rank).fill(null);

/** Runs one node; dims are open, so that nothing is computed ahead. */
function run(
  type: string,
  inputs: readonly Tensor[],
  attributes: readonly OnnxAttribute[] = [],
  opset = 17,
): Tensor {
  const names = inputs.map((_, index) => `x${index}`);
  const model = modelOf({
    ...{ nodes: [node(type, names, ['y'], attributes)], outputs: ['y'], opset },
    inputs: Object.fromEntries(
      inputs.map((input, index) => [names[index]!, [input.type, anyRank(input.dims.length)] as const]),
    ),
  });
  return model.run(Object.fromEntries(inputs.map((input, index) => [names[index]!, input]))).y as Tensor;
}

const list = (tensor: Tensor): number[] => Array.from(tensor.data as ArrayLike<number | bigint>, Number);

const shape = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
const filled = (dims: readonly number[]): Tensor =>
  floats(
    dims,
    Array.from({ length: elementCount(dims) }, (_, index) => Math.fround(Math.sin(index * 3) * 5)),
  );

/** Reads an element by its coordinates, with dims of 1 repeated: what a nested list in Python would be. */
function at({ dims, data }: Tensor, position: readonly number[]): number {
  const own = position.slice(position.length - dims.length);
  const index = own.reduce((sum, place, dim) => sum * dims[dim]! + (dims[dim] === 1 ? 0 : place), 0);
  return Number(data[index]);
}

function positions(dims: readonly number[]): number[][] {
  return dims.reduce<number[][]>(
    (all, size) => all.flatMap((before) => Array.from({ length: size }, (_, place) => [...before, place])),
    [[]],
  );
}

describe('operators beside their definitions', () => {
  it('broadcast as numpy does', () => {
    fc.assert(
      fc.property(
        shape,
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        fc.nat(3),
        (dims, ones, drop) => {
          const other = dims.map((size, dim) => (ones[dim] ? 1 : size)).slice(Math.min(drop, dims.length));
          const [x, y] = [filled(dims), filled(other)];
          const sum = run('Sub', [x, y]);
          assert.deepEqual(sum.dims, dims);
          assert.deepEqual(
            list(sum),
            positions(dims).map((place) => Math.fround(at(x, place) - at(y, place))),
          );
        },
      ),
    );
  });

  it('transpose, slice and gather by coordinates', () => {
    fc.assert(
      fc.property(
        shape,
        fc.nat(),
        fc.integer({ min: -5, max: 5 }),
        fc.integer({ min: -5, max: 5 }),
        fc.constantFrom(-2, -1, 1, 2, 3),
        (dims, seed, start, end, step) => {
          const x = filled(dims);
          const order = dims
            .map((_, dim) => dim)
            .sort((a, b) => ((seed >> a) & 1) - ((seed >> b) & 1) || b - a);
          const turned = run('Transpose', [x], [attribute.ints('perm', order)]);
          for (const place of positions(dims))
            assert.equal(
              at(
                turned,
                order.map((dim) => place[dim]!),
              ),
              at(x, place),
            );

          const axis = seed % dims.length;
          const sliced = run('Slice', [
            x,
            integers([1], [start]),
            integers([1], [end]),
            integers([1], [axis]),
            integers([1], [step]),
          ]);
          const line = Array.from({ length: dims[axis]! }, (_, index) => index);
          const expected = sliceOf(line, start, end, step);
          assert.equal(sliced.dims[axis], expected.length);
          for (const place of positions(sliced.dims))
            assert.equal(at(sliced, place), at(x, place.with(axis, expected[place[axis]!]!)));

          const indices = line.map((index) => (index * 7 + seed) % dims[axis]!);
          const gathered = run(
            'Gather',
            [x, integers([indices.length], indices)],
            [attribute.int('axis', axis)],
          );
          for (const place of positions(gathered.dims))
            assert.equal(at(gathered, place), at(x, place.with(axis, indices[place[axis]!]!)));
        },
      ),
    );
  });

  it('reduce over any axes', () => {
    fc.assert(
      fc.property(shape, fc.nat(15), (dims, mask) => {
        const x = filled(dims);
        const axes = dims.map((_, dim) => dim).filter((dim) => (mask >> dim) & 1);
        if (axes.length === 0) return;
        const groups = new Map<string, number[]>();
        for (const place of positions(dims)) {
          const key = place.map((each, dim) => (axes.includes(dim) ? 0 : each)).join();
          groups.set(key, [...(groups.get(key) ?? []), at(x, place)]);
        }
        const results = {
          ReduceMax: Math.max,
          ReduceMean: (...all: number[]) => all.reduce((sum, each) => sum + each, 0) / all.length,
        };
        for (const [type, reduce] of Object.entries(results)) {
          const reduced = run(type, [x], [attribute.ints('axes', axes)]);
          for (const [index, group] of [...groups.values()].entries()) {
            assert.ok(Math.abs(list(reduced)[index]! - reduce(...group)) < 1e-5);
          }
        }
      }),
    );
  });

  it('multiply matrices, whatever stands around them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
        fc.tuple(...[1, 2, 3].map(() => fc.integer({ min: 1, max: 5 }))),
        (batch, [m, k, n]) => {
          const [a, b] = [filled([...batch, m!, k!]), filled([k!, n!])];
          const product = run('MatMul', [a, b]);
          for (const place of positions([...batch, m!, n!])) {
            const [row, column] = place.slice(-2) as [number, number];
            const sum = Array.from(
              { length: k! },
              (_, index) => at(a, [...place.slice(0, -2), row, index]) * at(b, [index, column]),
            ).reduce((x, y) => x + y);
            assert.ok(Math.abs(at(product, place) - sum) < 1e-4);
          }
          const same = run('Einsum', [a, b], [attribute.string('equation', '...ik,kj->...ij')]);
          assert.deepEqual(same, product);
        },
      ),
    );
  });

  it('convolve as the sum says, with padding, strides, dilations and groups', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 8 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 2 }),
        fc.nat(2),
        fc.integer({ min: 1, max: 2 }),
        (size, stride, dilation, pad, groups) => {
          const [x, w] = [filled([2, 2 * groups, size]), filled([groups * 2, 2, 3])];
          const y = run(
            'Conv',
            [x, w],
            [
              attribute.ints('strides', [stride]),
              attribute.ints('dilations', [dilation]),
              attribute.ints('pads', [pad, pad]),
              attribute.int('group', groups),
            ],
          );
          assert.equal(y.dims[2], Math.floor((size + 2 * pad - 2 * dilation - 1) / stride) + 1);
          for (const [n, m, o] of positions(y.dims) as [number, number, number][]) {
            let sum = 0;
            for (const [c, k] of positions([2, 3]) as [number, number][]) {
              const place = o * stride + k * dilation - pad;
              if (place >= 0 && place < size)
                sum += at(x, [n, Math.floor(m / 2) * 2 + c, place]) * at(w, [m, c, k]);
            }
            assert.ok(Math.abs(at(y, [n, m, o]) - sum) < 1e-4);
          }
        },
      ),
    );
  });

  it('keep 64-bit integers whole', () => {
    const big = { type: 'int64', dims: [2], data: BigInt64Array.of(2n ** 62n + 1n, -3n) } as const;
    assert.deepEqual(run('Add', [big, integers([1], [2])]).data, BigInt64Array.of(2n ** 62n + 3n, -1n));
    assert.deepEqual(
      run('ReduceMax', [big], [attribute.int('keepdims', 0)]).data,
      BigInt64Array.of(2n ** 62n + 1n),
    );
    assert.deepEqual(run('Div', [big, integers([1], [2])]).data, BigInt64Array.of(2n ** 61n, -1n));
    assert.throws(() => run('Div', [big, integers([1], [0])]), /node Div "y": Division by zero/);
  });

  it('know the error function to seven digits and more', () => {
    // Values of DLMF, table 7.23 and https://oeis.org/A007680 written out.
    for (const [x, value] of [
      [0, 0],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [3, 0.9999779095030014],
    ] as const) {
      assert.ok(Math.abs(erf(x) - value) < 1e-14, `${x}: ${erf(x)}`);
      assert.ok(Math.abs(erf(-x) + value) < 1e-14);
    }
  });

  it('change with the opset', () => {
    const x = filled([2, 2, 2]);
    const sums = (tensor: Tensor, count: number): number =>
      list(tensor)
        .slice(0, count)
        .reduce((sum, each) => sum + each, 0);
    assert.ok(Math.abs(sums(run('Softmax', [x], [], 12), 4) - 1) < 1e-6, 'one line from axis 1 on');
    assert.ok(Math.abs(sums(run('Softmax', [x], [], 13), 2) - 1) < 1e-6, 'the last axis');
    assert.throws(
      () => run('LayerNormalization', [x, filled([2])], [], 16),
      /LayerNormalization of opset 16 \(from 17 on it is there\)/,
    );
    const clipped = modelOf({
      nodes: [node('Clip', ['x', 'low', 'high'], ['y'])],
      ...{
        inputs: { x: [2] },
        outputs: ['y'],
        initializers: [named('low', floats([], [0])), named('high', floats([], [1]))],
      },
    });
    assert.deepEqual(clipped.run({ x: floats([2], [-1, 3]) }).y, floats([2], [0, 1]));
  });
});

/** Python's slice but for one thing: backwards, ONNX draws a start before the first element to it. */
function sliceOf(values: readonly number[], start: number, end: number, step: number): number[] {
  const size = values.length;
  const clamp = (place: number, least: number): number => {
    const own = place < 0 ? place + size : place;
    return Math.min(step > 0 ? size : size - 1, Math.max(least, own));
  };
  const [from, to] = [clamp(start, 0), clamp(end, step > 0 ? 0 : -1)];
  const result: number[] = [];
  for (let place = from; step > 0 ? place < to : place > to; place += step) result.push(values[place]!);
  return result;
}
