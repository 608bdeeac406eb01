import type { ModelManifest, ModelServing } from '../../kernel/index.ts';
import type { Plain } from '../description.ts';
import { OPERATION_OPTIONS, readOperations, toJson } from './operations.ts';
import { fieldsOf, kindOf, type OptionReader } from './reader.ts';

export const MODEL_OPTIONS = [
  'file',
  'input',
  'output',
  'train',
  'features',
  'inputs',
  'missing',
  'batch',
  'cache',
  'card',
  'tags',
  ...OPERATION_OPTIONS,
] as const;

/** A model as it is declared; the files that it names are read afterwards. */
export interface ModelDraft {
  readonly manifest: ModelManifest;
  /** Path of the ONNX file from the app's folder, as it was written. */
  readonly file: string | undefined;
  /** Paths of vocabularies, by input. */
  readonly vocabularies: { readonly [input: string]: string };
  readonly name: string;
  readonly problem: OptionReader['problem'];
}

const DAY_MS = 86_400_000;
const COMMON = ['kind', 'from'];
const IMAGE = [...COMMON, 'width', 'height', 'fit', 'channels', 'layout', 'scale', 'mean', 'std'];
const NGRAMS = [...COMMON, 'size', 'words', 'lowercase'];
const TOKENIZER = [...COMMON, 'file', 'length', 'part'];
const WORDPIECE = [...COMMON, 'vocabulary', 'length', 'lowercase', 'part'];

type Preprocess = NonNullable<ModelServing['preprocess']>;

export function readModel(name: string, options: OptionReader): ModelDraft {
  const vocabularies: { [input: string]: string } = {};
  const card = options.text('card');
  const operations = readOperations(options);
  const training = readTraining(options);
  const manifest: ModelManifest = {
    name,
    serving: readServing(options, vocabularies),
    ...(card === undefined ? {} : { card }),
    tags: readTags(options),
    ...(operations === undefined ? {} : { operations }),
    ...(training === undefined ? {} : { training }),
  };
  return { name, manifest, file: options.text('file'), vocabularies, problem: options.problem };
}

/** What the SDK's helpers say of a training; the trainer itself checks settings and columns. */
function readTraining(options: OptionReader): ModelManifest['training'] {
  if (!options.has('train')) return undefined;
  const given = toJson(options.raw('train'), (path, value) => {
    options.problem(`train${path}`, `cannot hold ${kindOf(value)}.`);
  });
  const isObject = typeof given === 'object' && given !== null && 'algorithm' in given;
  if (isObject && typeof given.algorithm === 'string') return given as ModelManifest['training'];
  options.problem('train', 'must say how to learn, such as boostedTrees({ label, from }).');
  return undefined;
}

function readServing(options: OptionReader, vocabularies: { [input: string]: string }): ModelServing {
  const [input, output] = [options.schema('input'), options.schema('output')];
  const features = options.texts('features');
  const preprocess = readInputs(options, vocabularies);
  const batch = options.group('batch', ['size', 'wait']);
  return {
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
    ...(features.length === 0 ? {} : { features }),
    ...(Object.keys(preprocess).length === 0 ? {} : { preprocess }),
    missing: options.boolean('missing'),
    batch: {
      size: batch.integer('size', { min: 1, max: 10_000, preset: 256 }),
      waitMs: batch.durationMs('wait', { min: 0, max: 1000, preset: 0 }),
    },
    cache: readCache(options),
  };
}

function readCache(options: OptionReader): ModelServing['cache'] {
  if (!options.has('cache')) return null;
  const cache = options.group('cache', ['ttl', 'entries', 'key']);
  if (!cache.has('ttl')) cache.problem('ttl', "is needed, such as '1m'.");
  const key = cache.text('key');
  return {
    ttlMs: cache.durationMs('ttl', { min: 1, max: 365 * DAY_MS, preset: 60_000 }),
    entries: cache.integer('entries', { min: 1, max: 10_000_000, preset: 10_000 }),
    ...(key === undefined ? {} : { key }),
  };
}

function readTags(options: OptionReader): ModelManifest['tags'] {
  const given = fieldsOf(options.raw('tags')) ?? {};
  if (options.has('tags') && !fieldsOf(options.raw('tags'))) {
    options.problem('tags', `must be an object of texts, not ${kindOf(options.raw('tags'))}.`);
  }
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => {
      if (typeof value === 'string') return [[name, value] as const];
      options.problem(`tags.${name}`, `must be text, not ${kindOf(value)}.`);
      return [];
    }),
  );
}

function readInputs(options: OptionReader, vocabularies: { [input: string]: string }): Preprocess {
  const given = options.raw('inputs');
  const inputs = given === undefined ? {} : fieldsOf(given);
  if (!inputs) options.problem('inputs', `must be an object by input, not ${kindOf(given)}.`);
  const group = options.group('inputs', Object.keys(inputs ?? {}));
  const found: { [input: string]: Preprocess[string] } = {};
  for (const [name, each] of Object.entries(inputs ?? {})) {
    const kind: Plain = fieldsOf(each)?.kind;
    if (kind === 'image') found[name] = readImage(group.group(name, IMAGE));
    else if (kind === 'hashed-ngrams') found[name] = readNgrams(group.group(name, NGRAMS));
    else if (kind === 'wordpiece') {
      const own = group.group(name, WORDPIECE);
      vocabularies[name] = own.text('vocabulary') ?? '';
      if (vocabularies[name] === '')
        own.problem('vocabulary', "is needed: the path of the model's vocab.txt.");
      found[name] = readWordPiece(own);
    } else if (kind === 'tokenizer') {
      const own = group.group(name, TOKENIZER);
      vocabularies[name] = own.text('file') ?? '';
      if (vocabularies[name] === '') own.problem('file', 'is needed: the path of tokenizer.json.');
      found[name] = readTokenizer(own);
    } else group.problem(name, "needs a kind: 'image', 'hashed-ngrams', 'wordpiece' or 'tokenizer'.");
  }
  return found;
}

function fromOf(options: OptionReader): string {
  const from = options.text('from');
  if (from === undefined) options.problem('from', 'is needed: the field of the row that it reads.');
  return from ?? '';
}

function readImage(options: OptionReader): Preprocess[string] {
  const side = { min: 1, max: 4096, preset: 224 };
  for (const name of ['width', 'height'])
    if (!options.has(name)) options.problem(name, 'is needed, in pixels.');
  const numbers = (name: string, preset: number): number[] => {
    const given = options.raw(name);
    if (given === undefined) return [preset, preset, preset];
    const list = Array.isArray(given) ? given.filter((each) => typeof each === 'number') : [];
    if (list.length === 1 || list.length === 3) return list;
    options.problem(name, 'must be a list of one number a channel.');
    return [preset, preset, preset];
  };
  return {
    kind: 'image',
    from: fromOf(options),
    width: options.integer('width', side),
    height: options.integer('height', side),
    fit: options.oneOf('fit', ['fill', 'cover'], 'fill'),
    channels: options.integer('channels', { min: 1, max: 3, preset: 3 }) === 1 ? 1 : 3,
    layout: options.oneOf('layout', ['nchw', 'nhwc'], 'nchw'),
    scale: options.number('scale', { min: 0, max: 1e9, preset: 1 / 255 }),
    mean: numbers('mean', 0),
    std: numbers('std', 1),
  };
}

function lowercaseOf(options: OptionReader): boolean {
  return options.has('lowercase') ? options.boolean('lowercase') : true;
}

function readNgrams(options: OptionReader): Preprocess[string] {
  const given = options.raw('words');
  const pair = Array.isArray(given) && given.length === 2 && given.every((each) => Number.isInteger(each));
  if (given !== undefined && !pair) options.problem('words', 'must be a pair such as [1, 2].');
  if (!options.has('size')) options.problem('size', 'is needed: how many columns the input has.');
  return {
    kind: 'hashed-ngrams',
    from: fromOf(options),
    size: options.integer('size', { min: 1, max: 4_194_304, preset: 1024 }),
    words: pair ? (given as unknown as [number, number]) : [1, 2],
    lowercase: lowercaseOf(options),
  };
}

function readTokenizer(options: OptionReader): Preprocess[string] {
  return {
    kind: 'tokenizer',
    from: fromOf(options),
    tokenizer: '',
    length: options.integer('length', { min: 2, max: 8192, preset: 128 }),
    part: options.oneOf('part', ['ids', 'mask', 'types'], 'ids'),
  };
}

function readWordPiece(options: OptionReader): Preprocess[string] {
  return {
    kind: 'wordpiece',
    from: fromOf(options),
    vocabulary: [],
    length: options.integer('length', { min: 2, max: 8192, preset: 128 }),
    lowercase: lowercaseOf(options),
    part: options.oneOf('part', ['ids', 'mask', 'types'], 'ids'),
  };
}
