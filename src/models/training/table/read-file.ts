import { MillraceError } from '../../../kernel/index.ts';
import type { Dataset } from '../dataset.ts';
import type { TrainingSpec } from '../spec.ts';
import { TableBuilder } from './builder.ts';
import { fieldsOf } from './csv.ts';
import { linesOf } from './lines.ts';

/** Lines that a quoted field of a CSV may span. */
const MOST_JOINED = 10_000;

/**
 * The rows of a CSV file with a header, or of one JSON object a line (a name that ends in `.ndjson` or `.jsonl`); either may
 * be packed (`.gz`). Throws INVALID_INPUT that names the line and what is wrong with it.
 */
export async function readFile(path: string, spec: TrainingSpec): Promise<Dataset> {
  const isJson = /\.(nd)?jsonl?(\.gz)?$/i.test(path);
  const reader = isJson ? jsonReader(path, spec) : csvReader(path, spec);
  let number = 0;
  for await (const lines of linesOf(path)) for (const line of lines) reader.line(line, ++number);
  return reader.finish();
}

interface LineReader {
  line(text: string, number: number): void;
  finish(): Dataset;
}

function csvReader(path: string, spec: TrainingSpec): LineReader {
  let table: TableBuilder | undefined;
  let places: number[] = [];
  let width = 0;
  let open: { text: string; lines: number } | undefined;
  const begin = (header: readonly string[]): void => {
    const names = header.map((name, place) => (place === 0 ? name.replace(/^\ufeff/, '') : name).trim());
    table = new TableBuilder(spec, names);
    width = names.length;
    places = table.names.map((name) => names.indexOf(name));
  };
  return {
    line(text, number) {
      if (text === '' && !open) return;
      const whole = open ? `${open.text}\n${text}` : text;
      const fields = fieldsOf(whole);
      if (!fields) {
        open = { text: whole, lines: (open?.lines ?? 0) + 1 };
        if (open.lines > MOST_JOINED) throw wrongLine(path, number, 'a quote that was opened does not end');
        return;
      }
      open = undefined;
      if (!table) return begin(fields);
      if (fields.length !== width)
        throw wrongLine(path, number, `${fields.length} fields, and the header has ${width}`);
      table.add(places.map((place) => fields[place]));
    },
    finish() {
      if (open) throw wrongLine(path, 0, 'a quote that was opened does not end');
      return finished(path, table);
    },
  };
}

function jsonReader(path: string, spec: TrainingSpec): LineReader {
  const table = new TableBuilder(spec);
  return {
    line(text, number) {
      if (text.trim() === '') return;
      const row = objectOf(text);
      if (!row) throw wrongLine(path, number, 'no JSON object');
      table.addObject(row);
    },
    finish: () => finished(path, table),
  };
}

function objectOf(text: string): { readonly [name: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Rows as objects, such as the values of a stream's records; all their fields together are the columns. */
export function readRows(rows: readonly unknown[], spec: TrainingSpec): Dataset {
  const table = new TableBuilder(spec);
  rows.forEach((row, place) => {
    if (typeof row !== 'object' || row === null) {
      const message = `Row ${place + 1} is no object.`;
      throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: `/${place}`, message }] });
    }
    table.addObject(row as { readonly [name: string]: unknown });
  });
  return finished('What was given', table);
}

function finished(path: string, table: TableBuilder | undefined): Dataset {
  if (table && table.rows > 0) return table.finish();
  throw new MillraceError('INVALID_INPUT', `${path} holds no rows.`);
}

function wrongLine(path: string, number: number, what: string): MillraceError {
  const message = `${path}${number > 0 ? `, line ${number}` : ''}: ${what}.`;
  return new MillraceError('INVALID_INPUT', message, { errors: [{ path: `/${number}`, message: what }] });
}
