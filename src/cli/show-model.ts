import { table } from './terminal.ts';

/** A model as `GET /models/{name}` gives it. */
export interface ModelDetails {
  readonly name: string;
  readonly owner: string | null;
  readonly description: string;
  readonly tags: { readonly [name: string]: string };
  readonly aliases: { readonly [alias: string]: string };
  readonly latest: number;
  /** Those that an alias names. */
  readonly versions: readonly ModelVersionDetails[];
}

interface ModelVersionDetails {
  readonly version: string;
  readonly number: number;
  readonly bytes: number;
  readonly created: string;
  readonly by: string;
  readonly metrics: { readonly [name: string]: number };
  readonly inputs: readonly ValueDetails[];
  readonly outputs: readonly ValueDetails[];
  readonly serving: { readonly features?: readonly string[] };
  readonly status: {
    readonly tier: {
      readonly engine: string;
      readonly place: string;
      readonly rowMicros: number | null;
      readonly reason: string;
    } | null;
  };
}

interface ValueDetails {
  readonly name: string;
  readonly type?: string;
  readonly dims?: readonly (number | string | null)[];
  readonly kind?: string;
}

export function renderModel(model: ModelDetails, columns: number): string {
  const tags = Object.entries(model.tags).map(([name, value]) => `${name}=${value}`);
  const facts = [
    ['name', model.name],
    ['owner', model.owner ?? 'uploaded'],
    ['versions', String(model.latest)],
    ...(model.description === '' ? [] : [['about', model.description]]),
    ...(tags.length === 0 ? [] : [['tags', tags.join(', ')]]),
  ];
  const rows = Object.entries(model.aliases).map(([alias, id]) => {
    const found = model.versions.find(({ version }) => version === id);
    return [alias, id, String(found?.number ?? '-'), found?.created ?? '-', found?.by ?? '-'];
  });
  const parts = [table(['model', ''], facts, columns)];
  if (rows.length > 0) {
    parts.push(table(['alias', 'version', 'number', 'created', 'by'], rows, columns));
  }
  const production = model.versions.find(({ version }) => version === model.aliases.production);
  if (production) parts.push(table(['production', ''], signatureRows(production), columns));
  return parts.join('\n');
}

function tierText({ status: { tier } }: ModelVersionDetails): string {
  if (!tier) return 'not loaded';
  const row = tier.rowMicros === null ? '' : `, ${Number(tier.rowMicros.toPrecision(2))} µs a row`;
  return `${tier.engine} in ${tier.place === 'caller' ? 'the main thread' : 'a worker'}${row}`;
}

function signatureRows(version: ModelVersionDetails): string[][] {
  const { inputs, outputs, metrics, serving, status } = version;
  const { features = [] } = serving;
  const measured = Object.entries(metrics).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  return [
    ['takes', inputs.map(valueText).join(', ')],
    ...(features.length === 0 ? [] : [['features', features.join(', ')]]),
    ['gives', outputs.map(valueText).join(', ')],
    ...(measured.length === 0 ? [] : [['metrics', measured.join(', ')]]),
    ['run by', tierText(version)],
    ...(status.tier ? [['chosen because', status.tier.reason]] : []),
  ];
}

function valueText({ name, type, dims, kind }: ValueDetails): string {
  if (kind !== undefined) return `${name}: ${kind}`;
  return `${name}: ${type}[${(dims ?? []).map((size) => size ?? '?').join(', ')}]`;
}
