import type { OutgoingHttpHeaders } from 'node:http';
import { type Json, MillraceError, toProblem } from '../../kernel/index.ts';
import { arrayOf, elementCount, elementToJson, putterFor, type Tensor } from '../../models/index.ts';
import type { Exchange } from '../api/exchange.ts';
import type { HotRoute, RouteGroup } from '../api/route.ts';
import { parseJson } from '../http/json.ts';
import { problemHeaders } from '../http/problem.ts';
import { INFERENCE_OPERATIONS, INFERENCE_SCHEMAS } from './rest.openapi.ts';
import type { InferenceService, InferResult } from './service.ts';
import {
  checkShape,
  datatypeOf,
  tensorFromBytes,
  tensorToBytes,
  typeOfDatatype,
  wrongTensor,
} from './tensors.ts';

/** Length of the JSON in front of binary tensors, in bytes. */
const LENGTH_HEADER = 'inference-header-content-length';

export interface InferenceRoutesOptions {
  readonly service: InferenceService;
  /** Largest request. */
  readonly requestBytes: number;
}

type Handle = (exchange: Exchange) => void | Promise<void>;

/** The Open Inference Protocol, version 2, over HTTP, with its extension for binary tensors. */
export function inferenceRoutes({ service, requestBytes }: InferenceRoutesOptions): RouteGroup {
  const json = (exchange: Exchange, value: object, status = 200): void =>
    exchange.json(status, JSON.stringify(value));
  const open = (path: string, operation: keyof typeof INFERENCE_OPERATIONS, handle: Handle): HotRoute => ({
    method: 'GET',
    path,
    whole: true,
    action: 'open',
    operation: INFERENCE_OPERATIONS[operation],
    handle,
  });
  /** Each route of a model is there with and without a version. */
  const ofModel = (
    method: 'GET' | 'POST',
    end: string,
    operation: 'metadata' | 'ready' | 'infer',
    handle: Handle,
  ): HotRoute[] =>
    ['/v2/models/{name}', '/v2/models/{name}/versions/{version}'].map((path, versioned) => ({
      method,
      path: `${path}${end}`,
      whole: true,
      action: method === 'POST' ? 'invoke' : 'read',
      resource: ([name]: readonly string[]) => `model/${name}`,
      operation: INFERENCE_OPERATIONS[versioned ? (`${operation}Version` as const) : operation],
      handle: withError(handle),
    }));
  return {
    name: 'inference',
    description: 'The Open Inference Protocol, version 2: what clients of KServe and Triton speak.',
    schemas: INFERENCE_SCHEMAS,
    hot: [
      open('/v2', 'server', (exchange) => json(exchange, service.server)),
      open('/v2/health/live', 'live', (exchange) => json(exchange, { live: true })),
      open('/v2/health/ready', 'serverReady', (exchange) => {
        const ready = service.serverReady();
        json(exchange, { ready, live: ready }, ready ? 200 : 503);
      }),
      ...ofModel('GET', '', 'metadata', async (exchange) => {
        const [name, version] = exchange.params;
        json(exchange, await service.metadata(name!, version));
      }),
      ...ofModel('GET', '/ready', 'ready', async (exchange) => {
        const [name, version] = exchange.params;
        const ready = await service.modelReady(name!, version);
        json(exchange, { name, ready }, ready ? 200 : 503);
      }),
      ...ofModel('POST', '/infer', 'infer', (exchange) => infer(service, exchange, requestBytes)),
    ],
  };
}

/** Clients of the protocol look for `error`; it stands beside the problem's own fields. */
function withError(handle: Handle): Handle {
  return async (exchange) => {
    try {
      await handle(exchange);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === 'PAYLOAD_TOO_LARGE') throw error;
      const problem = toProblem(error);
      const body = JSON.stringify({ ...problem, error: problem.detail });
      exchange.send(
        problem.status,
        'application/problem+json',
        body,
        problemHeaders(error) as OutgoingHttpHeaders,
      );
    }
  };
}

interface JsonObject {
  readonly [field: string]: Json | undefined;
}

async function infer(service: InferenceService, exchange: Exchange, requestBytes: number): Promise<void> {
  const body = await exchange.body(requestBytes);
  const { head, binary } = split(body, exchange.header(LENGTH_HEADER));
  const request = objectIn(parseJson(head), '');
  const inputs = readInputs(request.inputs, binary);
  const wanted = readOutputs(request);
  const parameters = objectIn(request.parameters ?? {}, '/parameters');
  const [model, version] = exchange.params;
  const result = await service.infer({
    model: model!,
    version,
    key: typeof parameters.key === 'string' ? parameters.key : exchange.header('millrace-key'),
    inputs,
    outputs: wanted.map(({ name }) => name),
  });
  answer(exchange, model!, request.id, result, wanted, parameters.binary_data_output === true);
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

interface WantedOutput {
  readonly name: string;
  readonly binary: boolean | undefined;
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

function answer(
  exchange: Exchange,
  model: string,
  id: Json | undefined,
  { version, outputs }: InferResult,
  wanted: readonly WantedOutput[],
  allBinary: boolean,
): void {
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
  const text = JSON.stringify({
    model_name: model,
    model_version: String(version.number),
    ...(typeof id === 'string' ? { id } : {}),
    outputs: described,
  });
  if (parts.length === 0) {
    exchange.json(200, text);
    return;
  }
  const head = Buffer.from(text);
  exchange.send(200, 'application/octet-stream', Buffer.concat([head, ...parts]), {
    'Inference-Header-Content-Length': head.length,
  });
}
