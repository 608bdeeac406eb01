import { ARTIFACT_TYPE, ARTIFACTS_TYPE, type Json } from '../../kernel/index.ts';
import type { OpenApiContent, OpenApiOperation } from './route.ts';

const text = (description?: string): Json => ({
  type: 'string',
  ...(description === undefined ? {} : { description }),
});
const orNull = (description: string): Json => ({ type: ['string', 'null'], description });
const list = (items: Json): Json => ({ type: 'array', items });
const object = (properties: { readonly [name: string]: Json }, required = Object.keys(properties)): Json => ({
  type: 'object',
  required,
  properties,
});
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const jsonContent = (schema: Json): OpenApiContent => ({ 'application/json': { schema } });

export const APP_SCHEMAS: { readonly [name: string]: Json } = {
  AppSummary: object({
    app: text(),
    version: text(),
    streams: { type: 'integer', minimum: 0 },
    functions: { type: 'integer', minimum: 0 },
  }),
  PlannedChange: object(
    {
      resource: text('`stream/payments`, `function/score`.'),
      action: { enum: ['create', 'update', 'detach', 'remove', 'keep'] },
      details: list(text('A difference, such as `partitions 4 → 8`.')),
      refusal: text('Why it cannot be done, with the remedy.'),
      code: text('The error of a refused deployment.'),
    },
    ['resource', 'action', 'details'],
  ),
  DeploymentPlan: object({
    app: text(),
    from: orNull('The version that runs.'),
    to: orNull('The version that would run.'),
    changes: list(reference('PlannedChange')),
    refused: { type: 'boolean' },
  }),
  Deployment: object({
    id: orNull('Null: this version ran already.'),
    app: text(),
    from: orNull('The version that ran before.'),
    to: orNull('The version that runs now.'),
    changed: { type: 'boolean', description: 'False: this version ran already.' },
    changes: list(reference('PlannedChange')),
  }),
  AppVersion: object({
    version: orNull('Null where the app was removed.'),
    action: { enum: ['deploy', 'rollback', 'remove'] },
    time: { type: 'string', format: 'date-time' },
    by: text(),
    active: { type: 'boolean' },
  }),
};

const deployed = {
  200: { description: 'Done: new work goes to this version.', content: jsonContent(reference('Deployment')) },
};

export const APP_OPERATIONS = {
  listApps: {
    operationId: 'listApps',
    summary: 'The apps that run',
    responses: {
      200: { description: 'By name.', content: jsonContent(object({ apps: list(reference('AppSummary')) })) },
    },
  },
  getApp: {
    operationId: 'getApp',
    summary: 'One app in full: its streams, functions, states and references',
    responses: { 200: { description: 'The active version.', content: jsonContent({ type: 'object' }) } },
  },
  deployApp: {
    operationId: 'deployApp',
    summary: 'Deploy a version',
    description:
      'The artifact is the length of the manifest (4 bytes, big endian), the manifest as JSON, then its files back to ' +
      'back in the order of the manifest. Every file is checked against its hash. Either all of the version takes ' +
      'effect or nothing; what ran goes on until then.',
    requestBody: {
      required: true,
      content: { [ARTIFACT_TYPE]: { schema: { type: 'string', format: 'binary' } } },
    },
    responses: deployed,
  },
  deployApps: {
    operationId: 'deployApps',
    summary: 'Deploy several apps as one',
    description:
      'For apps that refer to each other: all of them change, or none. Artifacts as for one app, each with its length ' +
      '(4 bytes, big endian) in front.',
    requestBody: {
      required: true,
      content: { [ARTIFACTS_TYPE]: { schema: { type: 'string', format: 'binary' } } },
    },
    responses: {
      200: {
        description: 'Done: new work goes to these versions.',
        content: jsonContent(object({ deployments: list(reference('Deployment')) })),
      },
    },
  },
  planApp: {
    operationId: 'planApp',
    summary: 'What deploying a manifest would change',
    requestBody: { required: true, content: jsonContent({ type: 'object' }) },
    responses: {
      200: { description: 'The differences.', content: jsonContent(reference('DeploymentPlan')) },
    },
  },
  listVersions: {
    operationId: 'listVersions',
    summary: 'What was deployed, newest first',
    responses: {
      200: {
        description: 'The history of the app.',
        content: jsonContent(object({ app: text(), versions: list(reference('AppVersion')) })),
      },
    },
  },
  rollbackApp: {
    operationId: 'rollbackApp',
    summary: 'Go back to the version before, or to the one named',
    requestBody: { content: jsonContent(object({ version: text() }, [])) },
    responses: deployed,
  },
  removeApp: {
    operationId: 'removeApp',
    summary: 'Stop the functions of an app and detach its streams; records stay',
    responses: deployed,
  },
} as const satisfies { readonly [name: string]: OpenApiOperation };
