import { elementCount, isBig, type NumberData, type Tensor } from '../../tensor.ts';
import type { Budget } from '../limits.ts';
import { multiply, transposed } from '../multiply.ts';
import { floatsOf, numbersOf, type Operators, rounded, tensorOperator } from '../operator.ts';
import { axisOf, broadcastDims, broadcastStrides, eachPosition, misfit, show, stridesOf } from '../shapes.ts';

/** Shapes of numpy's matmul: a vector is a row on the left and a column on the right, and leaves again. */
export function matmulShape(
  a: readonly number[],
  b: readonly number[],
): {
  readonly batch: readonly number[];
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly dims: readonly number[];
} {
  if (a.length === 0 || b.length === 0) throw misfit('a scalar where it takes matrices');
  const left = a.length === 1 ? [1, a[0]!] : a;
  const right = b.length === 1 ? [b[0]!, 1] : b;
  if (left.at(-1) !== right.at(-2)) throw misfit(`${show(a)} and ${show(b)} cannot be multiplied`);
  const batch = broadcastDims(left.slice(0, -2), right.slice(0, -2));
  const rows = a.length === 1 ? [] : [left.at(-2)!];
  const columns = b.length === 1 ? [] : [right.at(-1)!];
  return { batch, left, right, dims: [...batch, ...rows, ...columns] };
}

/** Multiplies stacks of matrices; elements come as plain numbers, whatever they were. */
export function matmul(
  a: { readonly dims: readonly number[]; readonly data: ArrayLike<number> },
  b: { readonly dims: readonly number[]; readonly data: ArrayLike<number> },
  budget: Budget,
  allocate: (dims: readonly number[]) => NumberData,
): { readonly dims: readonly number[]; readonly data: NumberData } {
  const { batch, left, right, dims } = matmulShape(a.dims, b.dims);
  const [rows, inner, columns] = [left.at(-2)!, left.at(-1)!, right.at(-1)!];
  const data = allocate(dims);
  budget.work(data.length * inner);
  const aSteps = broadcastStrides(left.slice(0, -2), batch);
  const bSteps = broadcastStrides(right.slice(0, -2), batch);
  eachPosition(batch, (position, index) => {
    let aAt = 0;
    let bAt = 0;
    for (let dim = 0; dim < position.length; dim += 1) {
      aAt += position[dim]! * aSteps[dim]! * rows * inner;
      bAt += position[dim]! * bSteps[dim]! * inner * columns;
    }
    multiply(a.data, aAt, b.data, bAt, data, index * rows * columns, rows, inner, columns);
  });
  return { dims, data };
}

const matMul = tensorOperator(1, 2, ({ budget }) => (a, b) => {
  const { type } = a!;
  if (type !== b!.type) throw misfit(`${type} and ${b!.type}`);
  if (isBig(type)) {
    const product = matmul(
      asNumbers(a!),
      asNumbers(b!),
      budget,
      (dims) => budget.array('float64', dims) as Float64Array,
    );
    return { type, dims: product.dims, data: BigInt64Array.from(product.data as Float64Array, BigInt) };
  }
  const product = matmul(a as never, b as never, budget, (dims) => {
    numbersOf(a!);
    return budget.array(type, dims) as Float32Array;
  });
  return { type, dims: product.dims, data: rounded(type, product.data as Float32Array) };
});

function asNumbers(x: Tensor): { readonly dims: readonly number[]; readonly data: ArrayLike<number> } {
  return { dims: x.dims, data: floatsOf(x) };
}

const gemm = tensorOperator(1, 2, (node) => {
  const [alpha, beta] = [node.float('alpha', 1), node.float('beta', 1)];
  const [flipA, flipB] = [node.int('transA', 0) === 1, node.int('transB', 0) === 1];
  const constant = node.constants[1] as Tensor | undefined;
  const fixed = flipB && constant?.dims.length === 2 ? turned(constant) : undefined;
  return (a, b, c) => {
    if (a!.dims.length !== 2 || b!.dims.length !== 2) throw misfit(`${show(a!.dims)} and ${show(b!.dims)}`);
    if (a!.type !== b!.type) throw misfit(`${a!.type} and ${b!.type}`);
    const left = flipA ? turned(a!) : asNumbers(a!);
    const right = flipB ? (fixed ?? turned(b!)) : asNumbers(b!);
    const product = matmul(
      left,
      right,
      node.budget,
      (dims) => node.budget.array('float64', dims) as Float64Array,
    );
    const out = node.budget.array(a!.type, product.dims) as Float32Array;
    const steps = c ? broadcastStrides(c.dims, product.dims) : [0, 0];
    if (c) checkBias(c, product.dims);
    const bias = c ? floatsOf(c) : [0];
    const [rows, columns] = product.dims as readonly [number, number];
    const big = isBig(a!.type);
    for (let row = 0, at = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1, at += 1) {
        const value = alpha * product.data[at]! + beta * bias[row * steps[0]! + column * steps[1]!]!;
        out[at] = big ? (BigInt(value) as unknown as number) : value;
      }
    }
    return { type: a!.type, dims: product.dims, data: rounded(a!.type, out) };
  };
});

function checkBias(bias: Tensor, dims: readonly number[]): void {
  const result = broadcastDims(bias.dims, dims);
  if (result.some((size, dim) => size !== dims[dim]))
    throw misfit(`a bias of ${show(bias.dims)} for ${show(dims)}`);
}

function turned(x: Tensor): { readonly dims: readonly number[]; readonly data: Float64Array } {
  const [rows, columns] = x.dims as readonly [number, number];
  return { dims: [columns, rows], data: transposed(floatsOf(x), rows, columns) };
}

const det = tensorOperator(11, 1, ({ budget }) => (x) => {
  const size = x!.dims.at(-1);
  if (size === undefined || size !== x!.dims.at(-2)) throw misfit(`${show(x!.dims)}, which is no square`);
  const dims = x!.dims.slice(0, -2);
  const out = budget.array(x!.type, dims) as Float32Array;
  budget.work(x!.data.length * size);
  const data = floatsOf(x!);
  for (let index = 0; index < out.length; index += 1) {
    out[index] = determinant(
      Float64Array.from({ length: size * size }, (_, at) => data[index * size * size + at]!),
      size,
    );
  }
  return { type: x!.type, dims, data: out };
});

/** Gauss with the largest pivot; destroys its matrix. */
function determinant(matrix: Float64Array, size: number): number {
  let result = 1;
  for (let column = 0; column < size; column += 1) {
    let pivot = column;
    for (let row = column + 1; row < size; row += 1) {
      if (Math.abs(matrix[row * size + column]!) > Math.abs(matrix[pivot * size + column]!)) pivot = row;
    }
    const lead = matrix[pivot * size + column]!;
    if (lead === 0) return 0;
    result *= pivot === column ? lead : -lead;
    for (let at = 0; at < size && pivot !== column; at += 1) {
      const kept = matrix[column * size + at]!;
      matrix[column * size + at] = matrix[pivot * size + at]!;
      matrix[pivot * size + at] = kept;
    }
    for (let row = column + 1; row < size; row += 1) {
      const factor = matrix[row * size + column]! / lead;
      for (let at = column; at < size; at += 1)
        matrix[row * size + at]! -= factor * matrix[column * size + at]!;
    }
  }
  return result;
}

/** Letters of each input and of the output; `...` becomes as many letters of its own as it covers. */
function parseEquation(equation: string, ranks: readonly number[]): { terms: string[][]; output: string[] } {
  const [left = '', right] = equation.replaceAll(' ', '').split('->');
  const sources = left.split(',');
  if (sources.length !== ranks.length) throw misfit(`${JSON.stringify(equation)} for ${ranks.length} inputs`);
  let most = 0;
  const lengths = sources.map((term, index) => {
    const covered = term.includes('...') ? ranks[index]! - (term.length - 3) : 0;
    if (covered < 0 || (!term.includes('...') && term.length !== ranks[index])) {
      throw misfit(`${JSON.stringify(equation)}, whose letters are not as many as the dims`);
    }
    most = Math.max(most, covered);
    return covered;
  });
  // Dims under `...` line up from the right.
  const dots = (count: number): string[] => Array.from({ length: count }, (_, index) => `.${count - index}`);
  const expand = (term: string, covered: number): string[] => {
    const [before = '', after] = term.split('...');
    return after === undefined ? [...before] : [...before, ...dots(covered), ...after];
  };
  const terms = sources.map((term, index) => expand(term, lengths[index]!));
  if (right !== undefined) return { terms, output: expand(right, most) };
  const counts = new Map<string, number>();
  for (const letter of terms.flat()) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  const once = [...counts]
    .filter(([letter, count]) => count === 1 && !letter.startsWith('.'))
    .map(([letter]) => letter);
  return { terms, output: [...dots(most), ...once.sort()] };
}

const einsum = tensorOperator(12, 1, (node) => {
  const equation = node.string('equation', '');
  return (...inputs) => {
    const { terms, output } = parseEquation(
      equation,
      inputs.map(({ dims }) => dims.length),
    );
    const sizes = new Map<string, number>();
    for (const [index, term] of terms.entries()) {
      for (const [dim, letter] of term.entries()) {
        const size = inputs[index]!.dims[dim]!;
        const before = sizes.get(letter) ?? 1;
        if (before !== size && before !== 1 && size !== 1)
          throw misfit(`sizes ${before} and ${size} for ${letter}`);
        sizes.set(letter, Math.max(before, size));
      }
    }
    if (output.some((letter) => !sizes.has(letter))) throw misfit(`${JSON.stringify(equation)}`);
    const letters = [...output, ...[...sizes.keys()].filter((letter) => !output.includes(letter))];
    const all = letters.map((letter) => sizes.get(letter)!);
    const dims = all.slice(0, output.length);
    node.budget.work(elementCount(all) * (inputs.length + letters.length));
    const steps = inputs.map((input, index) => stepsOf(input, terms[index]!, letters));
    const sums = node.budget.array('float64', dims) as Float64Array;
    const inner = elementCount(all.slice(output.length));
    const data = inputs.map(floatsOf);
    eachPosition(all, (position, at) => {
      let product = 1;
      for (let index = 0; index < data.length; index += 1) {
        let place = 0;
        for (let dim = 0; dim < position.length; dim += 1) place += position[dim]! * steps[index]![dim]!;
        product *= data[index]![place]!;
      }
      sums[Math.floor(at / inner)]! += product;
    });
    const { type } = inputs[0]!;
    if (isBig(type)) return { type, dims, data: BigInt64Array.from(sums, BigInt) };
    const out = node.budget.array(type, dims) as Float32Array;
    out.set(sums);
    return { type, dims, data: rounded(type, out) };
  };
});

/** How far an input moves along each letter; a letter twice in one input walks its diagonal. */
function stepsOf(input: Tensor, term: readonly string[], letters: readonly string[]): number[] {
  const strides = stridesOf(input.dims);
  const steps = new Array<number>(letters.length).fill(0);
  for (const [dim, letter] of term.entries()) {
    if (input.dims[dim] !== 1) steps[letters.indexOf(letter)]! += strides[dim]!;
  }
  return steps;
}

const trilu = tensorOperator(14, 1, (node) => {
  const upper = node.int('upper', 1) === 1;
  return (x, k) => {
    const { type, dims, data } = x!;
    axisOf(1, dims.length);
    const [rows, columns] = [dims.at(-2)!, dims.at(-1)!];
    const shift = k ? Number(k.data[0]) : 0;
    const out = node.budget.array(type, dims) as Float32Array;
    for (let index = 0; index < out.length; index += 1) {
      const row = Math.floor(index / columns) % rows;
      const distance = (index % columns) - row;
      if (upper ? distance >= shift : distance <= shift) out[index] = (data as Float32Array)[index]!;
    }
    return { type, dims, data: out };
  };
});

/** Names and meanings: https://onnx.ai/onnx/operators/. */
export const matrices: Operators = { Gemm: gemm, MatMul: matMul, Det: det, Einsum: einsum, Trilu: trilu };
