import { type Json, MillraceError, type TaskContext } from '../../kernel/index.ts';
import { arrayOf, elementCount, elementToJson, putterFor, type Tensor } from '../../models/index.ts';
import { parseJson } from '../http/json.ts';
import {
  checkShape,
  datatypeOf,
  tensorFromBytes,
  tensorToBytes,
  typeOfDatatype,
  wrongTensor,
} from './tensors.ts';

/** What a client asks for, with its tensors. */
export interface ReadRequest {
  readonly id: string | undefined;
  readonly key: string | undefined;
  readonly inputs: readonly NamedTensor[];
  readonly wanted: readonly WantedOutput[];
  /** Whether outputs come as bytes unless they say otherwise. */
  readonly allBinary: boolean;
}

export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

export interface WantedOutput {
  readonly name: string;
  readonly binary: boolean | undefined;
}

export interface ToRead {
  readonly body: Uint8Array;
  /** Value of the header that says how long the JSON in front of binary tensors is. */
  readonly length: string | undefined;
}

/** The numbers of a request or an answer as JSON: in platform workers where there are many, as each export is a task. */
export function readInferRequest({ body, length }: ToRead, context?: TaskContext): ReadRequest {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  const { head, binary } = split(bytes, length);
  const request = objectIn(parseJson(head), '');
  const inputs = readInputs(request.inputs, binary);
  const wanted = readOutputs(request);
  const { key, binary_data_output } = objectIn(request.parameters ?? {}, '/parameters');
  for (const { tensor } of inputs) {
    if (!Array.isArray(tensor.data))
      context?.transfer.push((tensor.data as Float32Array).buffer as ArrayBuffer);
  }
  return {
    ...{ inputs, wanted, allBinary: binary_data_output === true },
    id: typeof request.id === 'string' ? request.id : undefined,
    key: typeof key === 'string' ? key : undefined,
  };
}

export interface ToWrite {
  readonly model: string;
  readonly version: string;
  readonly request: Pick<ReadRequest, 'id' | 'wanted' | 'allBinary'>;
  readonly outputs: readonly NamedTensor[];
}

/** The JSON of an answer, and the bytes that follow it. */
export function writeInferAnswer(
  { model, version, request, outputs }: ToWrite,
  context?: TaskContext,
): {
  readonly json: Uint8Array;
  readonly parts: readonly Uint8Array[];
} {
  const { id, wanted, allBinary } = request;
  const parts: Uint8Array[] = [];
  const described = outputs.map(({ name, tensor }) => {
    const head = { name, datatype: datatypeOf(tensor.type), shape: tensor.dims };
    const binary = wanted.find((each) => each.name === name)?.binary ?? allBinary;
    // JSON has no way to say 16-bit floats, but their values fit into its numbers.
    if (!binary) return { ...head, data: [...tensor.data].map((value) => elementToJson(value, tensor.type)) };
    const bytes = tensorToBytes(tensor);
    parts.push(bytes);
    return { ...head, parameters: { binary_data_size: bytes.length } };
  });
  const about = { model_name: model, model_version: version, ...(id === undefined ? {} : { id }) };
  const json = Buffer.from(JSON.stringify({ ...about, outputs: described }));
  if (json.length === json.buffer.byteLength) context?.transfer.push(json.buffer as ArrayBuffer);
  return { json, parts };
}

interface JsonObject {
  readonly [field: string]: Json | undefined;
}

function split(body: Buffer, length: string | undefined): { readonly head: Buffer; readonly binary: Buffer } {
  if (length === undefined) return { head: body, binary: body.subarray(body.length) };
  const end = Number(length);
  if (!/^\d+$/.test(length) || end > body.length) {
    const message = `Inference-Header-Content-Length is ${length}, and the body has ${body.length} bytes.`;
    throw new MillraceError('BAD_REQUEST', message);
  }
  return { head: body.subarray(0, end), binary: body.subarray(end) };
}

function objectIn(value: Json | undefined, path: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw wrongTensor(path === '' ? '/request' : path, 'must be an object');
}

function listIn(value: Json | undefined, path: string): readonly Json[] {
  if (Array.isArray(value)) return value;
  throw wrongTensor(path, 'must be a list');
}

function readInputs(given: Json | undefined, binary: Buffer): { name: string; tensor: Tensor }[] {
  let at = 0;
  return listIn(given, '/inputs').map((each, index) => {
    const path = `/inputs/${index}`;
    const input = objectIn(each, path);
    if (typeof input.name !== 'string') throw wrongTensor(`${path}/name`, 'must be text');
    const type = typeOfDatatype(input.datatype, `${path}/datatype`);
    const dims = checkShape(input.shape, `${path}/shape`);
    const size = objectIn(input.parameters ?? {}, `${path}/parameters`).binary_data_size;
    if (size === undefined) {
      return { name: input.name, tensor: tensorFromJson(type, dims, input.data, `${path}/data`) };
    }
    if (!Number.isSafeInteger(size) || (size as number) < 0 || at + (size as number) > binary.length) {
      throw wrongTensor(
        `${path}/parameters/binary_data_size`,
        `is ${String(size)}; ${binary.length - at} bytes are left`,
      );
    }
    const bytes = binary.subarray(at, (at += size as number));
    return { name: input.name, tensor: tensorFromBytes(type, dims, bytes, path) };
  });
}

/** Values flat or nested as the shape says. NaN is no JSON; null stands for it where a model knows missing values. */
function tensorFromJson(
  type: Tensor['type'],
  dims: readonly number[],
  given: Json | undefined,
  path: string,
): Tensor {
  const values = (listIn(given, path) as readonly unknown[]).flat(dims.length as 1) as readonly Json[];
  const count = elementCount(dims);
  if (values.length !== count) {
    throw wrongTensor(path, `has ${values.length} values; the shape [${dims.join(', ')}] takes ${count}`);
  }
  const data = arrayOf(type, count);
  const put = putterFor(type, true);
  for (let index = 0; index < count; index++) {
    const problem = put(data, index, values[index]);
    if (problem !== undefined) throw wrongTensor(`${path}/${index}`, problem);
  }
  return { type, dims, data };
}

function readOutputs({ outputs }: JsonObject): WantedOutput[] {
  if (outputs === undefined || outputs === null) return [];
  return listIn(outputs, '/outputs').map((each, index) => {
    const output = objectIn(each, `/outputs/${index}`);
    if (typeof output.name !== 'string') throw wrongTensor(`/outputs/${index}/name`, 'must be text');
    const { binary_data: binary } = objectIn(output.parameters ?? {}, `/outputs/${index}/parameters`);
    return { name: output.name, binary: typeof binary === 'boolean' ? binary : undefined };
  });
}
