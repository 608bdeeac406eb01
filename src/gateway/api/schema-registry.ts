import { type GuardAction, type Json, MillraceError } from '../../kernel/index.ts';
import {
  type Deleted,
  RegistryError,
  type RegistrySettings,
  readLevel,
  readMode,
  SCHEMA_TYPES,
  type SchemaDraft,
  type SchemaReference,
  type SchemaRegistry,
  type SubjectVersion,
} from '../../streams/index.ts';
import { jsonOf } from './context-body.ts';
import type { ApiContext, Route, RouteGroup } from './route.ts';
import { operation, REGISTRY_SCHEMAS, type RegistryOperation } from './schema-registry.openapi.ts';

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';

export interface SchemaRegistryRoutesOptions {
  readonly registry: SchemaRegistry;
}

/**
 * The HTTP interface of Confluent's schema registry, version 1 (its API reference), at the paths where its clients expect it. Answers and
 * errors have its form: `{"error_code": 40401, "message": …}`.
 */
export function schemaRegistryRoutes({ registry }: SchemaRegistryRoutesOptions): RouteGroup {
  return {
    name: 'schema registry',
    description: 'Schemas under subjects, as the serialisers of Confluent’s clients use them.',
    schemas: REGISTRY_SCHEMAS,
    routes: [
      ...subjectRoutes(registry),
      ...schemaRoutes(registry),
      ...compatibilityRoutes(registry),
      ...settingRoutes(registry),
    ],
  };
}

type Answer = Json | { readonly text: string };

/** A route whose answers and errors are those of Confluent's registry. */
function route(
  method: Route['method'],
  path: string,
  action: GuardAction,
  described: RegistryOperation,
  answer: (context: ApiContext) => Promise<Answer>,
): Route {
  return {
    method,
    path,
    action,
    resource: ([first]) => `subject/${path.includes('{subject}') ? first : '*'}`,
    operation: operation(described),
    async handle(context) {
      try {
        const found = await answer(context);
        const isText = typeof found === 'object' && found !== null && 'text' in found;
        return respond(200, isText ? String(found.text) : JSON.stringify(found));
      } catch (error) {
        if (!(error instanceof MillraceError) || error.status >= 500) throw error;
        const number = error instanceof RegistryError ? error.number : error.status;
        return respond(error.status, JSON.stringify({ error_code: number, message: error.message }));
      }
    },
  };
}

const respond = (status: number, body: string): Response =>
  new Response(body, { status, headers: { 'Content-Type': MEDIA_TYPE } });

const parameter = (context: ApiContext, name: string): string => context.req.param(name) ?? '';
const flag = (context: ApiContext, name: string): boolean => context.req.query(name) === 'true';

function deletedOf(context: ApiContext): Deleted {
  if (flag(context, 'deletedOnly')) return 'only';
  return flag(context, 'deleted') ? 'with' : 'without';
}

function idOf(context: ApiContext): number {
  const id = parameter(context, 'id');
  if (/^\d{1,10}$/.test(id)) return Number(id);
  throw new RegistryError(40403, `Schema ${id.slice(0, 20)} not found: an id is a whole number.`);
}

type Fields = { readonly [field: string]: Json | undefined };

interface SchemaRequest {
  readonly draft: SchemaDraft;
  readonly id?: number;
  readonly version?: number;
}

/** `{"schema", "schemaType"?, "references"?, "id"?, "version"?}`. Throws 42201. */
async function schemaOf(context: ApiContext): Promise<SchemaRequest> {
  const body = await jsonOf(context);
  const fields = (typeof body === 'object' && body !== null ? body : {}) as Fields;
  if (typeof fields.schema !== 'string' || fields.schema.trim() === '')
    throw new RegistryError(42201, 'Empty schema: send {"schema": "<the schema as text>"}.');
  const type = SCHEMA_TYPES.find((each) => each === (fields.schemaType ?? 'AVRO'));
  if (!type)
    throw new RegistryError(
      42201,
      `Invalid schema type '${fields.schemaType}'. There are ${SCHEMA_TYPES.join(', ')}.`,
    );
  for (const name of ['metadata', 'ruleSet']) {
    const value = fields[name];
    if (value !== undefined && value !== null)
      throw new RegistryError(42201, `This registry keeps no ${name}. Send the schema without.`);
  }
  return {
    draft: { type, text: fields.schema, references: referencesOf(fields.references) },
    ...positive('id', fields.id),
    ...positive('version', fields.version),
  };
}

/** Clients send -1 or 0 for none. */
const positive = (name: string, value: Json | undefined): object =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 2 ** 31
    ? { [name]: value }
    : {};

function referencesOf(json: Json | undefined): readonly SchemaReference[] {
  if (json === undefined || json === null) return [];
  const list = Array.isArray(json) ? (json as readonly Fields[]) : [{}];
  return list.map(({ name, subject, version }) => {
    if (typeof name === 'string' && typeof subject === 'string' && typeof version === 'number')
      return { name, subject, version };
    throw new RegistryError(
      42201,
      'A reference has a name, a subject and a version, {"name":"a","subject":"b","version":1}.',
    );
  });
}

/** Avro is what a schema is when nothing is said, and goes unsaid. */
function schemaJson({ type, text, references }: SchemaDraft): { readonly [field: string]: Json } {
  return {
    ...(type === 'AVRO' ? {} : { schemaType: type }),
    schema: text,
    ...(references.length === 0 ? {} : { references: references.map((each) => ({ ...each })) }),
  };
}

const versionJson = ({ subject, version, id, ...schema }: SubjectVersion) => ({
  subject,
  version,
  id,
  ...schemaJson(schema),
});

/** With `?format=serialized`, a Protobuf schema is the base64 of its descriptor. */
async function formatted<Schema extends SchemaDraft>(
  registry: SchemaRegistry,
  context: ApiContext,
  schema: Schema,
): Promise<Schema> {
  const wanted = context.req.query('format') === 'serialized' && schema.type === 'PROTOBUF';
  return wanted ? { ...schema, text: await registry.serialized(schema) } : schema;
}

function subjectRoutes(registry: SchemaRegistry): Route[] {
  const subject = (context: ApiContext): string => parameter(context, 'subject');
  const version = async (context: ApiContext): Promise<SubjectVersion> => {
    const found = await registry.version(subject(context), parameter(context, 'version'), deletedOf(context));
    return formatted(registry, context, found);
  };
  const options = (context: ApiContext) => ({
    ...(context.req.query('normalize') === undefined ? {} : { normalize: flag(context, 'normalize') }),
  });
  return [
    route('GET', '/subjects', 'read', 'listSubjects', async (context) => {
      const prefix = context.req.query('subjectPrefix') ?? '';
      return [...(await registry.subjects({ prefix, deleted: deletedOf(context) }))];
    }),
    route('GET', '/subjects/{subject}/versions', 'read', 'listSubjectVersions', async (context) => [
      ...(await registry.versions(subject(context), deletedOf(context))),
    ]),
    route('POST', '/subjects/{subject}/versions', 'write', 'registerSchema', async (context) => {
      const { draft, ...wanted } = await schemaOf(context);
      return { id: await registry.register(subject(context), draft, { ...options(context), ...wanted }) };
    }),
    route('GET', '/subjects/{subject}/versions/{version}', 'read', 'getSubjectVersion', async (context) =>
      versionJson(await version(context)),
    ),
    route(
      'GET',
      '/subjects/{subject}/versions/{version}/schema',
      'read',
      'getSubjectVersionSchema',
      async (context) => ({
        text: (await version(context)).text,
      }),
    ),
    route(
      'GET',
      '/subjects/{subject}/versions/{version}/referencedby',
      'read',
      'getReferencedBy',
      async (context) => [...(await registry.referencedBy(subject(context), parameter(context, 'version')))],
    ),
    route('POST', '/subjects/{subject}', 'read', 'lookUpSchema', async (context) => {
      const { draft } = await schemaOf(context);
      const found = await registry.lookup(subject(context), draft, {
        ...options(context),
        deleted: deletedOf(context),
      });
      return versionJson(await formatted(registry, context, found));
    }),
    route('DELETE', '/subjects/{subject}', 'administer', 'deleteSubject', async (context) => [
      ...(await registry.deleteSubject(subject(context), flag(context, 'permanent'))),
    ]),
    route(
      'DELETE',
      '/subjects/{subject}/versions/{version}',
      'administer',
      'deleteSubjectVersion',
      (context) =>
        registry.deleteVersion(subject(context), parameter(context, 'version'), flag(context, 'permanent')),
    ),
  ];
}

function schemaRoutes(registry: SchemaRegistry): Route[] {
  const schema = async (context: ApiContext): Promise<SchemaDraft> =>
    formatted(registry, context, await registry.schema(idOf(context)));
  const places = (context: ApiContext) => registry.placesOf(idOf(context), deletedOf(context));
  return [
    route('GET', '/schemas/types', 'read', 'listSchemaTypes', async () => ['JSON', 'PROTOBUF', 'AVRO']),
    route('GET', '/schemas/ids/{id}', 'read', 'getSchema', async (context) =>
      schemaJson(await schema(context)),
    ),
    route('GET', '/schemas/ids/{id}/schema', 'read', 'getSchemaText', async (context) => ({
      text: (await schema(context)).text,
    })),
    route('GET', '/schemas/ids/{id}/subjects', 'read', 'listSubjectsOfSchema', async (context) => [
      ...new Set((await places(context)).map(({ subject }) => subject)),
    ]),
    route('GET', '/schemas/ids/{id}/versions', 'read', 'listVersionsOfSchema', async (context) =>
      (await places(context)).map((place) => ({ ...place })),
    ),
  ];
}

function compatibilityRoutes(registry: SchemaRegistry): Route[] {
  const check = async (context: ApiContext, version?: string): Promise<Json> => {
    const { draft } = await schemaOf(context);
    const problems = await registry.problemsWith(parameter(context, 'subject'), draft, {
      normalize: flag(context, 'normalize'),
      ...(version === undefined ? {} : { version }),
    });
    const compatible = { is_compatible: problems.length === 0 };
    return flag(context, 'verbose') ? { ...compatible, messages: [...problems] } : compatible;
  };
  const path = '/compatibility/subjects/{subject}/versions';
  return [
    route('POST', path, 'read', 'checkCompatibility', (context) => check(context)),
    route('POST', `${path}/{version}`, 'read', 'checkCompatibilityWithVersion', (context) =>
      check(context, parameter(context, 'version')),
    ),
  ];
}

function settingRoutes(registry: SchemaRegistry): Route[] {
  return [undefined, '{subject}'].flatMap((segment) => {
    const where = segment === undefined ? '' : `/${segment}`;
    const of = segment === undefined ? '' : 'OfSubject';
    const subject = (context: ApiContext): string | undefined =>
      segment === undefined ? undefined : parameter(context, 'subject');
    const inherited = (context: ApiContext): boolean => flag(context, 'defaultToGlobal');
    const name = <Name extends string>(verb: Name) => `${verb}${of}` as `${Name}OfSubject` | Name;
    return [
      route('GET', `/config${where}`, 'read', name('getRegistryConfig'), async (context) => {
        const { compatibility, ...rest } = await registry.config(subject(context), inherited(context));
        return { compatibilityLevel: compatibility, ...rest };
      }),
      route('PUT', `/config${where}`, 'administer', name('setRegistryConfig'), async (context) => {
        const settings = readSettings(await jsonOf(context));
        await registry.setConfig(subject(context), settings);
        return { ...settings };
      }),
      route('DELETE', `/config${where}`, 'administer', name('deleteRegistryConfig'), async (context) => ({
        compatibilityLevel: await registry.deleteConfig(subject(context)),
      })),
      route('GET', `/mode${where}`, 'read', name('getRegistryMode'), async (context) => ({
        mode: await registry.mode(subject(context), inherited(context)),
      })),
      route('PUT', `/mode${where}`, 'administer', name('setRegistryMode'), async (context) => {
        const body = await jsonOf(context);
        const mode = readMode((body as Fields | null)?.mode);
        await registry.setMode(subject(context), mode);
        return { mode };
      }),
      ...(segment === undefined
        ? []
        : [
            route(
              'DELETE',
              `/mode${where}`,
              'administer',
              'deleteRegistryModeOfSubject',
              async (context) => ({
                mode: await registry.deleteMode(parameter(context, 'subject')),
              }),
            ),
          ]),
    ];
  });
}

function readSettings(body: Json): RegistrySettings {
  const { compatibility, normalize } = (typeof body === 'object' && body !== null ? body : {}) as Fields;
  const hasLevel = compatibility !== undefined && compatibility !== null;
  if (!hasLevel && typeof normalize !== 'boolean') readLevel(compatibility);
  return {
    ...(hasLevel ? { compatibility: readLevel(compatibility) } : {}),
    ...(typeof normalize === 'boolean' ? { normalize } : {}),
  };
}
