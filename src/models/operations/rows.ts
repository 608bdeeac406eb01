import { type Json, MillraceError, type ModelTruth } from '../../kernel/index.ts';

/** Rows as a file or a stream holds them, by column. */
export type TableRow = { readonly [column: string]: Json };

/** Most rows of a held-back file. */
const MOST_ROWS = 1_000_000;

/** CSV with a header, or NDJSON: whichever it looks like. Numbers of a CSV become numbers, empty fields null. Throws INVALID_INPUT. */
export function parseRows(bytes: Uint8Array): TableRow[] {
  const text = Buffer.from(bytes)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  const rows = /^\s*[{[]/.test(text) ? parseLines(text) : parseCsv(text);
  if (rows.length > 0 && rows.length <= MOST_ROWS) return rows;
  throw invalid(rows.length === 0 ? 'There are no rows.' : `${rows.length} rows are more than ${MOST_ROWS}.`);
}

function parseLines(text: string): TableRow[] {
  return text.split('\n').flatMap((line, index): TableRow[] => {
    if (line.trim() === '') return [];
    let row: Json;
    try {
      row = JSON.parse(line) as Json;
    } catch {
      throw invalid(`Line ${index + 1} is not JSON.`);
    }
    if (typeof row !== 'object' || row === null || Array.isArray(row)) {
      throw invalid(`Line ${index + 1} is no object: write one row a line, by column.`);
    }
    return [row as TableRow];
  });
}

/** RFC 4180: fields may be quoted, quotes in them doubled. */
function parseCsv(text: string): TableRow[] {
  const [header, ...lines] = splitCsv(text);
  if (!header) return [];
  return lines.map((fields, index) => {
    if (fields.length !== header.length) {
      throw invalid(`Row ${index + 1} has ${fields.length} fields, the header ${header.length}.`);
    }
    return Object.fromEntries(header.map((column, at) => [column, fieldValue(fields[at]!)]));
  });
}

function splitCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/gy;
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (!match) throw invalid(`Row ${rows.length} has a quote that does not end.`);
    row.push(match[1] === undefined ? match[2]! : match[1].replaceAll('""', '"'));
    if (match[3] === ',' && field.lastIndex < text.length) continue;
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  return rows;
}

function fieldValue(text: string): Json {
  if (text === '') return null;
  const number = Number(text);
  return Number.isFinite(number) && text.trim() !== '' ? number : text;
}

/** The truth of a row: 1 for 1, true and their texts, else the number; NaN for none. */
export function truthOf(value: Json | undefined): number {
  if (value === true || value === 'true') return 1;
  if (value === false || value === 'false') return 0;
  if (value === null || value === undefined || value === '') return Number.NaN;
  return Number(value);
}

/** What a prediction says, as one number: its score. NaN where there is none. */
export function scoreOf(prediction: TableRow, output: ModelTruth['output']): number {
  if (output !== null) return numberAt(prediction, output);
  // Classifiers give a label and then probabilities; what stands last is the score of the last class.
  return lastNumber(Object.values(prediction).at(-1));
}

function numberAt(prediction: TableRow, path: string): number {
  if (path in prediction) return lastNumber(prediction[path]);
  const dot = path.lastIndexOf('.');
  const outer = dot < 0 ? undefined : prediction[path.slice(0, dot)];
  const inner = (outer as { readonly [key: string]: Json } | undefined)?.[path.slice(dot + 1)];
  return lastNumber(inner);
}

function lastNumber(value: Json | undefined): number {
  if (typeof value === 'number') return Number.isFinite(value) ? value : Number.NaN;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string' && value !== '') return Number(value);
  if (typeof value !== 'object' || value === null) return Number.NaN;
  return lastNumber(Object.values(value).at(-1) as Json | undefined);
}

function invalid(message: string): MillraceError {
  return new MillraceError('INVALID_INPUT', `The rows cannot be used: ${message}`, {
    errors: [{ path: '', message }],
  });
}
