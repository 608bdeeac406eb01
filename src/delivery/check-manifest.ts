import { type InputProblem, type Manifest, MillraceError, manifestVersion } from '../kernel/index.ts';

/** Describes the values of a manifest; what a client sends is checked against it before anything is done with it. */
type Rule = (value: unknown, path: string, problems: InputProblem[]) => void;

const fail = (problems: InputProblem[], path: string, message: string): void => {
  if (problems.length < 100) problems.push({ path, message });
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const text =
  (pattern: RegExp, what: string): Rule =>
  (value, path, problems) => {
    if (typeof value !== 'string' || !pattern.test(value)) fail(problems, path, `must be ${what}`);
  };
const number =
  (min: number, max: number): Rule =>
  (value, path, problems) => {
    const fits = typeof value === 'number' && value >= min && value <= max;
    if (!fits) fail(problems, path, `must be a number between ${min} and ${max}`);
  };
const oneOf =
  (...choices: readonly unknown[]): Rule =>
  (value, path, problems) => {
    if (!choices.includes(value)) fail(problems, path, `must be one of ${choices.join(', ')}`);
  };
const orNull =
  (rule: Rule): Rule =>
  (value, path, problems) => {
    if (value !== null) rule(value, path, problems);
  };
const optional =
  (rule: Rule): Rule =>
  (value, path, problems) => {
    if (value !== undefined) rule(value, path, problems);
  };
const list =
  (rule: Rule): Rule =>
  (value, path, problems) => {
    if (!Array.isArray(value)) return fail(problems, path, 'must be a list');
    for (const [index, each] of value.entries()) rule(each, `${path}/${index}`, problems);
  };
const record =
  (rules: { readonly [field: string]: Rule }): Rule =>
  (value, path, problems) => {
    if (!isObject(value)) return fail(problems, path, 'must be an object');
    for (const [field, rule] of Object.entries(rules)) rule(value[field], `${path}/${field}`, problems);
    for (const field of Object.keys(value)) {
      if (!Object.hasOwn(rules, field)) fail(problems, `${path}/${field}`, 'is not known');
    }
  };
const mapOf =
  (rule: Rule): Rule =>
  (value, path, problems) => {
    if (!isObject(value)) return fail(problems, path, 'must be an object');
    for (const [field, each] of Object.entries(value)) rule(each, `${path}/${field}`, problems);
  };

const NAME = text(/^(?!millrace\.)[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/, 'a name');
const REFERRED = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,248}$/, 'a name');
const ANY_TEXT = text(/^/, 'text');
const HEX = text(/^[0-9a-f]{16}$/, 'sixteen hexadecimal digits');
/** Inside the artifact's folder, whatever the platform's file system makes of it. */
const PATH = text(
  /^(?!.*(^|\/)\.\.?(\/|$))[A-Za-z0-9_$@+~ .-]+(\/[A-Za-z0-9_$@+~ .-]+)*$/,
  'a relative path',
);
const FLAG = oneOf(true, false);
const MOST = Number.MAX_SAFE_INTEGER;
const schema: Rule = (value, path, problems) => {
  if (!isObject(value) && typeof value !== 'boolean') fail(problems, path, 'must be a JSON Schema');
};

const STREAM = record({
  name: NAME,
  partitions: number(1, 10_000),
  keyPath: optional(text(/^\//, 'a JSON Pointer')),
  schema: optional(schema),
  compatibility: text(/^(none|(backward|forward|full)(-transitive)?)$/, 'a compatibility mode'),
  onInvalid: oneOf('refuse', 'divert'),
  retentionMs: orNull(number(1, MOST)),
  retentionBytes: orNull(number(1, MOST)),
  cleanup: oneOf('delete', 'compact', 'compact,delete'),
  maxRecordBytes: number(1, 6 * 1024 * 1024),
});

const TRIGGERS: { readonly [kind: string]: Rule } = {
  stream: record({ kind: oneOf('stream'), stream: REFERRED }),
  every: record({ kind: oneOf('every'), everyMs: number(100, MOST) }),
  cron: record({ kind: oneOf('cron'), expression: ANY_TEXT, timezone: ANY_TEXT }),
  http: record({
    kind: oneOf('http'),
    method: oneOf('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
    path: text(/^\//, "a path that begins with '/'"),
    body: optional(schema),
    query: optional(schema),
    streamBody: FLAG,
    maxBodyBytes: number(1, MOST),
    cors: optional(
      record({
        origins: list(ANY_TEXT),
        headers: list(ANY_TEXT),
        maxAgeMs: number(0, MOST),
        credentials: FLAG,
      }),
    ),
    keys: optional(list(ANY_TEXT)),
    rateLimit: optional(
      record({ requests: number(1, MOST), perMs: number(1, MOST), by: oneOf('ip', 'key', 'route') }),
    ),
    allow: optional(list(ANY_TEXT)),
    cache: optional(record({ ttlMs: number(1, MOST), vary: list(ANY_TEXT) })),
  }),
};
const trigger: Rule = (value, path, problems) => {
  const kind = isObject(value) ? TRIGGERS[String(value.kind)] : undefined;
  if (kind) kind(value, path, problems);
  else fail(problems, path, `must be a trigger: ${Object.keys(TRIGGERS).join(', ')}`);
};

const MB = 1024 ** 2;
const FUNCTION = record({
  name: NAME,
  version: HEX,
  entry: PATH,
  exportName: ANY_TEXT,
  runtime: oneOf('worker'),
  triggers: list(trigger),
  from: oneOf('start', 'end'),
  batch: orNull(record({ size: number(1, 10_000), waitMs: number(0, 300_000) })),
  instances: record({ min: number(0, 1000), max: number(1, 1000) }),
  perInstance: number(1, 1000),
  timeoutMs: number(1, 900_000),
  memoryBytes: number(128 * MB, 10_240 * MB),
  cpu: number(0.1, 16),
  tmpBytes: number(0, 10_240 * MB),
  retry: record({ attempts: number(1, 100), backoffMs: number(0, 3_600_000) }),
  env: mapOf(ANY_TEXT),
  secrets: list(ANY_TEXT),
  input: optional(schema),
});

/** What only engines understand. */
const anyObject: Rule = (value, path, problems) => {
  if (!isObject(value)) fail(problems, path, 'must be an object');
};

/** How a model is served is checked by the engine that serves it, when it plans the deployment. */
const MODEL = record({
  name: NAME,
  file: optional(PATH),
  serving: (value, path, problems) => {
    if (!isObject(value)) fail(problems, path, 'must be an object');
  },
  card: optional(ANY_TEXT),
  tags: mapOf(ANY_TEXT),
  operations: optional(anyObject),
  training: optional(anyObject),
});

const MANIFEST = record({
  format: oneOf(1),
  app: NAME,
  version: HEX,
  streams: list(STREAM),
  functions: list(FUNCTION),
  states: list(record({ name: NAME, schema: optional(schema), ttlMs: orNull(number(1, MOST)) })),
  models: optional(list(MODEL)),
  references: list(
    record({ kind: oneOf('stream', 'function', 'model'), name: REFERRED, schema: optional(schema) }),
  ),
  files: list(record({ path: PATH, bytes: number(0, MOST), sha256: text(/^[0-9a-f]{64}$/, 'a SHA-256') })),
});

function checkUnique(manifest: Manifest, problems: InputProblem[]): void {
  const models = manifest.models ?? [];
  const places: [list: string, names: readonly string[]][] = [
    ['functions', [...manifest.streams, ...manifest.functions, ...models].map((each) => each.name)],
    ['states', manifest.states.map((each) => each.name)],
    ['files', manifest.files.map((each) => each.path)],
  ];
  for (const [place, names] of places) {
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) fail(problems, `/${place}`, `has '${twice}' twice`);
  }
  const paths = new Set(manifest.files.map((each) => each.path));
  for (const [index, { entry }] of manifest.functions.entries()) {
    if (!paths.has(entry)) fail(problems, `/functions/${index}/entry`, 'is not among the files');
  }
  for (const [index, { file }] of models.entries()) {
    if (file !== undefined && !paths.has(file))
      fail(problems, `/models/${index}/file`, 'is not among the files');
  }
}

/** A manifest from outside, checked through. Throws APP_INVALID with every problem. */
export function checkManifest(value: unknown): Manifest {
  const problems: InputProblem[] = [];
  MANIFEST(value, '', problems);
  if (problems.length === 0) checkUnique(value as Manifest, problems);
  if (problems.length === 0 && manifestVersion(value as Manifest) !== (value as Manifest).version) {
    fail(problems, '/version', 'does not fit the content of the manifest');
  }
  if (problems.length === 0) return value as Manifest;
  const [first] = problems;
  const message = `The manifest cannot be used: ${first!.path || '/'} ${first!.message}. Build the app again with this version of millrace.`;
  throw new MillraceError('APP_INVALID', message, { errors: problems });
}
