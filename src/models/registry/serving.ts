import type { InputProblem, Json } from '../../kernel/index.ts';

/** Describes how a model is served, as it comes from outside: in an upload, or in an app's manifest. */
type Rule = (value: Json, path: string, problems: InputProblem[]) => void;

const rule =
  (fits: (value: Json) => boolean, what: string): Rule =>
  (value, path, problems) => {
    if (!fits(value)) problems.push({ path, message: `must be ${what}` });
  };
const text = rule((value) => typeof value === 'string', 'text');
const flag = rule((value) => typeof value === 'boolean', 'true or false');
const whole = (min: number, max: number): Rule =>
  rule(
    (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
    `a whole number from ${min} to ${max}`,
  );
const number = rule((value) => Number.isFinite(value), 'a number');
const oneOf = (...choices: readonly Json[]): Rule =>
  rule((value) => choices.includes(value), `one of ${choices.join(', ')}`);
const listOf =
  (each: Rule, most: number): Rule =>
  (value, path, problems) => {
    if (!Array.isArray(value) || value.length > most)
      problems.push({ path, message: `must be a list of at most ${most}` });
    else for (const [index, item] of value.entries()) each(item as Json, `${path}/${index}`, problems);
  };

interface Fields {
  readonly [field: string]: { readonly rule: Rule; readonly optional?: boolean };
}
const need = (rule: Rule) => ({ rule });
const may = (rule: Rule) => ({ rule, optional: true });

const isObject = (value: Json | undefined): value is { readonly [field: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const record =
  (fields: Fields): Rule =>
  (value, path, problems) => {
    if (!isObject(value)) return void problems.push({ path, message: 'must be an object' });
    for (const [field, { rule, optional }] of Object.entries(fields)) {
      if (value[field] !== undefined) rule(value[field], `${path}/${field}`, problems);
      else if (!optional) problems.push({ path: `${path}/${field}`, message: 'is missing' });
    }
    for (const field of Object.keys(value)) {
      if (!Object.hasOwn(fields, field)) problems.push({ path: `${path}/${field}`, message: 'is not known' });
    }
  };

/** Pictures are made no larger than this on one side. */
const MOST_SIDE = 4096;
const MOST_VOCABULARY = 500_000;

const PREPROCESSING: { readonly [kind: string]: Rule } = {
  image: record({
    kind: need(oneOf('image')),
    from: need(text),
    width: need(whole(1, MOST_SIDE)),
    height: need(whole(1, MOST_SIDE)),
    fit: need(oneOf('fill', 'cover')),
    channels: need(oneOf(1, 3)),
    layout: need(oneOf('nchw', 'nhwc')),
    scale: need(number),
    mean: need(listOf(number, 3)),
    std: need(listOf(number, 3)),
  }),
  'hashed-ngrams': record({
    kind: need(oneOf('hashed-ngrams')),
    from: need(text),
    size: need(whole(1, 4_194_304)),
    words: need(listOf(whole(1, 8), 2)),
    lowercase: need(flag),
  }),
  tokenizer: record({
    kind: need(oneOf('tokenizer')),
    from: need(text),
    tokenizer: need(text),
    length: need(whole(2, 8192)),
    part: need(oneOf('ids', 'mask', 'types')),
  }),
  wordpiece: record({
    kind: need(oneOf('wordpiece')),
    from: need(text),
    vocabulary: need(listOf(text, MOST_VOCABULARY)),
    length: need(whole(2, 8192)),
    lowercase: need(flag),
    part: need(oneOf('ids', 'mask', 'types')),
  }),
};

const preprocessing: Rule = (value, path, problems) => {
  const kind = isObject(value) ? PREPROCESSING[String(value.kind)] : undefined;
  if (kind) kind(value, path, problems);
  else problems.push({ path, message: `must be one of ${Object.keys(PREPROCESSING).join(', ')}` });
};

const SERVING = record({
  input: may(rule((value) => isObject(value) || typeof value === 'boolean', 'a JSON Schema')),
  output: may(rule((value) => isObject(value) || typeof value === 'boolean', 'a JSON Schema')),
  features: may(listOf(text, 100_000)),
  preprocess: may((value, path, problems) => {
    if (!isObject(value)) return void problems.push({ path, message: 'must be an object' });
    for (const [input, each] of Object.entries(value)) preprocessing(each, `${path}/${input}`, problems);
  }),
  missing: may(flag),
  batch: may(record({ size: need(whole(1, 10_000)), waitMs: need(whole(0, 1000)) })),
  cache: may((value, path, problems) => {
    if (value === null) return;
    record({
      ttlMs: need(whole(1, Number.MAX_SAFE_INTEGER)),
      entries: need(whole(1, 10_000_000)),
      key: may(text),
    })(value, path, problems);
  }),
});

/** Every problem of a value that should be a `ModelServing`, or a part of one. */
export function checkServing(value: Json): readonly InputProblem[] {
  const problems: InputProblem[] = [];
  SERVING(value, '', problems);
  return problems;
}
