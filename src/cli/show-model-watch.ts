import { table } from './terminal.ts';

/** A model's watch, as `GET /models/{name}/watch` gives it. */
export interface ModelWatchDetails {
  readonly versions: readonly {
    readonly version: string;
    readonly reference: 'training' | 'live' | null;
    readonly rows: { readonly seen: number };
    readonly drifting: readonly string[];
    readonly window: {
      readonly rows: number;
      readonly to: string;
      readonly inputs: readonly ColumnDetails[];
      readonly outputs: readonly ColumnDetails[];
    } | null;
  }[];
  readonly labels: {
    readonly versions: readonly {
      readonly version: string;
      readonly now: LabelDetails;
      readonly last: LabelDetails | null;
      readonly decayed: string | null;
      readonly biased: string | null;
    }[];
  } | null;
  readonly release: { readonly id: string; readonly to: string; readonly stage: string } | null;
}

interface ColumnDetails {
  readonly name: string;
  readonly psi: number;
  readonly missing: number;
  readonly outOfRange: number;
  readonly reasons: readonly string[];
}

interface LabelDetails {
  readonly labels: number;
  readonly accuracy: number | null;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly auc: number | null;
  readonly mae: number | null;
  readonly rmse: number | null;
  readonly r2: number | null;
}

/** Columns that are shown: those that differ most. */
const MOST_COLUMNS = 10;

const figure = (value: number | null): string =>
  value === null ? '-' : String(Number(value.toPrecision(3)));

/** Drift by version, the columns that differ most, live metrics, and the release under way. */
export function renderModelWatch(
  { versions, labels, release }: ModelWatchDetails,
  columns: number,
): string[] {
  const parts: string[] = [];
  if (versions.length > 0) {
    const rows = versions.map(({ version, reference, rows: { seen }, drifting, window }) => [
      version,
      reference === null ? 'being learned' : reference,
      String(seen),
      window ? `${window.to}, ${window.rows} rows` : '-',
      drifting.join(', ') || 'nothing',
    ]);
    parts.push(table(['watched', 'reference', 'rows', 'last window', 'drifts'], rows, columns));
  }
  const windows = versions.flatMap(({ window }) => (window ? [...window.inputs, ...window.outputs] : []));
  const most = windows.toSorted((a, b) => b.psi - a.psi).slice(0, MOST_COLUMNS);
  if (most.length > 0) {
    const rows = most.map((each) => [
      each.name,
      figure(each.psi),
      figure(each.missing),
      figure(each.outOfRange),
      each.reasons.join(', '),
    ]);
    parts.push(table(['column', 'psi', 'missing', 'out of range', 'drifts because of'], rows, columns));
  }
  parts.push(...renderLabels(labels?.versions ?? [], columns));
  if (release) {
    const rows = [[release.id, release.to, release.stage]];
    parts.push(table(['release', 'version', 'stage'], rows, columns));
  }
  return parts;
}

const OF_CLASSES = ['accuracy', 'precision', 'recall', 'auc'] as const;
const OF_VALUES = ['mae', 'rmse', 'r2'] as const;

/** Models predict classes or values; the figures of the other are not there. */
function renderLabels(
  versions: NonNullable<ModelWatchDetails['labels']>['versions'],
  columns: number,
): string[] {
  if (versions.length === 0) return [];
  const ofValues = versions.some(({ now, last }) => (last ?? now).mae !== null);
  const metrics = ofValues ? OF_VALUES : OF_CLASSES;
  const rows = versions.map(({ version, now, last, decayed, biased }) => {
    const shown = last ?? now;
    const said = [decayed && `${decayed} decayed`, biased && `unlike: ${biased}`].filter(Boolean).join('; ');
    return [version, String(shown.labels), ...metrics.map((metric) => figure(shown[metric])), said || '-'];
  });
  return [table(['by labels', 'labels', ...metrics, 'found'], rows, columns)];
}
