/** As the platform answers it. */
export interface PlannedChange {
  readonly resource: string;
  readonly action: 'create' | 'update' | 'detach' | 'remove' | 'keep';
  readonly details: readonly string[];
  readonly refusal?: string;
}

export interface PlanAnswer {
  readonly app: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly changes: readonly PlannedChange[];
  readonly refused: boolean;
}

const SIGNS = { create: '+', update: '~', detach: '-', remove: '-', keep: ' ' } as const;
const COLORS = { create: 32, update: 33, detach: 31, remove: 31, keep: 0 } as const;

/** The differences, one resource a line with its details below; what stays as it is is only counted. */
export function renderChanges(changes: readonly PlannedChange[], colors: boolean): string {
  const kept = changes.filter((change) => change.action === 'keep' && change.refusal === undefined);
  const shown = changes.filter((change) => !kept.includes(change));
  const lines = shown.flatMap(({ resource, action, details, refusal }) => {
    const line = `${SIGNS[action]} ${resource}${action === 'keep' ? '' : ` (${action})`}`;
    return [
      colors && COLORS[action] > 0 ? `\u001b[${COLORS[action]}m${line}\u001b[0m` : line,
      ...details.map((detail) => `    ${detail}`),
      ...(refusal === undefined ? [] : [`    REFUSED: ${refusal}`]),
    ];
  });
  if (kept.length > 0) lines.push(`  ${kept.length} unchanged`);
  return lines.map((line) => `${line}\n`).join('');
}

export const versionOf = (version: string | null): string => version ?? 'nothing';
