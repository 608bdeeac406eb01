import { COMPATIBILITY_MODES, type Json } from '../../kernel/index.ts';
import type { OpenApiContent, OpenApiOperation, OpenApiParameter } from './route.ts';

const integer = (description?: string): Json => ({
  type: 'integer',
  minimum: 0,
  ...(description === undefined ? {} : { description }),
});
const text = (description?: string): Json => ({
  type: 'string',
  ...(description === undefined ? {} : { description }),
});
const list = (items: Json): Json => ({ type: 'array', items });
const object = (properties: { readonly [name: string]: Json }, required = Object.keys(properties)): Json => ({
  type: 'object',
  required,
  properties,
});
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const jsonContent = (schema: Json): OpenApiContent => ({ 'application/json': { schema } });

const DEFINITION = {
  partitions: { type: 'integer', minimum: 1, description: 'How many partitions; 1 unless told.' },
  key: text('Path of the key inside the value: `card`, `user.id` or a JSON Pointer.'),
  schema: { type: ['object', 'boolean'], description: 'JSON Schema that every record has to fit.' },
  compatibility: {
    enum: COMPATIBILITY_MODES,
  },
  onInvalid: { enum: ['refuse', 'divert'], description: 'What happens to records that do not fit.' },
  retention: { type: ['string', 'number', 'null'], description: "A duration such as '7d'; null: for ever." },
  retentionBytes: { type: ['string', 'number', 'null'], description: "A size such as '1gb' per partition." },
  cleanup: { enum: ['delete', 'compact', 'compact,delete'] },
  maxRecordBytes: { type: ['string', 'number'], description: "A size such as '1mb'." },
  repartition: {
    type: 'boolean',
    description: 'Allows more partitions on a keyed stream although keys move.',
  },
} satisfies { readonly [name: string]: Json };

export const SCHEMAS: { readonly [name: string]: Json } = {
  StreamDefinition: {
    ...(object({ name: text(), ...DEFINITION }, ['name']) as object),
    additionalProperties: false,
  },
  StreamChange: { ...(object({ name: text(), ...DEFINITION }, []) as object), additionalProperties: false },
  StreamSummary: object({
    name: text(),
    partitions: integer(),
    records: integer('Offsets between start and end, over all partitions.'),
    owner: { type: ['string', 'null'], description: 'The app that exports it.' },
    internal: { type: 'boolean' },
    detached: { type: 'boolean' },
  }),
  Stream: object(
    {
      name: text(),
      partitions: integer(),
      key: { type: ['string', 'null'], description: 'JSON Pointer.' },
      schema: { type: ['object', 'boolean', 'null'] },
      schemaVersion: integer(),
      compatibility: text(),
      onInvalid: text(),
      retentionMs: { type: ['number', 'null'] },
      retentionBytes: { type: ['number', 'null'] },
      cleanup: text(),
      maxRecordBytes: integer(),
      owner: { type: ['string', 'null'] },
      internal: { type: 'boolean' },
      detached: { type: 'boolean' },
      created: { type: 'string', format: 'date-time' },
      offsets: list(object({ partition: integer(), start: integer(), stable: integer(), end: integer() })),
      groups: list(reference('Group')),
    },
    ['name', 'partitions', 'offsets', 'groups'],
  ),
  Group: object({
    group: text(),
    kind: {
      enum: ['platform', 'classic', 'consumer', null],
      description:
        "Who its members are: the platform's own, or Kafka clients of either protocol; null before the first.",
    },
    state: { enum: ['empty', 'rebalancing', 'stable'] },
    epoch: integer(),
    members: list(object({ member: text(), partitions: list(integer()) })),
    lag: integer('Records behind, over all partitions.'),
    partitions: list(object({ partition: integer(), offset: { type: ['integer', 'null'] }, lag: integer() })),
  }),
  Record: object(
    {
      partition: integer(),
      offset: integer(),
      time: text('ISO 8601.'),
      key: { type: ['string', 'null'] },
      keyBase64: text('Where the key is not UTF-8.'),
      headers: { type: 'object', description: 'Values by name; an array where a name came more than once.' },
      value: { description: 'The JSON that was published.' },
      valueBase64: text('Where the value is not JSON.'),
    },
    ['partition', 'offset', 'time', 'key', 'headers', 'value'],
  ),
  Records: object(
    {
      records: list(reference('Record')),
      nextOffset: integer('Where the next read goes on.'),
      start: integer('First offset of the partition.'),
      stable: integer('First offset of an open transaction, else the end.'),
      end: integer('Offset after the last record.'),
    },
    ['records', 'nextOffset'],
  ),
  Published: object(
    {
      records: integer(),
      partition: integer('Where the record is, for one record.'),
      offset: integer('Where the record is, for one record.'),
      partitions: list(integer('Partition of record i, for many.')),
      offsets: list(integer('Offset of record i, for many.')),
      places: list(object({ partition: integer(), offset: integer() })),
      diverted: list(
        object({
          index: integer('Which record went to `<stream>.invalid`.'),
          errors: list(object({ path: text(), message: text() })),
        }),
      ),
    },
    ['records'],
  ),
};

const query = (name: string, description: string, schema: Json): OpenApiParameter => ({
  name,
  in: 'query',
  description,
  schema,
});
const header = (name: string, description: string): OpenApiParameter => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
});

const PUBLISH: OpenApiOperation = {
  operationId: 'publish',
  summary: 'Publish records',
  description:
    'Answers when the records are on disk. One JSON value, lines of JSON, or CloudEvents 1.0 in structured, batched or binary mode. All records of a request are accepted or none.',
  parameters: [
    query('key', 'Key of the record, or of every line.', { type: 'string' }),
    query('partition', 'Partition for a single record, instead of the one of its key.', integer()),
    query('acks', '`memory` answers before the disk has it.', { enum: ['disk', 'memory'] }),
    header('Millrace-Key', 'The same as `key`.'),
    header('Idempotency-Key', 'The request takes effect once, however often it is sent within a day.'),
    header('Prefer', '`return=minimal`: counts alone. `return=representation`: an object for each record.'),
  ],
  requestBody: {
    required: true,
    content: {
      'application/json': { schema: true },
      'application/x-ndjson': { schema: { type: 'string', description: 'One JSON value a line.' } },
      'application/cloudevents+json': { schema: { type: 'object' } },
      'application/cloudevents-batch+json': { schema: list({ type: 'object' }) },
    },
  },
  responses: {
    200: {
      description: 'On disk; with the partition and offset of each.',
      content: jsonContent(reference('Published')),
    },
  },
};

const READ: OpenApiOperation = {
  operationId: 'readRecords',
  summary: 'Read or follow records',
  description:
    'As JSON: what one partition holds from a position on, without waiting. As an event stream: records of all partitions as they come; each id is a position that Last-Event-ID resumes from.',
  parameters: [
    query('partition', 'Read: 0 unless told. Follow: all unless told.', integer()),
    query(
      'from',
      '`start`, `end`, an offset, an ISO 8601 time or a duration back such as `10m`. Read: `start`; follow: `end`.',
      {
        type: 'string',
      },
    ),
    query('limit', 'Read: at most this many records; 100 unless told.', {
      type: 'integer',
      minimum: 0,
      maximum: 10_000,
    }),
    query('isolation', '`uncommitted` shows open and aborted transactions too.', {
      enum: ['committed', 'uncommitted'],
    }),
    query('group', 'Follow: as a member of this consumer group, which remembers the position.', {
      type: 'string',
    }),
    query('lastEventId', 'Follow: the same as Last-Event-ID.', { type: 'string' }),
    header('Last-Event-ID', 'Follow: goes on after the event with this id.'),
  ],
  responses: {
    200: {
      description: 'Records.',
      content: {
        ...jsonContent(reference('Records')),
        'text/event-stream': { schema: { type: 'string', description: 'Each `data` is a Record.' } },
      },
    },
  },
};

export const OPERATIONS = {
  publish: PUBLISH,
  readRecords: READ,
  listStreams: {
    operationId: 'listStreams',
    summary: 'List streams',
    parameters: [query('internal', "`true` shows the platform's own too.", { enum: ['true', 'false'] })],
    responses: {
      200: {
        description: 'All streams.',
        content: jsonContent(object({ streams: list(reference('StreamSummary')) })),
      },
    },
  },
  createStream: {
    operationId: 'createStream',
    summary: 'Create a stream',
    requestBody: { required: true, content: jsonContent(reference('StreamDefinition')) },
    responses: { 201: { description: 'Created.', content: jsonContent(reference('Stream')) } },
  },
  describeStream: {
    operationId: 'describeStream',
    summary: 'Describe a stream: partitions, offsets, groups and their lag',
    responses: { 200: { description: 'The stream.', content: jsonContent(reference('Stream')) } },
  },
  defineStream: {
    operationId: 'defineStream',
    summary: 'Create a stream or change it: settings, more partitions, a new schema version',
    requestBody: { required: true, content: jsonContent(reference('StreamChange')) },
    responses: { 200: { description: 'As it is now.', content: jsonContent(reference('Stream')) } },
  },
  deleteStream: {
    operationId: 'deleteStream',
    summary: 'Delete a stream and its records',
    responses: { 204: { description: 'Deleted.' } },
  },
} satisfies { readonly [name: string]: OpenApiOperation };
