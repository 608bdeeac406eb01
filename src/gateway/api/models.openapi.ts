import type { Json } from '../../kernel/index.ts';
import type { OpenApiContent, OpenApiOperation, OpenApiParameter } from './route.ts';

const text = (description?: string): Json => ({
  type: 'string',
  ...(description === undefined ? {} : { description }),
});
const whole = (description?: string): Json => ({
  type: 'integer',
  ...(description === undefined ? {} : { description }),
});
const object = (properties: { readonly [name: string]: Json }, required = Object.keys(properties)): Json => ({
  type: 'object',
  required,
  properties,
});
const list = (items: Json): Json => ({ type: 'array', items });
const mapOf = (values: Json): Json => ({ type: 'object', additionalProperties: values });
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const jsonContent = (schema: Json): OpenApiContent => ({ 'application/json': { schema } });
const time: Json = { type: 'string', format: 'date-time' };
const query = (name: string, description: string, schema: Json = text()): OpenApiParameter => ({
  name,
  in: 'query',
  description,
  schema,
});
const answers = (description: string, schema: Json): OpenApiOperation['responses'] => ({
  200: { description, content: jsonContent(schema) },
});

const MODEL_FIELDS = {
  name: text(),
  owner: {
    type: ['string', 'null'],
    description: 'The app that brings it; null when its versions are uploaded.',
  },
  description: text(),
  tags: mapOf(text()),
  aliases: {
    ...(mapOf(text()) as object),
    description: 'Versions by what they are for: production, staging, …',
  },
  latest: whole('How many versions there have been.'),
  created: time,
  updated: time,
} as const satisfies { readonly [field: string]: Json };

export const MODEL_SCHEMAS: { readonly [name: string]: Json } = {
  Model: object(MODEL_FIELDS),
  ModelVersion: object({
    model: text(),
    version: text('Sixteen hexadecimal digits: hash of the file and of how it is served.'),
    number: whole('1 for the first of the model.'),
    sha256: text('Of the ONNX file.'),
    bytes: whole(),
    created: time,
    by: text('Who registered it.'),
    serving: { type: 'object', description: 'How rows become inputs, and how it is run.' },
    inputs: list({ type: 'object' }),
    outputs: list({ type: 'object' }),
    metrics: mapOf({ type: 'number' }),
    tags: mapOf(text()),
    lineage: { type: 'object' },
    card: text('Markdown.'),
    facts: { type: 'object' },
    status: object({
      loaded: { type: 'boolean' },
      tier: {
        type: ['object', 'null'],
        description: 'What runs it, how long one row took when it was loaded, and why it was chosen.',
      },
      memoryBytes: { type: ['number', 'null'] },
    }),
  }),
  FoundModelVersion: object({
    model: text(),
    version: text(),
    number: whole(),
    created: time,
    metrics: mapOf({ type: 'number' }),
    tags: mapOf(text()),
  }),
  Prediction: { type: 'object', description: 'By the names of the outputs of the model.' },
};

const tags = { required: true, content: jsonContent(mapOf(text())) } as const;

export const MODEL_OPERATIONS = {
  predict: {
    operationId: 'predict',
    summary: 'Predict',
    description:
      'Rows as a list, or as `{"rows":[…],"keys":[…]}`. A row is an object by feature or by input, or a list of values in the order of the model. `keys`, one a row, are what labels are joined by later.',
    parameters: [
      query('version', 'A version, its number or an alias; left out: what is in production.'),
      query('key', 'The same key gets the same version while traffic is split.'),
      query('explain', 'Tells how much each feature contributed.'),
      { name: 'Millrace-Key', in: 'header', description: 'As `key`.', schema: text() },
    ],
    requestBody: { required: true, content: jsonContent({}) },
    responses: answers(
      'One prediction a row.',
      object(
        {
          model: text(),
          version: text(),
          predictions: list(reference('Prediction')),
          explanations: list({}),
        },
        ['model', 'version', 'predictions'],
      ),
    ),
  },
  list: {
    operationId: 'listModels',
    summary: 'The models',
    responses: answers('By name.', object({ models: list(reference('Model')) })),
  },
  search: {
    operationId: 'searchModelVersions',
    summary: 'Find versions of all models',
    parameters: [
      query('q', 'Words that begin words of the name, the card, the tags or the lineage; all have to.'),
      query('model', 'Of this model only.'),
      query('tag', '`name=value`; may be given several times.'),
      query('metric', 'A condition such as `auc>=0.9`; may be given several times.'),
      query('limit', 'At most 1,000; 50 unless told.', whole()),
      query('after', '`next` of the page before.', whole()),
    ],
    responses: answers(
      'Newest first.',
      object({ versions: list(reference('FoundModelVersion')), next: { type: ['integer', 'null'] } }),
    ),
  },
  read: {
    operationId: 'getModel',
    summary: 'A model with the versions that its aliases name',
    responses: answers('The model.', object({ ...MODEL_FIELDS, versions: list(reference('ModelVersion')) })),
  },
  tagModel: {
    operationId: 'setModelTags',
    summary: 'Set the tags of a model',
    requestBody: tags,
    responses: answers('The model.', reference('Model')),
  },
  setAlias: {
    operationId: 'setModelAlias',
    summary: 'Point an alias at a version',
    description:
      'Refused with MODEL_INCOMPATIBLE when the version takes or gives something else than the one the alias names now, unless `breaking` is true.',
    requestBody: {
      required: true,
      content: jsonContent(
        object(
          {
            version: text('A version, its number, or another alias.'),
            breaking: { type: 'boolean' },
            reason: text('Kept in the record of the change.'),
          },
          ['version'],
        ),
      ),
    },
    responses: answers('The model.', reference('Model')),
  },
  removeAlias: {
    operationId: 'removeModelAlias',
    summary: 'Remove an alias',
    responses: answers('The model.', reference('Model')),
  },
  versions: {
    operationId: 'listModelVersions',
    summary: 'The versions of a model',
    parameters: [
      query('before', 'Only versions with a smaller number.', whole()),
      query('limit', 'At most 1,000; 50 unless told.', whole()),
    ],
    responses: answers('Newest first.', object({ versions: list(reference('ModelVersion')) })),
  },
  upload: {
    operationId: 'uploadModelVersion',
    summary: 'Register an ONNX file as a version',
    description:
      'The file as the body, or a form with the file as `onnx` and JSON as `facts`: `metrics`, `tags`, `data`, `lineage`, `card`, `facts`, `description`, `alias`, and `serving` (`features`, `missing`, `preprocess`, `batch`, `cache`). The same content again is the version that is there. The first version of a model is in production at once.',
    parameters: [query('alias', 'Points this alias at it.')],
    requestBody: {
      required: true,
      content: {
        'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
        'multipart/form-data': {
          schema: object({ onnx: { type: 'string', format: 'binary' }, facts: { type: 'object' } }, ['onnx']),
        },
      },
    },
    responses: { 201: { description: 'The version.', content: jsonContent(reference('ModelVersion')) } },
  },
  version: {
    operationId: 'getModelVersion',
    summary: 'A version, by its hash, its number or an alias',
    responses: answers('The version.', reference('ModelVersion')),
  },
  removeVersion: {
    operationId: 'removeModelVersion',
    summary: 'Remove a version that no alias names',
    responses: { 204: { description: 'Removed.' } },
  },
  file: {
    operationId: 'getModelFile',
    summary: 'The ONNX file of a version',
    responses: {
      200: {
        description: 'As it was registered.',
        content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
      },
    },
  },
  tagVersion: {
    operationId: 'setModelVersionTags',
    summary: 'Set the tags of a version',
    requestBody: tags,
    responses: answers('The version.', reference('ModelVersion')),
  },
} as const satisfies { readonly [name: string]: OpenApiOperation };
