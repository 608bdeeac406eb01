import { MillraceError } from './errors.ts';

const DURATION_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const SIZE_BYTES: Record<string, number> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 };

function parseUnits(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text.trim());
  const factor = match ? units[match[2]!.toLowerCase()] : undefined;
  return match && factor !== undefined ? Number(match[1]) * factor : undefined;
}

/** `'250ms'`, `'10s'`, `'5m'`, `'2h'`, `'7d'`, `'1w'`, or a number of milliseconds, as milliseconds. Throws INVALID_INPUT. */
export function parseDurationMs(value: string | number, path = ''): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  const parsed = typeof value === 'string' ? parseUnits(value, DURATION_MS) : undefined;
  if (parsed !== undefined) return parsed;
  const message = `'${value}' is not a duration. Write a number and ms, s, m, h, d or w, such as '500ms' or '7d'.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path, message }] });
}

/** `'256mb'`, `'1gb'` (1 kb = 1,024 bytes), or a number of bytes, as bytes. Throws INVALID_INPUT. */
export function parseSizeBytes(value: string | number, path = ''): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  const parsed = typeof value === 'string' ? parseUnits(value, SIZE_BYTES) : undefined;
  if (parsed !== undefined) return Math.round(parsed);
  const message = `'${value}' is not a size. Write a number and b, kb, mb, gb or tb, such as '256mb'.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path, message }] });
}

/** 1,536 → '1.5 kB'; for people, not for parsing. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (bytes >= 1024 && unit < names.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${names[unit]}`;
}

/** 90,000 → '1m 30s'; for people, not for parsing. */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)}ms`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`;
  const units: [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ];
  const parts: string[] = [];
  for (const [name, factor] of units) {
    const count = Math.floor(ms / factor);
    ms -= count * factor;
    if (count > 0) parts.push(`${count}${name}`);
  }
  return parts.slice(0, 2).join(' ');
}
