import type { OutgoingHttpHeaders } from 'node:http';
import { MillraceError, siblingModule, toProblem, type Workers } from '../../kernel/index.ts';
import type { Tensor } from '../../models/index.ts';
import type { Exchange } from '../api/exchange.ts';
import type { HotRoute, RouteGroup } from '../api/route.ts';
import { ownBytes } from '../http/own-bytes.ts';
import { problemHeaders } from '../http/problem.ts';
import {
  type ReadRequest,
  readInferRequest,
  type ToRead,
  type ToWrite,
  writeInferAnswer,
} from './infer-json.ts';
import { INFERENCE_OPERATIONS, INFERENCE_SCHEMAS } from './rest.openapi.ts';
import type { InferenceService } from './service.ts';

/** Length of the JSON in front of binary tensors, in bytes. */
const LENGTH_HEADER = 'inference-header-content-length';

export interface InferenceRoutesOptions {
  readonly service: InferenceService;
  /** Take large requests and answers apart. */
  readonly workers: Workers;
  /** Largest request. */
  readonly requestBytes: number;
}

type Handle = (exchange: Exchange) => void | Promise<void>;

/** The Open Inference Protocol, version 2, over HTTP, with its extension for binary tensors. */
export function inferenceRoutes(options: InferenceRoutesOptions): RouteGroup {
  const { service } = options;
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
      ...ofModel('POST', '/infer', 'infer', (exchange) => infer(options, exchange)),
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

/** Taking a larger body apart, or putting as many values into JSON, takes the main thread milliseconds. */
const LARGE_JSON_BYTES = 64 * 1024;
const LARGE_VALUES = 10_000;
const module = siblingModule(import.meta.url, './infer-json');

async function infer(options: InferenceRoutesOptions, exchange: Exchange): Promise<void> {
  const { service, workers } = options;
  const body = await exchange.body(options.requestBytes);
  const length = exchange.header(LENGTH_HEADER);
  const request =
    Math.min(body.length, Number(length ?? body.length)) > LARGE_JSON_BYTES
      ? await readApart(workers, body, length)
      : readInferRequest({ body, length });
  const { inputs, wanted, key = exchange.header('millrace-key') } = request;
  const [model, version] = exchange.params;
  const result = await service.infer({
    ...{ model: model!, version, key, inputs },
    outputs: wanted.map(({ name }) => name),
  });
  const { outputs } = result;
  const answer = { model: model!, version: String(result.version.number), request, outputs };
  const values = outputs.reduce((sum, { tensor }) => sum + tensor.data.length, 0);
  const { json, parts } =
    values > LARGE_VALUES ? await writeApart(workers, answer) : writeInferAnswer(answer);
  if (parts.length === 0) exchange.json(200, json);
  else {
    exchange.send(200, 'application/octet-stream', Buffer.concat([json, ...parts]), {
      'Inference-Header-Content-Length': json.length,
    });
  }
}

function readApart(workers: Workers, body: Buffer, length: string | undefined): Promise<ReadRequest> {
  const bytes = ownBytes(body);
  const given: ToRead = { body: bytes, length };
  return workers.run({ module, task: 'readInferRequest' }, given, { transfer: [bytes.buffer] });
}

function writeApart(workers: Workers, answer: ToWrite): Promise<ReturnType<typeof writeInferAnswer>> {
  // A view would take all that lies behind it along.
  const outputs = answer.outputs.map(({ name, tensor }) => ({ name, tensor: withOwnData(tensor) }));
  return workers.run({ module, task: 'writeInferAnswer' }, { ...answer, outputs });
}

function withOwnData(tensor: Tensor): Tensor {
  if (Array.isArray(tensor.data)) return tensor;
  const data = tensor.data as Float32Array;
  return data.byteLength === data.buffer.byteLength ? tensor : { ...tensor, data: data.slice() };
}
