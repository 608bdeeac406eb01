import {
  type InputProblem,
  type Json,
  MillraceError,
  type ModelServing,
  nearest,
} from '../../kernel/index.ts';
import type { VersionDraft } from './registry.ts';
import { checkServing } from './serving.ts';

/** What a client says about a version that it uploads. */
export interface UploadFacts extends Omit<VersionDraft, 'bytes' | 'serving' | 'by' | 'owner'> {
  readonly serving?: Partial<ModelServing>;
  /** Is pointed at the version. */
  readonly alias?: string;
}

type Check = (value: Json) => string | undefined;

const isObject = (value: Json): value is { readonly [field: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const text: Check = (value) => (typeof value === 'string' ? undefined : 'must be text');
const mapOf =
  (check: (value: Json) => boolean, what: string): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check) ? undefined : `must be an object of ${what}`;

const FIELDS: { readonly [field: string]: Check } = {
  metrics: mapOf((value) => typeof value === 'number', 'numbers'),
  tags: mapOf((value) => typeof value === 'string', 'texts'),
  data: (value) =>
    isObject(value) && typeof value.source === 'string' ? undefined : 'must be an object with a source',
  lineage: mapOf((value) => typeof value === 'string', 'texts'),
  card: text,
  description: text,
  facts: (value) => (isObject(value) ? undefined : 'must be an object'),
  alias: text,
  serving: (value) => (isObject(value) ? undefined : 'must be an object'),
};

/** Throws INVALID_INPUT with every problem. */
export function readVersionFacts(facts: Json): UploadFacts {
  const problems: InputProblem[] = [];
  if (!isObject(facts)) throw wrong([{ path: '', message: 'must be an object' }]);
  for (const [field, value] of Object.entries(facts)) {
    const check = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
    const near = check ? undefined : nearest(field, Object.keys(FIELDS));
    const unknown = `is not known${near === undefined ? '' : `; did you mean ${near}?`}`;
    const message = check ? check(value) : unknown;
    if (message !== undefined) problems.push({ path: `/${field}`, message });
  }
  if (isObject(facts.serving ?? null)) {
    problems.push(
      ...checkServing(facts.serving!).map(({ path, message }) => ({ path: `/serving${path}`, message })),
    );
  }
  if (problems.length > 0) throw wrong(problems);
  return facts as unknown as UploadFacts;
}

function wrong(errors: readonly InputProblem[]): MillraceError {
  const [first] = errors;
  const message = `The facts about the version cannot be used: ${first!.path} ${first!.message}.`;
  return new MillraceError('INVALID_INPUT', message, { errors });
}
