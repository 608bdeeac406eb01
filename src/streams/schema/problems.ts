import type { ErrorObject } from 'ajv';
import type { InputProblem } from '../../kernel/index.ts';
import { pointer } from './canonical.ts';

type Parameters = Record<string, unknown>;

/** A list of alternatives as people write it, cut after ten. */
function listed(values: unknown): string {
  const texts = (Array.isArray(values) ? values : [values]).map((value) => JSON.stringify(value));
  return texts.length > 10 ? `${texts.slice(0, 10).join(', ')}, …` : texts.join(', ');
}

const kind = (type: unknown): string => (Array.isArray(type) ? type : String(type).split(',')).join(' or ');

/** What a failed keyword means in plain words. Keywords that only summarise others are left to the message below. */
const MESSAGES: Readonly<Record<string, (parameters: Parameters) => string>> = {
  type: ({ type }) => `must be ${kind(type)}`,
  required: () => 'is missing',
  additionalProperties: () => 'is not a member that the schema knows',
  unevaluatedProperties: () => 'is not a member that the schema knows',
  enum: ({ allowedValues }) => `must be one of ${listed(allowedValues)}`,
  const: ({ allowedValue }) => `must be ${listed(allowedValue)}`,
  minimum: ({ limit }) => `must be at least ${limit}`,
  maximum: ({ limit }) => `must be at most ${limit}`,
  exclusiveMinimum: ({ limit }) => `must be greater than ${limit}`,
  exclusiveMaximum: ({ limit }) => `must be less than ${limit}`,
  multipleOf: ({ multipleOf }) => `must be a multiple of ${multipleOf}`,
  minLength: ({ limit }) => `must have at least ${limit} characters`,
  maxLength: ({ limit }) => `must have at most ${limit} characters`,
  pattern: ({ pattern }) => `must match the pattern ${pattern}`,
  format: ({ format }) => `must be a valid ${format}`,
  minItems: ({ limit }) => `must have at least ${limit} items`,
  maxItems: ({ limit }) => `must have at most ${limit} items`,
  uniqueItems: () => 'must not hold the same item twice',
  minProperties: ({ limit }) => `must have at least ${limit} members`,
  maxProperties: ({ limit }) => `must have at most ${limit} members`,
  anyOf: () => 'fits none of the alternatives',
  oneOf: ({ passingSchemas }) =>
    passingSchemas ? 'fits more than one alternative' : 'fits none of the alternatives',
  not: () => 'has a form that the schema excludes',
  'false schema': () => 'is not allowed here',
};

/** Members that are missing or too many are named by their own path. */
const MEMBER: Readonly<Record<string, string>> = {
  required: 'missingProperty',
  additionalProperties: 'additionalProperty',
  unevaluatedProperties: 'unevaluatedProperty',
};

function toProblem(error: ErrorObject): InputProblem {
  const parameters = error.params as Parameters;
  const member = MEMBER[error.keyword];
  const path =
    member === undefined ? error.instancePath : pointer(error.instancePath, String(parameters[member]));
  return {
    path,
    message: MESSAGES[error.keyword]?.(parameters) ?? error.message ?? `does not fit ${error.keyword}`,
  };
}

/** At most `limit` problems, each once. */
export function toProblems(errors: readonly ErrorObject[], limit = 100): InputProblem[] {
  const problems = new Map<string, InputProblem>();
  for (const error of errors) {
    if (error.keyword === 'if' || problems.size >= limit) continue;
    const problem = toProblem(error);
    problems.set(`${problem.path}\n${problem.message}`, problem);
  }
  return [...problems.values()];
}
