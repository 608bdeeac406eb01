import { invalid } from './invalid.ts';
import { NumberList } from './number-list.ts';
import { repeated } from './tensors.ts';
import { WireReader, WireWriter } from './wire.ts';

/** A message of Protocol Buffers that is read and written by one table, so that the two cannot differ. */
export interface Codec<T> {
  readonly decode: (bytes: Uint8Array, depth: number) => T;
  readonly encode: (value: T) => Uint8Array;
}

/** Which type it is stands in the type of the message around it. */
interface AnyCodec {
  readonly decode: (bytes: Uint8Array, depth: number) => unknown;
  readonly encode: (value: never) => Uint8Array;
}

type Scalar = 'int' | 'float' | 'text';

/** A field of a message: its number, what it holds, and whether there may be many. */
interface Field {
  readonly number: number;
  readonly holds: Scalar | (() => AnyCodec);
  /** 'numbers': in an array of numbers alone. */
  readonly many: boolean | 'numbers';
}

/** Messages within messages; a graph within a graph takes four. */
const MOST_DEPTH = 200;

export const one = (number: number, holds: Scalar | (() => AnyCodec)): Field => ({
  number,
  holds,
  many: false,
});
export const many = (number: number, holds: Scalar | (() => AnyCodec)): Field => ({
  number,
  holds,
  many: true,
});

export const numbers = (number: number, holds: 'int' | 'float'): Field => ({
  number,
  holds,
  many: 'numbers',
});

const NO_NUMBERS: readonly number[] = Object.freeze([]);

/** Fields with `many` are always there as arrays; others only where the file has them. Unknown fields are skipped. */
export function message<T>(fields: { readonly [name in keyof T & string]?: Field }): Codec<T> {
  const entries = Object.entries(fields) as [string, Field][];
  const byNumber = new Map(entries.map(([name, field]) => [field.number, { name, field }]));
  const lists = entries.filter(([, field]) => field.many === true).map(([name]) => name);
  const numbers = entries.filter(([, field]) => field.many === 'numbers').map(([name]) => name);
  return {
    decode(bytes, depth) {
      if (depth > MOST_DEPTH) throw invalid(`The model nests more than ${MOST_DEPTH} levels deep`);
      const reader = new WireReader(bytes, depth);
      const value: { [name: string]: unknown } = {};
      for (const name of lists) value[name] = [];
      const open = new Map<string, NumberList>();
      while (reader.next()) {
        const known = byNumber.get(reader.field);
        if (!known) reader.skip();
        else if (known.field.many === 'numbers') readNumbers(reader, known.name, known.field, open);
        else if (known.field.many) readMany(reader, known.field, value[known.name] as unknown[]);
        else value[known.name] = readOne(reader, known.field);
      }
      for (const name of numbers) value[name] = open.get(name)?.finish() ?? NO_NUMBERS;
      return value as T;
    },
    encode(value) {
      const writer = new WireWriter();
      for (const [name, field] of entries) {
        const held = (value as { [name: string]: unknown })[name];
        if (held === undefined) continue;
        const values = field.many ? (held as ArrayLike<unknown>) : [held];
        for (let index = 0; index < values.length; index += 1) writeOne(writer, field, values[index]);
      }
      return writer.finish();
    },
  };
}

/** A codec whose value takes another shape than the message. */
export function mapped<T, Raw>(
  codec: Codec<Raw>,
  fromRaw: (raw: Raw) => T,
  toRaw: (value: T) => Raw,
): Codec<T> {
  return {
    decode: (bytes, depth) => fromRaw(codec.decode(bytes, depth)),
    encode: (value) => codec.encode(toRaw(value)),
  };
}

/** Lists of numbers are most of a model of trees: they are read in one go, where the next field is mostly the same again. */
function readNumbers(reader: WireReader, name: string, field: Field, open: Map<string, NumberList>): void {
  const isInt = field.holds === 'int';
  let list = open.get(name);
  if (!list) open.set(name, (list = new NumberList(isInt ? 'int' : 'float')));
  const into = list;
  const wireType = isInt ? 0 : 5;
  if (reader.wireType !== wireType) {
    repeated(reader, wireType, () => into.push(isInt ? readInteger(reader) : reader.float()));
    return;
  }
  do into.push(isInt ? readInteger(reader) : reader.float());
  while (reader.again());
}

function readMany(reader: WireReader, field: Field, values: unknown[]): void {
  if (field.holds === 'int') repeated(reader, 0, () => values.push(readInteger(reader)));
  else values.push(readOne(reader, field));
}

function readOne(reader: WireReader, { holds }: Field): unknown {
  if (typeof holds === 'function') return holds().decode(reader.chunk(), reader.depth + 1);
  if (holds === 'text') return reader.text();
  if (reader.wireType !== (holds === 'int' ? 0 : 5)) throw reader.wrongType();
  return holds === 'int' ? readInteger(reader) : reader.float();
}

const LARGEST = 2n ** 63n - 1n;

/** An int64 as a number. The ends of int64 pass, rounded: they stand for "to the end". */
function readInteger(reader: WireReader): number {
  const start = reader.position;
  const small = reader.varint();
  if (small <= Number.MAX_SAFE_INTEGER) return small;
  reader.position = start;
  const exact = BigInt.asIntN(64, reader.bigVarint());
  const value = Number(exact);
  if (!Number.isSafeInteger(value) && exact !== LARGEST && exact > -LARGEST) {
    throw invalid(
      `The attribute value ${exact} is beyond 2^53`,
      'Use smaller numbers for labels and keys, or texts',
    );
  }
  return value;
}

function writeOne(writer: WireWriter, { number, holds }: Field, value: unknown): void {
  if (typeof holds === 'function') {
    writer.tag(number, 2);
    writer.chunk(holds().encode(value as never));
  } else if (holds === 'text') {
    writer.tag(number, 2);
    writer.text(value as string);
  } else if (holds === 'float') {
    writer.tag(number, 5);
    writer.float(value as number);
  } else {
    writer.tag(number, 0);
    const integer = value as number;
    writer.varint(integer >= 2 ** 63 ? LARGEST : integer);
  }
}
