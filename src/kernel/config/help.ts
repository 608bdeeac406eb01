import type { Field, Section } from './section.ts';
import { flagName, variableName } from './section.ts';

/** What `util.parseArgs` needs to know about one flag. */
export interface FlagOption {
  readonly type: 'string' | 'boolean';
  readonly multiple?: boolean;
}

/** The options for `util.parseArgs`, with `allowNegative: true` so that `--no-x` works for booleans. */
export function flagOptions(sections: readonly Section[]): { [flag: string]: FlagOption } {
  const options: { [flag: string]: FlagOption } = {};
  for (const section of sections) {
    for (const [key, field] of Object.entries(section.fields)) {
      options[flagName(key)] = {
        type: field.kind === 'boolean' ? 'boolean' : 'string',
        ...(field.kind === 'list' ? { multiple: true } : {}),
      };
    }
  }
  return options;
}

function placeholder(field: Field): string {
  if ('choices' in field && field.choices) return ` ${field.choices.join('|')}`;
  return field.kind === 'boolean' ? '' : ` ${field.kind.toUpperCase()}`;
}

function defaultText(field: Field): string {
  if (field.default === null || field.default === false) return '';
  if (Array.isArray(field.default)) return field.default.length > 0 ? ` (${field.default.join(',')})` : '';
  return ` (${field.default})`;
}

/** One row per field, for help texts and the reference page. */
export interface ConfigRow {
  readonly section: string;
  readonly key: string;
  readonly flag: string;
  readonly variable: string;
  readonly kind: Field['kind'];
  readonly default: Field['default'];
  readonly description: string;
}

export function configRows(sections: readonly Section[]): readonly ConfigRow[] {
  return sections.flatMap((section) =>
    Object.entries(section.fields).map(([key, field]) => ({
      section: section.name,
      key,
      flag: `--${flagName(key)}`,
      variable: variableName(key),
      kind: field.kind,
      default: field.default,
      description: field.description,
    })),
  );
}

/** Help text: a heading per section, a line per flag with its default in parentheses. */
export function renderConfigHelp(sections: readonly Section[]): string {
  const rows = sections.flatMap((section) => Object.entries(section.fields));
  const left = ([key, field]: [string, Field]): string => `  --${flagName(key)}${placeholder(field)}`;
  const width = Math.max(0, ...rows.map((row) => left(row).length)) + 2;
  const lines: string[] = [];
  for (const section of sections) {
    lines.push(`${section.title}:`);
    for (const row of Object.entries(section.fields)) {
      lines.push(`${left(row).padEnd(width)}${row[1].description}${defaultText(row[1])}`);
    }
    lines.push('');
  }
  return lines.join('\n').trimEnd();
}
