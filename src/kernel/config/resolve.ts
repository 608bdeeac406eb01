import { type InputProblem, MillraceError } from '../errors.ts';
import { parseField } from './kinds.ts';
import { nearest } from './nearest.ts';
import { type Config, type Field, flagName, type Section, variableName } from './section.ts';

/** Where values come from; the earlier beats the later: flags, variables, file, defaults. */
export interface ConfigSources {
  /** By flag name without the dashes (`edge-port`), as `util.parseArgs` gives them. */
  readonly flags?: { readonly [flag: string]: unknown };
  /** The whole environment; only `MILLRACE_*` is looked at. */
  readonly env?: { readonly [variable: string]: string | undefined };
  /** The default export of `millrace.config.ts`. */
  readonly file?: { readonly [key: string]: unknown };
  /** `MILLRACE_*` variables that belong to somebody else, such as the client's address and token. */
  readonly otherVariables?: readonly string[];
}

interface KnownField {
  readonly section: string;
  readonly key: string;
  readonly field: Field;
}

/** One way to give values: how keys are called there, and what is there. */
interface Layer {
  readonly what: 'flag' | 'variable' | 'key';
  readonly nameOf: (key: string) => string;
  readonly shown: (name: string) => string;
  readonly values: { readonly [name: string]: unknown };
  readonly owned: (name: string) => boolean;
}

function layersOf(sources: ConfigSources): readonly Layer[] {
  const others = new Set(sources.otherVariables);
  return [
    {
      what: 'flag',
      nameOf: flagName,
      shown: (name) => `--${name}`,
      values: sources.flags ?? {},
      owned: () => true,
    },
    {
      what: 'variable',
      nameOf: variableName,
      shown: (name) => name,
      values: sources.env ?? {},
      owned: (name) => name.startsWith('MILLRACE_') && !others.has(name),
    },
    {
      what: 'key',
      nameOf: (key) => key,
      shown: (name) => name,
      values: sources.file ?? {},
      owned: () => true,
    },
  ];
}

function knownFields(sections: readonly Section[]): ReadonlyMap<string, KnownField> {
  const known = new Map<string, KnownField>();
  for (const section of sections) {
    for (const [key, field] of Object.entries(section.fields)) {
      const other = known.get(key);
      if (other) {
        const message = `The sections ${other.section} and ${section.name} both define ${key}. Rename one of them.`;
        throw new MillraceError('CONFIG_INVALID', message);
      }
      known.set(key, { section: section.name, key, field });
    }
  }
  return known;
}

function unknownNames(layer: Layer, known: ReadonlyMap<string, KnownField>): InputProblem[] {
  const names = new Set([...known.keys()].map(layer.nameOf));
  const problems: InputProblem[] = [];
  for (const [name, value] of Object.entries(layer.values)) {
    if (value === undefined || !layer.owned(name) || names.has(name)) continue;
    const near = nearest(name, names);
    const hint = near ? `Did you mean ${layer.shown(near)}?` : 'The help text lists the known ones.';
    problems.push({
      path: layer.shown(name),
      message: `There is no ${layer.what} ${layer.shown(name)}. ${hint}`,
    });
  }
  return problems;
}

function resolveField(
  { key, field }: KnownField,
  layers: readonly Layer[],
  problems: InputProblem[],
): unknown {
  for (const layer of layers) {
    const name = layer.nameOf(key);
    if (!Object.hasOwn(layer.values, name)) continue;
    const raw = layer.values[name];
    if (raw === undefined) continue;
    const parsed = parseField(field, raw);
    if ('value' in parsed) return parsed.value;
    problems.push({ path: layer.shown(name), message: `${layer.shown(name)}: ${parsed.problem}` });
    return undefined;
  }
  return defaultOf(key, field);
}

function defaultOf(key: string, field: Field): unknown {
  const parsed = parseField(field, field.default);
  if ('value' in parsed) return parsed.value;
  throw new MillraceError(
    'CONFIG_INVALID',
    `The default of ${key} does not fit its own schema: ${parsed.problem}`,
  );
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

/**
 * Resolves all sections once into one deeply frozen object, `config.<section>.<key>`. Throws CONFIG_INVALID that lists
 * every unknown name (with the nearest known one) and every value that does not fit.
 */
export function resolveConfig<const Sections extends readonly Section[]>(
  sections: Sections,
  sources: ConfigSources = {},
): Config<Sections> {
  const known = knownFields(sections);
  const layers = layersOf(sources);
  const problems = layers.flatMap((layer) => unknownNames(layer, known));
  const config: { [section: string]: { [key: string]: unknown } } = {};
  for (const section of sections) config[section.name] = {};
  for (const field of known.values())
    config[field.section]![field.key] = resolveField(field, layers, problems);
  if (problems.length > 0) {
    const message = `The configuration is not valid. ${problems.map((each) => each.message).join(' ')}`;
    throw new MillraceError('CONFIG_INVALID', message, { errors: problems });
  }
  return deepFreeze(config) as Config<Sections>;
}
