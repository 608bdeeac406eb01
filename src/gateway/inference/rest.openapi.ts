import type { Json } from '../../kernel/index.ts';
import type { OpenApiOperation } from '../api/route.ts';

const text: Json = { type: 'string' };
const flag: Json = { type: 'boolean' };
const object = (properties: { readonly [name: string]: Json }, required = Object.keys(properties)): Json => ({
  type: 'object',
  required,
  properties,
});
const list = (items: Json): Json => ({ type: 'array', items });
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

const tensor = {
  name: text,
  shape: list({ type: 'integer' }),
  datatype: text,
  parameters: { type: 'object', description: '`binary_data_size`: the values follow the JSON as bytes.' },
  data: { type: 'array', description: 'Flat or nested.' },
} as const satisfies { readonly [field: string]: Json };

export const INFERENCE_SCHEMAS: { readonly [name: string]: Json } = {
  TensorMetadata: object({ name: text, datatype: text, shape: list({ type: 'integer' }) }),
  ModelMetadata: object({
    name: text,
    versions: list(text),
    platform: text,
    inputs: list(reference('TensorMetadata')),
    outputs: list(reference('TensorMetadata')),
  }),
  InferRequest: object(
    {
      id: text,
      parameters: { type: 'object', description: '`binary_data_output`; `key` for sticky traffic.' },
      inputs: list(object(tensor, ['name', 'shape', 'datatype'])),
      outputs: list(object({ name: text, parameters: { type: 'object' } }, ['name'])),
    },
    ['inputs'],
  ),
  InferResponse: object(
    {
      model_name: text,
      model_version: text,
      id: text,
      outputs: list(object(tensor, ['name', 'shape', 'datatype'])),
    },
    ['model_name', 'model_version', 'outputs'],
  ),
};

const answer = (description: string, schema: Json): OpenApiOperation['responses'] => ({
  200: { description, content: { 'application/json': { schema } } },
});

const metadata = {
  summary: 'Inputs, outputs and versions of a model',
  responses: answer('The metadata.', reference('ModelMetadata')),
} as const;
const ready = {
  summary: 'Whether a model can answer',
  description: 'A model that is not loaded is ready: its first request loads it.',
  responses: answer('It can.', object({ name: text, ready: flag })),
} as const;
const infer = {
  summary: 'Infer',
  description:
    'With `Inference-Header-Content-Length` the body is that much JSON and then the bytes of the tensors whose `binary_data_size` says so; the answer has the same form when outputs are asked for as binary.',
  parameters: [
    {
      name: 'Inference-Header-Content-Length',
      in: 'header',
      description: 'Bytes of the JSON in front of binary tensors.',
      schema: { type: 'integer' },
    },
    { name: 'Millrace-Key', in: 'header', description: 'The same key gets the same version.', schema: text },
  ],
  requestBody: {
    required: true,
    content: {
      'application/json': { schema: reference('InferRequest') },
      'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
    },
  },
  responses: answer('The outputs.', reference('InferResponse')),
} as const;

export const INFERENCE_OPERATIONS = {
  server: {
    operationId: 'inferenceServer',
    summary: 'Name, version and extensions',
    responses: answer('The server.', object({ name: text, version: text, extensions: list(text) })),
  },
  live: {
    operationId: 'inferenceLive',
    summary: 'Whether the server lives',
    responses: answer('It does.', object({ live: flag })),
  },
  serverReady: {
    operationId: 'inferenceReady',
    summary: 'Whether the server takes requests',
    responses: answer('It does.', object({ ready: flag, live: flag })),
  },
  metadata: { operationId: 'inferenceModel', ...metadata },
  metadataVersion: { operationId: 'inferenceModelVersion', ...metadata },
  ready: { operationId: 'inferenceModelReady', ...ready },
  readyVersion: { operationId: 'inferenceModelVersionReady', ...ready },
  infer: { operationId: 'infer', ...infer },
  inferVersion: { operationId: 'inferVersion', ...infer },
} as const satisfies { readonly [name: string]: OpenApiOperation };
