import type { Json } from '../../kernel/index.ts';
import type { OpenApiOperation, OpenApiParameter } from './route.ts';

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';

/** JSON Schemas of what the registry takes and gives. */
export const REGISTRY_SCHEMAS: { readonly [name: string]: Json } = {
  RegistryReference: {
    type: 'object',
    required: ['name', 'subject', 'version'],
    properties: { name: { type: 'string' }, subject: { type: 'string' }, version: { type: 'integer' } },
  },
  RegistrySchema: {
    type: 'object',
    required: ['schema'],
    properties: {
      schema: { type: 'string', description: 'The schema as text.' },
      schemaType: { enum: ['AVRO', 'JSON', 'PROTOBUF'], default: 'AVRO' },
      references: { type: 'array', items: { $ref: '#/components/schemas/RegistryReference' } },
      id: { type: 'integer', description: 'In mode IMPORT: the id to give it.' },
      version: { type: 'integer' },
      subject: { type: 'string' },
    },
  },
  RegistryConfig: {
    type: 'object',
    properties: {
      compatibility: { type: 'string' },
      compatibilityLevel: { type: 'string' },
      normalize: { type: 'boolean' },
    },
  },
  RegistryMode: {
    type: 'object',
    required: ['mode'],
    properties: { mode: { enum: ['READWRITE', 'READONLY', 'IMPORT'] } },
  },
  RegistryCompatibility: {
    type: 'object',
    required: ['is_compatible'],
    properties: {
      is_compatible: { type: 'boolean' },
      messages: { type: 'array', items: { type: 'string' } },
    },
  },
};

const named = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const NUMBERS: Json = { type: 'array', items: { type: 'integer' } };
const TEXTS: Json = { type: 'array', items: { type: 'string' } };
const ID: Json = { type: 'object', properties: { id: { type: 'integer' } } };
const SCHEMA = named('RegistrySchema');
const CONFIG = named('RegistryConfig');
const MODE = named('RegistryMode');
const FITS = named('RegistryCompatibility');

interface Described {
  readonly summary: string;
  readonly answer: Json;
  readonly body?: Json;
  readonly query?: readonly string[];
}

const QUERY: { readonly [name: string]: string } = {
  deleted: 'true: with those that are deleted for now',
  deletedOnly: 'true: those alone that are deleted for now',
  subjectPrefix: 'Only subjects that begin so',
  normalize: 'true: members in another order make no other schema',
  permanent: 'true: for good, after they were deleted for now',
  format: '`serialized`: a Protobuf schema as the base64 of its descriptor',
  verbose: 'true: with the reasons',
  defaultToGlobal: 'true: what holds where the subject has none of its own',
};

const setting = (what: string, answer: Json, verb: 'Get' | 'Set' | 'Take away'): Described => ({
  summary: `${verb} ${what}`,
  answer,
  ...(verb === 'Set' ? { body: answer } : {}),
  ...(verb === 'Get' ? { query: ['defaultToGlobal'] } : {}),
});

const OPERATIONS = {
  listSubjects: {
    summary: 'List subjects',
    answer: TEXTS,
    query: ['subjectPrefix', 'deleted', 'deletedOnly'],
  },
  listSubjectVersions: {
    summary: 'List the versions of a subject',
    answer: NUMBERS,
    query: ['deleted', 'deletedOnly'],
  },
  registerSchema: {
    summary: 'Register a schema under a subject',
    answer: ID,
    body: SCHEMA,
    query: ['normalize'],
  },
  getSubjectVersion: {
    summary: 'Get a version; `latest` is one',
    answer: SCHEMA,
    query: ['deleted', 'format'],
  },
  getSubjectVersionSchema: {
    summary: 'Get the schema of a version alone',
    answer: {},
    query: ['deleted', 'format'],
  },
  getReferencedBy: { summary: 'List the ids of schemas that refer to a version', answer: NUMBERS },
  lookUpSchema: {
    summary: 'Find the version that a schema is under a subject',
    answer: SCHEMA,
    body: SCHEMA,
    query: ['normalize', 'deleted', 'format'],
  },
  deleteSubject: { summary: 'Delete a subject', answer: NUMBERS, query: ['permanent'] },
  deleteSubjectVersion: { summary: 'Delete a version', answer: { type: 'integer' }, query: ['permanent'] },
  listSchemaTypes: { summary: 'List the kinds of schemas', answer: TEXTS },
  getSchema: { summary: 'Get the schema with an id', answer: SCHEMA, query: ['format'] },
  getSchemaText: { summary: 'Get the text of the schema with an id', answer: {}, query: ['format'] },
  listSubjectsOfSchema: { summary: 'List the subjects of a schema', answer: TEXTS, query: ['deleted'] },
  listVersionsOfSchema: {
    summary: 'List the subjects and versions of a schema',
    answer: { type: 'array', items: { type: 'object' } },
    query: ['deleted'],
  },
  checkCompatibility: {
    summary: 'Ask whether a schema could be registered',
    answer: FITS,
    body: SCHEMA,
    query: ['verbose', 'normalize'],
  },
  checkCompatibilityWithVersion: {
    summary: 'Ask whether a schema goes with a version',
    answer: FITS,
    body: SCHEMA,
    query: ['verbose', 'normalize'],
  },
  getRegistryConfig: setting('the compatibility level', CONFIG, 'Get'),
  setRegistryConfig: setting('the compatibility level', CONFIG, 'Set'),
  deleteRegistryConfig: setting('the compatibility level', CONFIG, 'Take away'),
  getRegistryConfigOfSubject: setting('the compatibility level of a subject', CONFIG, 'Get'),
  setRegistryConfigOfSubject: setting('the compatibility level of a subject', CONFIG, 'Set'),
  deleteRegistryConfigOfSubject: setting('the compatibility level of a subject', CONFIG, 'Take away'),
  getRegistryMode: setting('the mode', MODE, 'Get'),
  setRegistryMode: setting('the mode', MODE, 'Set'),
  getRegistryModeOfSubject: setting('the mode of a subject', MODE, 'Get'),
  setRegistryModeOfSubject: setting('the mode of a subject', MODE, 'Set'),
  deleteRegistryModeOfSubject: setting('the mode of a subject', MODE, 'Take away'),
} as const satisfies { readonly [name: string]: Described };

export type RegistryOperation = keyof typeof OPERATIONS;

export function operation(id: RegistryOperation): OpenApiOperation {
  const { summary, answer, body, query = [] }: Described = OPERATIONS[id];
  const parameters = query.map(
    (name): OpenApiParameter => ({
      name,
      in: 'query',
      description: QUERY[name]!,
      schema: { type: 'string' },
    }),
  );
  return {
    operationId: id,
    summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { [MEDIA_TYPE]: { schema: body } } } }),
    responses: {
      200: { description: 'As Confluent’s registry answers.', content: { [MEDIA_TYPE]: { schema: answer } } },
    },
  };
}
