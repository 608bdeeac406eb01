import type { Json } from '../../kernel/index.ts';
import type { OpenApiContent, OpenApiOperation } from './route.ts';

const text = (description?: string): Json => ({
  type: 'string',
  ...(description === undefined ? {} : { description }),
});
const json = (schema: Json): OpenApiContent => ({ 'application/json': { schema } });
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const time: Json = { type: 'string', format: 'date-time' };
const orNull = (type: string): Json => ({ type: [type, 'null'] });
const number: Json = { type: 'number' };
const object = (properties: { readonly [name: string]: Json }): Json => ({
  type: 'object',
  required: Object.keys(properties),
  properties,
});
const list = (items: Json): Json => ({ type: 'array', items });
const answer = (description: string, schema: Json): OpenApiOperation['responses'] => ({
  200: { description, content: json(schema) },
});

const COLUMN = object({
  name: text(),
  rows: number,
  psi: { ...(number as object), description: 'Population stability index.' },
  ks: orNull('number'),
  js: { ...(number as object), description: 'Jensen-Shannon divergence, bits.' },
  missing: number,
  missingBefore: number,
  outOfRange: number,
  p: { ...(number as object), description: 'Corrected for all tests of all columns.' },
  reasons: list(text()),
});

const WINDOW = {
  ...(object({
    from: time,
    to: time,
    rows: number,
    inputs: list(reference('ModelDrift')),
    outputs: list(reference('ModelDrift')),
  }) as object),
  type: ['object', 'null'],
};

export const MODEL_WATCH_SCHEMAS: { readonly [name: string]: Json } = {
  ModelDrift: COLUMN,
  ModelRetraining: object({
    id: text('Of the release too that it brings about.'),
    model: text(),
    fact: text('What set it off.'),
    by: text(),
    started: time,
    ended: { type: ['string', 'null'], format: 'date-time' },
    step: { enum: ['data', 'train', 'release', 'watch', 'done'] },
    positions: { type: ['array', 'null'], items: object({ from: number, to: number }) },
    version: orNull('string'),
    outcome: orNull('string'),
    reason: text(),
  }),
  ModelRelease: object({
    id: text(),
    model: text(),
    from: orNull('string'),
    to: text(),
    by: text(),
    created: time,
    stage: { enum: ['gates', 'shadow', 'canary', 'promoting', 'watch', 'returning', 'ended'] },
    stageSince: time,
    extended: { type: 'boolean' },
    outcome: { enum: ['released', 'stopped', 'returned', 'aborted', null] },
    settings: { type: 'object' },
    decisions: list(
      object({
        number,
        time,
        stage: text(),
        decision: text(),
        reason: text(),
        verdict: { enum: ['pass', 'fail', 'not enough data', null] },
        gates: list(object({ gate: text(), verdict: text(), reason: text() })),
        by: text(),
      }),
    ),
  }),
};

const RELEASE = answer('The release.', reference('ModelRelease'));

export const MODEL_WATCH_OPERATIONS = {
  watch: {
    operationId: 'getModelWatch',
    summary: 'How what a model is given compares with what it was trained on',
    responses: answer(
      'By version, with the last window judged.',
      object({
        model: text(),
        versions: list(
          object({
            version: text(),
            reference: { enum: ['training', 'live', null] },
            rows: object({ seen: number, open: number, late: number, sampledOut: number, skipped: number }),
            drifting: list(text()),
            window: WINDOW,
          }),
        ),
        labels: {
          type: ['object', 'null'],
          description: 'Live metrics by version and group, where the model says how labels are joined.',
        },
        release: { oneOf: [reference('ModelRelease'), { type: 'null' }] },
      }),
    ),
  },
  operations: {
    operationId: 'getModelOperations',
    summary: 'How a model is watched, released and retrained',
    responses: answer('With all defaults; durations in milliseconds.', { type: 'object' }),
  },
  setOperations: {
    operationId: 'setModelOperations',
    summary: 'Say how a model is watched, released and retrained',
    description:
      'As the options `watch`, `gates`, `release` and `retrain` of `model()`. The next deployment of its app says it anew.',
    requestBody: { required: true, content: json({ type: 'object' }) },
    responses: answer('As it is now.', { type: 'object' }),
  },
  setHeldBack: {
    operationId: 'setModelHeldBackRows',
    summary: 'Set the rows that versions are judged on',
    description: 'CSV with a header, or NDJSON. At most 64 MB.',
    requestBody: {
      required: true,
      content: { 'text/csv': { schema: text() }, 'application/x-ndjson': { schema: text() } },
    },
    responses: answer('How many there are.', object({ rows: number })),
  },
  retraining: {
    operationId: 'listModelRetraining',
    summary: 'When and why a model was trained anew',
    responses: answer('Newest first.', object({ runs: list(reference('ModelRetraining')) })),
  },
  retrain: {
    operationId: 'retrainModel',
    summary: 'Train a model anew now, and release what comes of it',
    responses: { 202: { description: 'It has begun.', content: json(reference('ModelRetraining')) } },
  },
  releases: {
    operationId: 'listModelReleases',
    summary: 'The releases of a model',
    responses: answer('Newest first.', object({ releases: list(reference('ModelRelease')) })),
  },
  begin: {
    operationId: 'beginModelRelease',
    summary: 'Release a version: gates, shadow, canary, watch',
    requestBody: {
      required: true,
      content: json(object({ version: text('A version, its number, or an alias.') })),
    },
    responses: { 201: { description: 'The release.', content: json(reference('ModelRelease')) } },
  },
  release: {
    operationId: 'getModelRelease',
    summary: 'A release with every decision and its reason',
    responses: RELEASE,
  },
  promote: {
    operationId: 'promoteModelRelease',
    summary: 'Give the version all traffic now, whatever the gates say',
    responses: RELEASE,
  },
  abort: {
    operationId: 'abortModelRelease',
    summary: 'End a release; the version before serves again',
    responses: RELEASE,
  },
} as const satisfies { readonly [name: string]: OpenApiOperation };
