import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { generatePayments, type TrafficOptions } from './generator.ts';

/** A payment on its way in, with the truth that only the summary may look at. */
export interface SourcePayment {
  /** Position in the source, from 0: where to go on after a crash. */
  readonly row: number;
  readonly id: number;
  readonly at: string;
  readonly atMs: number;
  readonly card: string;
  readonly terminal: string;
  readonly amount: number;
  readonly fraud: boolean;
}

/** Payments in the order of their event time, in chunks, so that no promise is needed per payment. */
export type Source = AsyncIterable<readonly SourcePayment[]>;

export async function* generated(options: TrafficOptions, chunkRows = 1000): Source {
  let chunk: SourcePayment[] = [];
  for (const { id, atMs, card, terminal, amount, fraud } of generatePayments(options)) {
    chunk.push({ row: id, id, at: new Date(atMs).toISOString(), atMs, card, terminal, amount, fraud });
    if (chunk.length < chunkRows) continue;
    yield chunk;
    chunk = [];
  }
}

/**
 * Recorded payments: CSV with the header `transaction_id,time,customer_id,terminal_id,amount,fraud,…` or NDJSON with
 * fields of these names; `.gz` is unpacked on the way. Throws an Error that names the line and what is wrong with it.
 */
export async function* recorded(path: string): Source {
  const parse = /\.(nd)?json(l)?(\.gz)?$/i.test(path) ? parseJsonLine : csvParser(path);
  let row = 0;
  let line = 0;
  for await (const lines of linesOf(path)) {
    const chunk: SourcePayment[] = [];
    for (const text of lines) {
      line++;
      if (text === '') continue;
      const fields = parse(text, line);
      if (fields) chunk.push(payment(fields, row++, `${path}:${line}`));
    }
    if (chunk.length > 0) yield chunk;
  }
  if (row === 0) throw new Error(`${path} holds no payments.`);
}

interface Fields {
  readonly id: string;
  readonly time: string;
  readonly card: string;
  readonly terminal: string;
  readonly amount: string;
  readonly fraud: string;
}

const COLUMNS = {
  id: 'transaction_id',
  time: 'time',
  card: 'customer_id',
  terminal: 'terminal_id',
  amount: 'amount',
  fraud: 'fraud',
} as const;

function csvParser(path: string): (text: string, line: number) => Fields | undefined {
  let places: Record<keyof typeof COLUMNS, number> | undefined;
  return (text) => {
    const cells = text.split(',');
    if (places) {
      return {
        id: cells[places.id] ?? '',
        time: cells[places.time] ?? '',
        card: cells[places.card] ?? '',
        terminal: cells[places.terminal] ?? '',
        amount: cells[places.amount] ?? '',
        fraud: cells[places.fraud] ?? '',
      };
    }
    places = Object.fromEntries(
      Object.entries(COLUMNS).map(([field, column]) => [field, cells.indexOf(column)]),
    ) as Record<keyof typeof COLUMNS, number>;
    const missing = Object.entries(COLUMNS).filter(([field]) => places![field as keyof typeof COLUMNS] < 0);
    if (missing.length > 0) {
      const names = missing.map(([, column]) => column).join(', ');
      throw new Error(
        `${path} lacks the columns ${names}; its first line must name ${Object.values(COLUMNS).join(',')}.`,
      );
    }
    return undefined;
  };
}

function parseJsonLine(text: string, line: number): Fields {
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    const field = (name: keyof typeof COLUMNS): string => String(value[COLUMNS[name]] ?? '');
    return {
      id: field('id'),
      time: field('time'),
      card: field('card'),
      terminal: field('terminal'),
      amount: field('amount'),
      fraud: value.fraud === true ? '1' : field('fraud'),
    };
  } catch (error) {
    throw new Error(`Line ${line} is not JSON: ${(error as Error).message}`);
  }
}

function payment(fields: Fields, row: number, place: string): SourcePayment {
  const id = Number(fields.id);
  const atMs = Date.parse(fields.time);
  const amount = Number(fields.amount);
  if (fields.id === '' || !Number.isSafeInteger(id))
    throw new Error(`${place}: '${fields.id}' is not a number of a payment.`);
  if (Number.isNaN(atMs))
    throw new Error(`${place}: '${fields.time}' is not a time; write it like 2018-04-01T00:00:31Z.`);
  if (fields.amount === '' || !(amount >= 0))
    throw new Error(`${place}: '${fields.amount}' is not an amount.`);
  if (fields.card === '' || fields.terminal === '')
    throw new Error(`${place}: customer_id and terminal_id must not be empty.`);
  const fraud = fields.fraud === '1' || fields.fraud === 'true';
  return { row, id, at: fields.time, atMs, card: fields.card, terminal: fields.terminal, amount, fraud };
}

/** About 2,000 payments: the cost of asynchrony hardly counts, and they are gone before they grow old in memory. */
const BLOCK_BYTES = 96 * 1024;

/** The lines of each block read, so that the cost of asynchrony is paid once a block. */
async function* linesOf(path: string): AsyncIterable<string[]> {
  const file = createReadStream(path, { highWaterMark: BLOCK_BYTES });
  const bytes = path.endsWith('.gz') ? file.pipe(createGunzip({ chunkSize: BLOCK_BYTES })) : file;
  file.on('error', (error) => bytes.destroy(error));
  const decoder = new TextDecoder();
  let rest = '';
  for await (const block of bytes) {
    const lines = (rest + decoder.decode(block as Uint8Array, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield lines.map((text) => (text.endsWith('\r') ? text.slice(0, -1) : text));
  }
  if (rest !== '') yield [rest];
}
